"""Retrieval on LongMemEval: `python benchmarks/longmemeval.py FILE`.

FILE has the official format (`longmemeval_s_cleaned.json`). Every question has a namespace of its
own with one memory per session or per user turn. Metrics are the official ones: recall_all and
recall_any, NDCG with the official discount; questions without an answer are left out (470 of 500
remain), and by the rule of the official code those that only the assistant answered, too (419).
R@1 and MRR look at the first right one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.environment import load_settings
from benchmarks.haystacks import Answered, Granularity, Haystack, read_haystacks, score_rows
from benchmarks.measuring import percentile, report
from container import Container, build, running
from domain.draft import Draft, Wait
from domain.memory import Source
from domain.namespace import Scope, parse_namespace
from domain.recall import RecallQuery

BATCH = 100
HITS = 50
#: A whole session is one memory here.
CONTENT_BYTES_MAX = 4 * 1024 * 1024
EMBED_WAIT_SECONDS = 600.0


async def ask(
    container: Container,
    haystack: Haystack,
    granularity: Granularity,
    *,
    hits: int = HITS,
    signals: Mapping[str, bool] | None = None,
) -> Answered:
    """Store a haystack, ask its question, and erase the haystack."""
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
    query = RecallQuery(
        text=haystack.question, scope=Scope(namespace), k=hits, signals=signals or {}
    )
    started = time.perf_counter()
    answer = await container.recall()(query)
    seconds = time.perf_counter() - started
    found = tuple(str(hit.memory.payload["document"]) for hit in answer.hits)
    await container.erase_namespace()(namespace, actor="benchmark")
    return Answered(haystack, granularity, found, seconds)


async def ask_all(
    container: Container,
    haystacks: Sequence[Haystack],
    granularity: Granularity,
    *,
    hits: int = HITS,
    signals: Mapping[str, bool] | None = None,
) -> list[Answered]:
    """Ask one question after the other; those without an answer are not asked."""
    return [
        await ask(container, haystack, granularity, hits=hits, signals=signals)
        for haystack in haystacks
        if not haystack.is_abstention
    ]


async def measure(options: argparse.Namespace) -> None:
    """Store, ask and print, one granularity after the other."""
    haystacks = read_haystacks(options.file)[:: options.every]
    signals = dict.fromkeys(options.off, False)
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
                answered = await ask_all(
                    container, haystacks, Granularity(granularity), hits=options.k, signals=signals
                )
        if not answered:
            raise SystemExit("no question has an answer")
        title = f"LongMemEval recall by {granularity}, percent"
        report(title, score_rows(answered), as_json=options.json)
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
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
