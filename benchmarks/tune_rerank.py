"""How much should a reranker count? `python benchmarks/tune_rerank.py FOLDER`.

Every question's best candidates are judged once. Then the weight of the judgement, and what is
left of `lexical` and `semantic` beside it, are chosen on all conversations but one and scored on
that one.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from application.recalling.reranking import Reranking
from benchmarks.conversations import ANSWERABLE, read_conversations
from benchmarks.gains import interval
from benchmarks.measuring import report
from benchmarks.pools import Pool, gather_pools, left_out, stored
from benchmarks.tune_weights import NAMES, Example, example, score
from domain.ranking import WEIGHTS, min_max
from domain.reranking import OWN_LEFT, RERANKED

OWN = frozenset({"lexical", "semantic"})
RERANK_WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
LEFT = (1.0, 5 / 7, OWN_LEFT, 3 / 7, 2 / 7)


@dataclass(frozen=True, slots=True)
class Choice:
    """How much the judgement counts, and how much of `lexical` and `semantic` stays."""

    rerank: float
    left: float

    def weights(self) -> NDArray[np.float64]:
        """Return the weights of all parts, the judgement last."""
        values = [WEIGHTS[name] * (self.left if name in OWN else 1) for name in NAMES]
        return np.array([*values, self.rerank])


OFF = Choice(0.0, 1.0)
PRESENT = Choice(WEIGHTS["rerank"], OWN_LEFT)


async def judged(pool: Pool, reranking: Reranking) -> Example:
    """Take the parts apart as `tune_weights` does, and add what the reranker says."""
    plain = example(pool)
    candidates = sorted(pool.candidates, key=lambda candidate: candidate.memory.id)
    order = np.argsort(-np.round(plain.parts @ OFF.weights()[:-1], 9), kind="stable")
    head = [candidates[index] for index in order[:RERANKED]]
    column = np.zeros((len(candidates), 1))
    if head:
        scores = await reranking.reranker.scores(pool.question.text, await reranking.read(head))
        column[order[:RERANKED], 0] = min_max(scores)
    return replace(plain, parts=np.hstack([plain.parts, column]))


def best(examples: Sequence[Example]) -> Choice:
    """Return the choice with the highest mean of R@5, R@10 and MRR."""
    choices = [Choice(rerank, left) for rerank, left in product(RERANK_WEIGHTS, LEFT)]
    return max(choices, key=lambda choice: sum(score(examples, choice.weights()).values()))


async def measure(options: argparse.Namespace) -> None:
    """Judge, cross-validate, and print."""
    conversations = read_conversations(options.folder)
    examples: list[Example] = []
    async with stored(conversations, options.data, reranker="late") as container:
        for conversation in conversations:
            for pool in await gather_pools(container, [conversation], conversation):
                if pool.question.category in ANSWERABLE or options.all:
                    examples.append(await judged(pool, container.reranking()))
    rows: list[Mapping[str, object]] = []
    gains: dict[str, list[float]] = {}
    for name, others in [*left_out(conversations), ("none", [c.name for c in conversations])]:
        chosen = best([e for e in examples if e.conversation in others])
        held = [e for e in examples if name in {e.conversation, "none"}]
        for one in held if name != "none" else []:
            on, off = score([one], chosen.weights()), score([one], OFF.weights())
            for measure_name in on:
                gains.setdefault(measure_name, []).append(on[measure_name] - off[measure_name])
        for label, choice in (("off", OFF), ("present", PRESENT), ("chosen on others", chosen)):
            weights = f"{choice.rerank:.2f} / {choice.left:.2f}"
            figures = score(held, choice.weights())
            rows.append({"left out": name, "weights": label, "rerank / left": weights, **figures})
    report("Weight of the reranker, percent", rows, as_json=options.json)
    row = {name: interval(np.array(differences)) for name, differences in gains.items()}
    title = "Paired gain with weights chosen on others, points [95 % interval]"
    report(title, [{"n": len(examples), **row}], as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with LoCoMo files (*.json)")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--all", action="store_true", help="adversarial questions too")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
