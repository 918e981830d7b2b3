"""Ask the frozen set of a real installation and say how good the answers were."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dependency_injector import providers

from container import Container, build, running
from domain.draft import Draft, Wait
from domain.memory import Source
from domain.namespace import Scope, parse_namespace
from domain.recall import RecallQuery
from tests.end_to_end.embedded import Clock, settings_for
from tests.quality.reading import Question, chats, facts, questions, updates

MIXED = "quality/mixed"
FILED = "quality/filed"
K = 10

#: Signals that read a memory as something somebody said in a session at a time.
HEURISTICS = ("session", "speaker", "statement", "temporal", "date")
#: Those, and what the neighbours in the session lend.
CONVERSATION = (*HEURISTICS, "context_semantic", "context_lexical")


@dataclass(frozen=True)
class Answered:
    """What came back for a question: keys, best first, and the best relevance."""

    question: Question
    keys: tuple[str, ...]
    relevance: float

    def recall_at(self, k: int) -> float:
        """Return the share of the gold among the first `k`."""
        return len(self.question.gold & set(self.keys[:k])) / len(self.question.gold)

    @property
    def reciprocal_rank(self) -> float:
        """Return 1 / the rank of the first gold; 0 when it is not among the hits."""
        ranks = [rank for rank, key in enumerate(self.keys, 1) if key in self.question.gold]
        return 1 / ranks[0] if ranks else 0.0


@dataclass(frozen=True)
class Quality:
    """Means over some questions, 0 to 1."""

    count: int
    r5: float
    r10: float
    mrr: float

    def __str__(self) -> str:
        """Show the figures in percent."""
        figures = f"R@5 {self.r5:6.1%}  R@10 {self.r10:6.1%}  MRR {self.mrr:.3f}"
        return f"{self.count:3} questions  {figures}"


def quality(
    answered: Iterable[Answered], wanted: Callable[[Question], bool] = lambda _: True
) -> Quality:
    """Average over the answerable questions that are wanted."""
    chosen = [a for a in answered if a.question.gold and wanted(a.question)]
    return Quality(
        len(chosen),
        _mean([a.recall_at(5) for a in chosen]),
        _mean([a.recall_at(10) for a in chosen]),
        _mean([a.reciprocal_rank for a in chosen]),
    )


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


async def answers(data_dir: Path) -> Mapping[str, list[Answered]]:
    """Store the set with the default settings and ask, with and without conversation signals,
    and with and without the reranker.

    "mixed" holds everything in one namespace; "filed" only what is no conversation, but under one
    actor and one session, as an importer may label it.
    """
    container = build(settings_for(data_dir))
    container.now.override(providers.Object(Clock()))
    everything = questions()
    about_facts = [q for q in everything if q.gold and not q.about_chats]
    handbook = Source(actor="importer", session="handbook")
    async with running(container):
        await _store(container, [*chats(MIXED), *facts(MIXED), *updates(MIXED)])
        await _store(container, [*facts(FILED, handbook), *updates(FILED)])
        return {
            "mixed": await _ask(container, MIXED, everything),
            "mixed, heuristics off": await _ask(container, MIXED, everything, off=HEURISTICS),
            "mixed, conversation off": await _ask(container, MIXED, everything, off=CONVERSATION),
            "mixed, not reranked": await _ask(container, MIXED, everything, rerank=False),
            "filed": await _ask(container, FILED, about_facts),
            "filed, conversation off": await _ask(container, FILED, about_facts, off=CONVERSATION),
            "filed, not reranked": await _ask(container, FILED, about_facts, rerank=False),
        }


async def _store(container: Container, drafts: list[Draft]) -> None:
    stored = await container.remember_batch()(drafts, wait=Wait.INDEXED, actor="quality")
    assert all(result.indexed for result in stored)


async def _ask(
    container: Container,
    namespace: str,
    asked: list[Question],
    off: Iterable[str] = (),
    *,
    rerank: bool | None = None,
) -> list[Answered]:
    signals = dict.fromkeys(off, False)
    scope = Scope(parse_namespace(namespace))
    found = []
    for question in asked:
        query = RecallQuery(
            text=question.text,
            scope=scope,
            k=K,
            as_of=question.as_of,
            signals=signals,
            rerank=rerank,
        )
        answer = await container.recall()(query)
        assert not answer.degraded
        hits = answer.hits
        keys = tuple(str(hit.memory.payload["key"]) for hit in hits)
        found.append(Answered(question, keys, max((hit.relevance for hit in hits), default=0.0)))
    return found
