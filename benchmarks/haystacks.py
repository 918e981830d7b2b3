"""LongMemEval haystacks: how they are read and scored, by the definitions of its official code.

LongMemEval (Wu et al., ICLR 2025) is read from a file given by the user; nothing of it is here.
What is retrieved is what users said: one document per session or per turn of a user.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

DEPTHS = (5, 10)
_ABSTENTION = "_abs"
_DATE = "%Y/%m/%d (%a) %H:%M"


class Granularity(StrEnum):
    """What one memory holds."""

    SESSION = "session"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Document:
    """One memory. `target`: it lies in an answer session and a user's turn in it has the answer."""

    id: str
    session: str
    text: str
    at: datetime
    target: bool

    @property
    def session_label(self) -> str:
        """Its session for scoring: turns beside the answer count as another, wrong session."""
        return self.session if self.target else f"no answer: {self.session}"


@dataclass(frozen=True, slots=True)
class Haystack:
    """A question with all that was said before it."""

    id: str
    type: str
    question: str
    answer_sessions: frozenset[str]
    sessions: tuple[Document, ...]
    turns: tuple[Document, ...]

    @property
    def is_abstention(self) -> bool:
        """Whether there is no answer; such questions are not scored (470 of 500 are left)."""
        return _ABSTENTION in self.id

    @property
    def has_user_target(self) -> bool:
        """Whether a user, not the assistant, gave the answer (419 of those 470)."""
        return any(turn.target for turn in self.turns)

    def documents(self, granularity: Granularity) -> tuple[Document, ...]:
        """Return what is stored."""
        return self.turns if granularity is Granularity.TURN else self.sessions


@dataclass(frozen=True, slots=True)
class Answered:
    """A haystack with the ids that came back, best first, and how long the recall took."""

    haystack: Haystack
    granularity: Granularity
    found: tuple[str, ...]
    seconds: float


def read_haystacks(path: Path) -> list[Haystack]:
    """Read the official JSON file: a list of questions, each with its own haystack."""
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [_haystack(entry) for entry in entries]


def _haystack(entry: dict[str, Any]) -> Haystack:
    answers = frozenset(entry["answer_session_ids"])
    sessions: list[Document] = []
    turns: list[Document] = []
    for name, written, said in zip(
        entry["haystack_session_ids"],
        entry["haystack_dates"],
        entry["haystack_sessions"],
        strict=True,
    ):
        start = datetime.strptime(written, _DATE).replace(tzinfo=UTC)
        own: list[Document] = []
        for number, turn in enumerate(said, 1):
            if turn["role"] == "user" and turn["content"].strip():
                target = name in answers and bool(turn.get("has_answer"))
                at = start + timedelta(seconds=number)
                own.append(Document(f"{name}_{number}", name, turn["content"], at, target))
        if own:
            text = " ".join(turn.text for turn in own)
            sessions.append(Document(name, name, text, start, any(turn.target for turn in own)))
            turns += own
    return Haystack(
        str(entry["question_id"]),
        str(entry["question_type"]),
        str(entry["question"]),
        answers,
        tuple(sessions),
        tuple(turns),
    )


def discounted_gain(relevances: Sequence[bool]) -> float:
    """Return the official DCG: the first two ranks count in full, rank r then 1 / log2(r)."""
    return math.fsum(
        1 / max(1.0, math.log2(rank)) for rank, relevant in enumerate(relevances, 1) if relevant
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Labels in the order found, those that are right, and those of all documents."""

    found: tuple[str, ...]
    gold: frozenset[str]
    corpus: tuple[str, ...]

    def scores(self, depth: int) -> dict[str, float]:
        """Return the official metrics at a depth, 0 to 1."""
        first = self.found[:depth]
        best = min(depth, sum(label in self.gold for label in self.corpus))
        gain = discounted_gain([label in self.gold for label in first])
        return {
            "recall_all": float(self.gold.issubset(first)),
            "recall_any": float(not self.gold.isdisjoint(first)),
            "ndcg_any": gain / discounted_gain([True] * best) if best else 0.0,
        }

    def reaching(self, distinct: int) -> int:
        """Return the least depth of at least `distinct` with as many different labels."""
        depth = distinct
        while depth < len(self.found) and len(set(self.found[:depth])) < distinct:
            depth += 1
        return depth

    @property
    def reciprocal_rank(self) -> float:
        """Return 1 / the rank of the first right one, 0 without."""
        return next((1 / rank for rank, x in enumerate(self.found, 1) if x in self.gold), 0.0)


def ranking(answered: Answered, *, as_sessions: bool = False, labelled: bool = True) -> Ranking:
    """Judge what was found.

    `labelled`: gold is what a user said (n = 419); else every answer session is (n = 470).
    `as_sessions`: turns stand for their sessions.
    """
    documents = answered.haystack.documents(answered.granularity)

    def label(document: Document) -> str:
        if not labelled:
            return document.session
        return document.session_label if as_sessions else document.id

    labels = {document.id: label(document) for document in documents}
    gold = {labels[document.id] for document in documents if document.target}
    return Ranking(
        tuple(labels[id] for id in answered.found),
        frozenset(gold) if labelled else answered.haystack.answer_sessions,
        tuple(labels.values()),
    )


def score(rankings: Sequence[Ranking], *, distinct: bool = False) -> dict[str, float]:
    """Average, in percent; `distinct` deepens each list until it holds k different labels."""
    row: dict[str, float] = {"n": len(rankings)}
    for depth in DEPTHS:
        each = [r.scores(r.reaching(depth) if distinct else depth) for r in rankings]
        for name in ("recall_all", "recall_any", "ndcg_any"):
            row[f"{name}@{depth}"] = _percent([scores[name] for scores in each])
    row["R@1"] = _percent([r.scores(1)["recall_any"] for r in rankings])
    row["MRR"] = _percent([r.reciprocal_rank for r in rankings])
    return row


def score_rows(answered: Sequence[Answered]) -> list[dict[str, object]]:
    """Score by each rule, then each type of question; one granularity at a time."""
    [granularity] = {a.granularity for a in answered}
    answerable = [a for a in answered if not a.haystack.is_abstention]
    by_users = [a for a in answerable if a.haystack.has_user_target]
    rows: list[dict[str, object]] = []

    def add(name: str, chosen: Sequence[Ranking], distinct: bool = False) -> None:
        if chosen:
            rows.append({"level": name, **score(chosen, distinct=distinct)})

    if granularity is Granularity.SESSION:
        every = [ranking(a, labelled=False) for a in answerable]
        add("session, all but abstention (470 rule)", every)
        add("session, answer by the user (419 rule)", [ranking(a) for a in by_users])
    else:
        add("turn, answer by the user (419 rule)", [ranking(a) for a in by_users])
        folded = [ranking(a, as_sessions=True) for a in by_users]
        add("turns as sessions (419 rule)", folded, distinct=True)
        every = [ranking(a, labelled=False) for a in answerable]
        add("turns as sessions (470 rule)", every, distinct=True)
    for type in sorted({a.haystack.type for a in by_users}):
        chosen = [ranking(a) for a in by_users if a.haystack.type == type]
        add(f"{granularity}, {type} (419 rule)", chosen)
    return rows


def _percent(values: Sequence[float]) -> float:
    return 100 * math.fsum(values) / len(values)
