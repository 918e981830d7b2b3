"""Retrieval on LongMemEval: `python benchmarks/longmemeval.py FILE`.

FILE has the official format (`longmemeval_s_cleaned.json`). Every question has a namespace of its
own with one memory per session or per user turn. Metrics are the official ones: recall_all and
recall_any, NDCG with the official discount; questions without an answer are left out (470 of 500
remain), and by the rule of the official code those that only the assistant answered, too (419).
R@1 and MRR look at the first right one. `--ablate` asks every question again of the same haystack,
without one part of the score at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.environment import load_settings
from benchmarks.haystacks import Answered, Granularity, Haystack, read_haystacks, score_rows
from benchmarks.measuring import percentile, report
from container import Container, build, running
from domain.draft import Draft, Wait
from domain.memory import Source
from domain.namespace import Scope, parse_namespace
from domain.ranking import WEIGHTS
from domain.recall import RecallQuery

BATCH = 100
HITS = 50
#: A whole session is one memory here.
CONTENT_BYTES_MAX = 4 * 1024 * 1024
EMBED_WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Way:
    """How to ask: other weights, and signals that are switched off."""

    weights: Mapping[str, float] = field(default_factory=dict)
    signals: Mapping[str, bool] = field(default_factory=dict)


#: The way that is measured, before anything is left out of it.
WHOLE = "-"


async def ask(
    container: Container,
    haystack: Haystack,
    granularity: Granularity,
    ways: Mapping[str, Way],
    *,
    hits: int = HITS,
) -> dict[str, Answered]:
    """Store a haystack, ask its question in every way, and erase the haystack."""
    namespace = parse_namespace(f"longmemeval/{granularity}/{haystack.id.lower()}")
    documents = haystack.documents(granularity)
    drafts = [
        Draft(
            content=document.text,
            namespace=namespace,
            source=Source(actor="user", session=document.session),
            payload={"document": document.id},
            occurred_at=document.at,
            deduplicate=False,
        )
        for document in documents
    ]
    for first in range(0, len(drafts), BATCH):
        batch = drafts[first : first + BATCH]
        stored = await container.remember_batch()(batch, wait=Wait.INDEXED, actor="benchmark")
        if not all(result.indexed for result in stored):
            raise SystemExit("the embedder did not keep up")
    answered = {}
    for name, way in ways.items():
        query = RecallQuery(
            text=haystack.question,
            scope=Scope(namespace),
            k=hits,
            weights=way.weights,
            signals=way.signals,
        )
        started = time.perf_counter()
        answer = await container.recall()(query)
        seconds = time.perf_counter() - started
        found = tuple(str(hit.memory.payload["document"]) for hit in answer.hits)
        answered[name] = Answered(haystack, granularity, found, seconds)
    await container.erase_namespace()(namespace, actor="benchmark")
    return answered


async def ask_all(
    container: Container,
    haystacks: Sequence[Haystack],
    granularity: Granularity,
    ways: Mapping[str, Way],
    *,
    hits: int = HITS,
) -> dict[str, list[Answered]]:
    """Ask one question after the other; those without an answer are not asked."""
    answered: dict[str, list[Answered]] = {name: [] for name in ways}
    for haystack in haystacks:
        if not haystack.is_abstention:
            found = await ask(container, haystack, granularity, ways, hits=hits)
            for name, one in found.items():
                answered[name].append(one)
    return answered


async def measure(options: argparse.Namespace) -> None:
    """Store, ask and print, one granularity after the other."""
    haystacks = read_haystacks(options.file)[:: options.every]
    signals = dict.fromkeys(options.off, False)
    names = list(WEIGHTS) if options.ablate == ["all"] else options.ablate
    ways = {name: Way({name: 0.0}, signals) for name in names}
    for granularity in options.granularity:
        with tempfile.TemporaryDirectory() as folder:
            settings = load_settings(
                {},
                {
                    "data_dir": folder,
                    "content_bytes_max": CONTENT_BYTES_MAX,
                    "embed_wait_seconds": EMBED_WAIT_SECONDS,
                },
            )
            async with running(build(settings)) as container:
                every = await ask_all(
                    container,
                    haystacks,
                    Granularity(granularity),
                    {WHOLE: Way({}, signals), **ways},
                    hits=options.k,
                )
        answered = every[WHOLE]
        if not answered:
            raise SystemExit("no question has an answer")
        title = f"LongMemEval recall by {granularity}, percent"
        report(title, score_rows(answered), as_json=options.json)
        if ways:
            rows = [{"without": name, **score_rows(found)[0]} for name, found in every.items()]
            report(f"LongMemEval ablation by {granularity}", rows, as_json=options.json)
        times = [1000 * a.seconds for a in answered]
        speed = {"recall p50 ms": percentile(times, 0.5), "p95 ms": percentile(times, 0.95)}
        report("LongMemEval speed", [speed], as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="a LongMemEval file, such as *_s_cleaned.json")
    parser.add_argument(
        "--granularity",
        nargs="+",
        choices=list(Granularity),
        default=list(Granularity),
        help="one memory per session, per user turn, or one after the other",
    )
    parser.add_argument("--every", type=int, default=1, help="only every n-th question")
    parser.add_argument("--k", type=int, default=HITS, help="hits per question")
    parser.add_argument("--off", nargs="+", default=[], help="signals to switch off")
    parser.add_argument(
        "--ablate", nargs="+", metavar="PART", default=[], help="parts to leave out, or all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
