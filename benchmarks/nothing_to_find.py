"""Is there nothing to find? `python benchmarks/nothing_to_find.py FOLDER`.

A question counts as unanswered when none of its first hits reaches a threshold of `relevance`, as
`min_relevance` would have it. Precision and recall of that decision, once against LoCoMo's
adversarial questions, which name the wrong speaker, and once against questions that are put to a
conversation they are not about. The same on the frozen set is printed by `tests/quality`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.calibrate_relevance import ranked
from benchmarks.conversations import ANSWERABLE, Conversation, read_conversations
from benchmarks.measuring import report
from benchmarks.pools import Pool, gather_pools, stored
from container import Container
from domain.ranking import relevance

HITS = 10
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def best_relevance(pool: Pool) -> float:
    """Return the highest relevance among the first hits."""
    return max((relevance(hit) for hit in ranked(pool)[:HITS]), default=0.0)


def decision(nothing: Sequence[float], answered: Sequence[float], threshold: float) -> list[float]:
    """Return precision and recall of "nothing to find", and the share of answers left, percent."""
    right = sum(value < threshold for value in nothing)
    wrong = sum(value < threshold for value in answered)
    precision = right / (right + wrong) if right + wrong else 1.0
    kept = 1 - wrong / len(answered)
    return [100 * precision, 100 * right / len(nothing), 100 * kept]


async def best(
    container: Container, conversations: Sequence[Conversation]
) -> dict[str, list[float]]:
    """Return the best relevance of every question, by what there is to find for it."""
    found: dict[str, list[float]] = {"answerable": [], "adversarial": [], "foreign": []}
    for asked in conversations:
        for of in conversations:
            for pool in await gather_pools(container, [asked], of):
                answerable = pool.question.category in ANSWERABLE
                if asked is of:
                    kind = "answerable" if answerable else "adversarial"
                    found[kind].append(best_relevance(pool))
                elif answerable:
                    found["foreign"].append(best_relevance(pool))
    return found


async def measure(options: argparse.Namespace) -> None:
    """Ask everything and print."""
    conversations = read_conversations(options.folder)
    async with stored(conversations, options.data) as container:
        found = await best(container, conversations)
    rows = []
    for kind in ("adversarial", "foreign"):
        for threshold in THRESHOLDS:
            precision, recall, kept = decision(found[kind], found["answerable"], threshold)
            figures = {"precision": precision, "recall": recall, "answerable left": kept}
            rows.append({"nothing to find": kind, "min_relevance": threshold, **figures})
    counts = ", ".join(f"{len(values)} {kind}" for kind, values in found.items())
    report(f"Nothing to find, percent ({counts})", rows, as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with LoCoMo files (*.json)")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
