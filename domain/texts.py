"""The texts that are indexed: a memory's own, and the one it has among its session neighbours."""

from __future__ import annotations

import hashlib
from datetime import datetime

from domain.memory import Memory

NOON = 12


def own_text(memory: Memory) -> str:
    """Return the content with its date in words, where one was given.

    The date helps both BM25 and the embedder (docs/recall.md has the figures).
    """
    if memory.occurred_at is None:
        return memory.content
    return f"{spoken_date(memory.occurred_at)} — {memory.content}"


def context_text(previous: Memory | None, memory: Memory, following: Memory | None) -> str:
    """Return the contents of a memory and its session neighbours, one per line."""
    return "\n".join(part.content for part in (previous, memory, following) if part is not None)


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text that is embedded."""
    return hashlib.sha256(text.encode()).hexdigest()


def spoken_date(moment: datetime) -> str:
    """Write a time as people say it: `1:56 pm on 8 May, 2023`."""
    half = "am" if moment.hour < NOON else "pm"
    clock = f"{moment.hour % NOON or NOON}:{moment.minute:02d} {half}"
    return f"{clock} on {moment.day} {_MONTHS[moment.month - 1]}, {moment.year}"


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
