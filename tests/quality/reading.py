"""Read the frozen set: memories of several shapes and questions whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.draft import Draft
from domain.memory import Kind, Source

_DATA = Path(__file__).parent / "data"
_NOBODY = "-"


@dataclass(frozen=True)
class Question:
    """A question; `gold` are the keys of the memories that answer it, none for "nothing"."""

    kind: str
    gold: frozenset[str]
    text: str
    as_of: datetime | None

    @property
    def about_chats(self) -> bool:
        """Whether the answer was said in a conversation."""
        return any(key.startswith("c") for key in self.gold)


def chats(namespace: str) -> list[Draft]:
    """Return the turns, each with speaker, session and time."""
    drafts = []
    session, at = "", datetime.min.replace(tzinfo=UTC)
    for line in _lines("chats"):
        if line.startswith("== "):
            session, start = line.removeprefix("== ").split(" | ")
            at = _time(start)
            continue
        key, speaker, text = line.split(" | ")
        drafts.append(
            Draft(
                content=f"{speaker}: {text}",
                namespace=namespace,
                payload={"key": key},
                occurred_at=at,
                source=Source(actor=speaker, session=session),
            )
        )
        at += timedelta(minutes=1)
    return drafts


def facts(namespace: str, source: Source | None = None) -> list[Draft]:
    """Return documents, notes, procedures and facts about code: nobody says them, at no time."""
    drafts = []
    for line in _lines("facts"):
        key, kind, text = line.split(" | ")
        drafts.append(
            Draft(
                content=text,
                namespace=namespace,
                kind=Kind(kind),
                payload={"key": key},
                source=source,
            )
        )
    return drafts


def updates(namespace: str) -> list[Draft]:
    """Return facts that replaced one another: each is valid until the next one is."""
    drafts = []
    for line in _lines("updates"):
        _, *versions = line.split(" | ")
        begins = [_time(version[:10]) for version in versions]
        for version, begin, end in zip(versions, begins, [*begins[1:], None], strict=True):
            key, text = version[11:].split(": ", 1)
            drafts.append(
                Draft(
                    content=text,
                    namespace=namespace,
                    kind=Kind.SEMANTIC,
                    payload={"key": key},
                    valid_from=begin,
                    valid_to=end,
                )
            )
    return drafts


def questions() -> list[Question]:
    """Return all questions in the order of the file."""
    asked = []
    for line in _lines("questions"):
        kind, gold, text, *as_of = line.split(" | ")
        keys = frozenset() if gold == _NOBODY else frozenset(gold.split(","))
        asked.append(Question(kind, keys, text, _time(as_of[0]) if as_of else None))
    return asked


def _lines(name: str) -> Iterator[str]:
    for line in (_DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
