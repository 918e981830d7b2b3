"""LoCoMo conversations: how they are read, stored, asked about and scored.

LoCoMo (Maharana et al., ACL 2024) is read from a folder given by the user; nothing of it is here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ANSWERABLE = (1, 2, 3, 4)
DEPTHS = (1, 5, 10, 25)

_TURN_ID = re.compile(r"D\d+:\d+")
_SESSION = re.compile(r"session_(\d+)")


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said, stored as one memory."""

    dia_id: str
    speaker: str
    content: str
    session: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the ids of the turns that answer it (none: counted as 0)."""

    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One file: a namespace of its own."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]

    @property
    def namespace(self) -> str:
        """Where its memories live."""
        return f"locomo/{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the turn ids that came back, best first, and how long it took."""

    conversation: str
    question: Question
    found: tuple[str, ...]
    seconds: float


def read_conversations(folder: Path) -> list[Conversation]:
    """Read every `*.json` of a folder, in name order."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise SystemExit(f"{folder} holds no *.json")
    return [_conversation(path) for path in files]


def _conversation(path: Path) -> Conversation:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    sessions = [name for name in document if _SESSION.fullmatch(name)]
    turns = [
        _turn(turn, name, document[f"{name}_date_time"])
        for name in sorted(sessions, key=lambda name: int(name.removeprefix("session_")))
        for turn in document[name]
    ]
    questions = tuple(
        Question(
            str(entry["question"]),
            int(entry["category"]),
            frozenset(_TURN_ID.findall(" ".join(entry.get("evidence", [])))),
        )
        for entry in document["qa"]
    )
    return Conversation(path.stem, tuple(turns), questions)


def _turn(turn: dict[str, Any], session: str, written: str) -> Turn:
    caption = turn.get("blip_caption")
    photo = f" [photo: {caption}]" if caption else ""
    return Turn(
        dia_id=turn["dia_id"],
        speaker=turn["speaker"],
        content=f"{turn['speaker']}: {turn['text']}{photo}",
        session=session,
        at=datetime.strptime(written, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC),
    )


def recall_at(asked: Sequence[Asked], depth: int) -> float:
    """Return the mean share of evidence among the first `depth`, in percent."""
    shares = [
        len(a.question.evidence.intersection(a.found[:depth])) / len(a.question.evidence)
        if a.question.evidence
        else 0.0
        for a in asked
    ]
    return 100 * sum(shares) / len(shares) if shares else 0.0


def reciprocal_rank(asked: Sequence[Asked]) -> float:
    """Return the mean of 1 / rank of the first evidence found, in percent."""
    ranks = [
        next((1 / rank for rank, id in enumerate(a.found, 1) if id in a.question.evidence), 0.0)
        for a in asked
    ]
    return 100 * sum(ranks) / len(ranks) if ranks else 0.0


def scores(asked: Sequence[Asked]) -> dict[str, float]:
    """Return R@1/5/10/25 and MRR in percent, and the number of questions."""
    measured = {f"R@{depth}": recall_at(asked, depth) for depth in DEPTHS}
    return {"n": len(asked), **measured, "MRR": reciprocal_rank(asked)}


def score_groups(asked: Sequence[Asked]) -> dict[str, dict[str, float]]:
    """Score all questions, the answerable categories, and each category."""
    groups = {
        "all questions": asked,
        "categories 1-4": [a for a in asked if a.question.category in ANSWERABLE],
    }
    for number, name in CATEGORIES.items():
        groups[f"{number} {name}"] = [a for a in asked if a.question.category == number]
    return {name: scores(group) for name, group in groups.items() if group}
