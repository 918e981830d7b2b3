"""Are the weights of recall reasonable? `python benchmarks/tune_weights.py FOLDER`.

Gathers every question's candidates once, then searches the weights coordinate by coordinate on a
coarse grid, each time on all conversations but one, and scores what was found on the one left out.
Weights are worth changing only when the gain holds there.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.conversations import ANSWERABLE, read_conversations
from benchmarks.measuring import report
from benchmarks.pools import Pool, gather_pools, left_out, stored
from domain.ranking import SIGNALS, WEIGHTS, Tuning, fuse, listen

NAMES = [
    "lexical",
    "semantic",
    "context_semantic",
    "context_lexical",
    "session",
    "speaker",
    "statement",
    "temporal",
    "date",
]
FACTORS = (0.0, 0.33, 0.67, 1.0, 1.5, 2.0)
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One question: parts at weight 1 `(candidates, names)`, and which candidates are evidence."""

    conversation: str
    parts: NDArray[np.float64]
    gold: NDArray[np.bool_]
    evidence: int


def example(pool: Pool) -> Example:
    """Take the parts apart: a score is linear in its weights."""
    ones = dict.fromkeys(WEIGHTS, 1.0)
    tuning = Tuning(weights=ones, signals=SIGNALS, half_life_days=None, now=datetime.now(UTC))
    candidates = sorted(pool.candidates, key=lambda candidate: candidate.memory.id)
    fuse(candidates, tuning)
    listen(candidates, pool.question.text, tuning)
    parts = [[candidate.parts.get(name, 0.0) for name in NAMES] for candidate in candidates]
    gold = [pool.is_gold(candidate) for candidate in candidates]
    return Example(
        pool.conversation,
        np.array(parts, np.float64).reshape(len(candidates), len(NAMES)),
        np.array(gold, np.bool_),
        len(pool.question.evidence),
    )


def score(examples: Sequence[Example], weights: NDArray[np.float64]) -> dict[str, float]:
    """Return R@5, R@10 and MRR in percent."""
    shares: dict[str, list[float]] = {"R@5": [], "R@10": [], "MRR": []}
    for one in examples:
        order = np.argsort(-np.round(one.parts @ weights, 9), kind="stable")
        hits = one.gold[order]
        first = np.flatnonzero(hits)
        shares["R@5"].append(float(hits[:5].sum()) / max(one.evidence, 1))
        shares["R@10"].append(float(hits[:10].sum()) / max(one.evidence, 1))
        shares["MRR"].append(1 / (1 + int(first[0])) if len(first) else 0.0)
    return {name: 100 * float(np.mean(values)) for name, values in shares.items()}


def search(examples: Sequence[Example], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Improve one weight after the other, by the mean of R@5, R@10 and MRR."""

    def worth(weights: NDArray[np.float64]) -> float:
        return sum(score(examples, weights).values()) / 3

    best, best_worth = start.copy(), worth(start)
    for _ in range(ROUNDS):
        for column in range(len(NAMES)):
            centre = max(best[column], 0.1)
            for factor in FACTORS:
                trial = best.copy()
                trial[column] = round(centre * factor, 3)
                trial_worth = worth(trial)
                if trial_worth > best_worth + 1e-9:
                    best, best_worth = trial, trial_worth
    return best


async def measure(options: argparse.Namespace) -> None:
    """Cross-validate and print."""
    conversations = read_conversations(options.folder)
    examples: list[Example] = []
    async with stored(conversations, options.data) as container:
        for conversation in conversations:
            for pool in await gather_pools(container, [conversation], conversation):
                if pool.question.category in ANSWERABLE:
                    examples.append(example(pool))
    present = np.array([WEIGHTS[name] for name in NAMES])
    rows: list[Mapping[str, object]] = []
    found = {}
    for name, others in left_out(conversations):
        tuned = search([e for e in examples if e.conversation in others], present)
        found[name] = dict(zip(NAMES, tuned.tolist(), strict=True))
        held = [e for e in examples if e.conversation == name]
        rows.append({"left out": name, "weights": "present", **score(held, present)})
        rows.append({"left out": name, "weights": "tuned on others", **score(held, tuned)})
    everything = search(examples, present)
    found["none"] = dict(zip(NAMES, everything.tolist(), strict=True))
    rows.append({"left out": "none", "weights": "present", **score(examples, present)})
    rows.append({"left out": "none", "weights": "tuned on all", **score(examples, everything)})
    report("Weights, categories 1-4, percent", rows, as_json=options.json)
    weights = [{"left out": name, **values} for name, values in found.items()]
    report("Weights found", [_rounded(row) for row in weights], as_json=options.json)


def _rounded(row: Mapping[str, object]) -> dict[str, object]:
    return {k: f"{v:.2f}" if isinstance(v, float) else v for k, v in row.items()}


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with LoCoMo files (*.json)")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
