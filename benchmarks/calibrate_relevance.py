"""Fit the relevance of hits: `python benchmarks/calibrate_relevance.py FOLDER`.

Relevance has to say whether a hit answers its question, whatever else came up. Examples: evidence
of answerable questions among the hits (it does); the best hits of the same questions put to another
conversation, and what came up far behind in their own (it does not; without the latter, a speaker's
name alone would tell). Fitted by logistic regression, yes and no weighing the same; judged on the
conversation left out. What it costs a hit that somebody else said it than the one asked about is
fitted last, so that questions that name nobody are judged as if there were no such thing. The
constants go into `domain/ranking.py`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.conversations import ANSWERABLE, Conversation, read_conversations
from benchmarks.measuring import report
from benchmarks.pools import Pool, gather_pools, left_out, stored
from container import Container
from domain.ranking import Candidate, fuse, listen, ordered, tuned

HITS = 10
FAR_HITS = slice(15, 25)
FOREIGN_HITS = 3
STEPS_MAX = 50
EVIDENCE, FOREIGN, FAR, ADVERSARIAL = "evidence", "foreign", "far behind", "adversarial"
SHARES = {EVIDENCE: 0.5, FOREIGN: 0.25, FAR: 0.25}
NAMES = ("cosine", "coverage")
FEATURES = {"cosine and words": (0, 1), "words only": (1,)}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit: of which conversation's question, what it shows, and what kind of example it is."""

    conversation: str
    cosine: float
    coverage: float
    by_another: float
    kind: str


def ranked(pool: Pool) -> list[Candidate]:
    """Rank a pool as recall does."""
    tuning = tuned([], half_life_days=None, now=datetime.now(UTC))
    fuse(pool.candidates, tuning)
    listen(pool.candidates, pool.question.text, tuning)
    return ordered(pool.candidates)


def shown(candidate: Candidate) -> tuple[float, float, float]:
    """Return the features: the better cosine, the share of the question's words, who said it."""
    cosines = [c for c in (candidate.cosine, candidate.context_cosine) if c is not None]
    return max(cosines), candidate.coverage, float(candidate.by_another)


async def examples(container: Container, conversations: Sequence[Conversation]) -> list[Hit]:
    """Ask each conversation its own questions, and those of the others."""
    hits = []
    for asked in conversations:
        for of in conversations:
            for pool in await gather_pools(container, [asked], of):
                for kind, candidate in kinds(pool, own=asked is of):
                    hits.append(Hit(asked.name, *shown(candidate), kind))
    return hits


def kinds(pool: Pool, *, own: bool) -> list[tuple[str, Candidate]]:
    """Say of some hits what kind of example they are."""
    hits = ranked(pool)
    if pool.question.category not in ANSWERABLE:
        return [(ADVERSARIAL, candidate) for candidate in hits[:1] if own]
    if not own:
        return [(FOREIGN, candidate) for candidate in hits[:FOREIGN_HITS]]
    gold = [(EVIDENCE, candidate) for candidate in hits[:HITS] if pool.is_gold(candidate)]
    far = [(FAR, candidate) for candidate in hits[FAR_HITS] if not pool.is_gold(candidate)]
    return gold + far


def fit(hits: Sequence[Hit], columns: Sequence[int]) -> Floats:
    """Return the logistic weights of the chosen features, the bias last (Newton's method)."""
    examples = [hit for hit in hits if hit.kind in SHARES]
    features = _features(examples, columns)
    answers = np.array([hit.kind == EVIDENCE for hit in examples], np.float64)
    counts = Counter(hit.kind for hit in examples)
    sizes = np.array([SHARES[hit.kind] / counts[hit.kind] for hit in examples])
    weights = np.zeros(features.shape[1])
    for _ in range(STEPS_MAX):
        likely = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (sizes * (likely - answers))
        bend = (features * (sizes * likely * (1 - likely))[:, None]).T @ features
        step = np.linalg.solve(bend, slope)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-9:
            break
    return weights


def by_another(hits: Sequence[Hit], columns: Sequence[int], weights: Floats) -> float:
    """Return what is taken off where somebody else said it, the other weights being given."""
    examples = [hit for hit in hits if hit.kind in SHARES]
    known = _features(examples, columns) @ weights
    others = np.array([hit.by_another for hit in examples])
    answers = np.array([hit.kind == EVIDENCE for hit in examples], np.float64)
    counts = Counter(hit.kind for hit in examples)
    sizes = np.array([SHARES[hit.kind] / counts[hit.kind] for hit in examples]) * others
    off = 0.0
    for _ in range(STEPS_MAX):
        likely = 1 / (1 + np.exp(-(known - off * others)))
        off += float((sizes * (likely - answers)).sum() / (sizes * likely * (1 - likely)).sum())
    return off


def _features(hits: Sequence[Hit], columns: Sequence[int]) -> Floats:
    table = np.array([(hit.cosine, hit.coverage) for hit in hits])[:, list(columns)]
    return np.hstack([table, np.ones((len(hits), 1))])


def judged(
    hits: Sequence[Hit], columns: Sequence[int], weights: Floats, off: float
) -> dict[str, object]:
    """Return the area under the ROC curve, and what reaches some thresholds, by kind."""
    likely = {}
    for kind in (EVIDENCE, FOREIGN, FAR, ADVERSARIAL):
        chosen = [hit for hit in hits if hit.kind == kind]
        others = np.array([hit.by_another for hit in chosen])
        likely[kind] = 1 / (1 + np.exp(off * others - _features(chosen, columns) @ weights))
    good, bad = likely[EVIDENCE], np.concatenate([likely[FOREIGN], likely[FAR]])
    row: dict[str, object] = {"AUC": 100 * float((good[:, None] > bad[None, :]).mean())}
    for threshold in (0.3, 0.5):
        for kind, values in likely.items():
            row[f"{kind} >= {threshold}"] = 100 * float((values >= threshold).mean())
    return row


async def measure(options: argparse.Namespace) -> None:
    """Fit, cross-validate and print."""
    conversations = read_conversations(options.folder)
    async with stored(conversations, options.data) as container:
        hits = await examples(container, conversations)
    rows: list[Mapping[str, object]] = []
    constants: list[Mapping[str, object]] = []
    for title, columns in FEATURES.items():
        for name, others in left_out(conversations):
            known = [hit for hit in hits if hit.conversation in others]
            held = [hit for hit in hits if hit.conversation == name]
            weights = fit(known, columns)
            off = by_another(known, columns, weights)
            for speakers, taken in (("no", 0.0), ("yes", off)):
                row = judged(held, columns, weights, taken)
                rows.append({"features": title, "speakers": speakers, "left out": name, **row})
        weights = fit(hits, columns)
        off = by_another(hits, columns, weights)
        names = [NAMES[column] for column in columns]
        values = dict(zip((*names, "bias"), weights.tolist(), strict=True))
        constants.append(
            {"features": title}
            | {name: f"{values.get(name, 0.0):.3f}" for name in (*NAMES, "bias")}
            | {"by another": f"-{off:.3f}"}
        )
    report("Relevance of hits, percent", rows, as_json=options.json)
    report("Constants", constants, as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with LoCoMo files (*.json)")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
