"""Retrieval on LoCoMo: `python benchmarks/locomo.py FOLDER`.

One memory per turn, one namespace per conversation, R@k = mean share of a question's evidence
among the first k hits. Runs the use cases in this process, or a server with `--url`. With
`--data DIR` a second run finds the memories there and asks at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from benchmarks.conversations import (
    ANSWERABLE,
    DEPTHS,
    Asked,
    Conversation,
    read_conversations,
    score_groups,
    scores,
)
from benchmarks.doors import Door, How, Together, opened
from benchmarks.gains import gain
from benchmarks.measuring import percentile, report
from domain.ranking import WEIGHTS

BATCH = 200


async def ingest(door: Door, conversations: Sequence[Conversation]) -> dict[str, object]:
    """Store what is not there yet; return what was stored and how fast."""
    stored, seconds = 0, 0.0
    for conversation in conversations:
        present = await door.count(conversation.namespace)
        if present == len(conversation.turns):
            continue
        if present:
            raise SystemExit(f"{conversation.namespace} holds {present} memories of something else")
        started = time.perf_counter()
        for first in range(0, len(conversation.turns), BATCH):
            turns = conversation.turns[first : first + BATCH]
            await door.remember(conversation.namespace, turns)
        seconds += time.perf_counter() - started
        stored += len(conversation.turns)
    return {"stored": stored, "memories/s": stored / seconds if seconds else 0.0}


async def ask(door: Door, conversations: Sequence[Conversation], how: How) -> list[Asked]:
    """Ask every question, one after the other."""
    asked = []
    for conversation in conversations:
        for question in conversation.questions:
            started = time.perf_counter()
            found = await door.recall(conversation.namespace, question.text, how)
            seconds = time.perf_counter() - started
            asked.append(Asked(conversation.name, question, found, seconds))
    return asked


async def measure(options: argparse.Namespace) -> None:
    """Store, ask, ablate, and print."""
    conversations = read_conversations(options.folder)
    if options.categories:
        conversations = [
            Conversation(
                c.name,
                c.turns,
                tuple(q for q in c.questions if q.category in options.categories),
            )
            for c in conversations
        ]
    how = How(options.k, options.weights)
    async with opened(options.url, options.key, options.data) as way:
        door = Together(way) if options.together else way
        ingested = await ingest(door, conversations)
        asked = await ask(door, conversations, how)
        rows = [{"questions": name, **row} for name, row in score_groups(asked).items()]
        report("LoCoMo recall, percent", rows, as_json=options.json)
        report("LoCoMo speed", [{**ingested, **_speed(asked)}], as_json=options.json)
        if options.rerank:
            await _rerank(door, conversations, how, as_json=options.json)
        if options.ablate:
            names = options.ablate if options.ablate != ["all"] else list(WEIGHTS)
            rows = [{"without": "-", **scores(asked)}]
            for name in names:
                weights = {**options.weights, name: 0.0}
                changed = await ask(door, conversations, replace(how, weights=weights))
                rows.append({"without": name, **scores(changed)})
            report("LoCoMo ablation, all questions asked", rows, as_json=options.json)


async def _rerank(
    door: Door, conversations: Sequence[Conversation], how: How, *, as_json: bool
) -> None:
    """Ask with and without the reranker, and compare.

    The runs that are timed end in words of their own, so that no question was embedded before; off
    and on take turns, so that both see the same machine.
    """
    how, on = replace(how, rerank=False), replace(how, rerank=True)
    off, judged = await ask(door, conversations, how), await ask(door, conversations, on)
    plain, later = [], []
    for conversation in conversations:
        for question in conversation.questions:
            one = replace(conversation, questions=(question,))
            plain += await ask(door, _ending([one], "Say it."), how)
            later += await ask(door, _ending([one], "Name it."), on)
    for name, answered in (("without", off), ("with", judged)):
        rows = [{"questions": group, **row} for group, row in score_groups(answered).items()]
        report(f"LoCoMo recall {name} the reranker, percent", rows, as_json=as_json)
    answerable = [a.question.category in ANSWERABLE for a in off]
    gains = {
        "all questions": gain(off, judged),
        "categories 1-4": gain(list(compress(off, answerable)), list(compress(judged, answerable))),
    }
    rows = [{"questions": name, **row} for name, row in gains.items()]
    report("Paired gain of the reranker, points [95 % interval]", rows, as_json=as_json)
    runs = {"off, in turns": plain, "on, in turns": later}
    rows = [{"reranker": name, **_speed(run)} for name, run in runs.items()]
    report("Speed of the reranker", rows, as_json=as_json)


def _ending(conversations: Sequence[Conversation], words: str) -> list[Conversation]:
    """Return the same conversations with other questions: none of them was asked before."""
    return [
        replace(c, questions=tuple(replace(q, text=f"{q.text} {words}") for q in c.questions))
        for c in conversations
    ]


def _speed(asked: Sequence[Asked]) -> dict[str, float]:
    times = [1000 * a.seconds for a in asked]
    return {"recall p50 ms": percentile(times, 0.5), "p95 ms": percentile(times, 0.95)}


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with LoCoMo files (*.json)")
    parser.add_argument("--url", help="measure this server instead of the use cases in process")
    parser.add_argument("--key", help="API key for --url")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--k", type=int, default=max(DEPTHS), help="hits per question")
    parser.add_argument("--categories", type=int, nargs="+", help="ask only these (1 to 5)")
    parser.add_argument("--weights", type=json.loads, default={}, help="such as '{\"date\": 0.4}'")
    parser.add_argument("--ablate", nargs="+", metavar="SIGNAL", help="parts to leave out, or all")
    parser.add_argument("--together", action="store_true", help="all in one namespace")
    parser.add_argument("--rerank", action="store_true", help="compare with it off and on")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
