"""Builders for what a canonical store holds, and the few moves every test makes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.events import Event, EventType
from domain.lexical import AnalysedText
from domain.link import Link
from domain.memory import Kind, Memory, MemoryId, Source
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, Transaction
from domain.vector import Vector, unit_vector

START = datetime(2026, 1, 31, 12, 0, 0, 123457, tzinfo=UTC)
HOME = Namespace("acme/alice")
MODEL = "test-model"

_numbers = itertools.count(1)


def new_id() -> MemoryId:
    """Return an id greater than all before."""
    return MemoryId(str(UUID(int=(1 << 120) + next(_numbers))))


def a_memory(
    content: str = "the kettle whistles",
    *,
    namespace: Namespace = HOME,
    minutes: float = 0,
    coordinate: tuple[float, ...] | None = None,
    session: str | None = None,
    payload: Mapping[str, object] | None = None,
    tags: tuple[str, ...] = (),
    valid_to: datetime | None = None,
) -> Memory:
    """Build a first version; `minutes` after `START` is when it was stored."""
    id = new_id()
    at = START + timedelta(minutes=minutes)
    return Memory(
        id=id,
        namespace=namespace,
        kind=Kind.EPISODIC,
        content=content,
        content_hash=f"hash of {content}",
        created_at=at,
        updated_at=at,
        version=1,
        seq=1,
        payload=payload or {},
        tags=tags,
        coordinate=coordinate,
        valid_to=valid_to,
        source=Source(session=session),
    )


def revised(memory: Memory, content: str) -> Memory:
    """Build the next version of a memory."""
    return replace(
        memory,
        content=content,
        content_hash=f"hash of {content}",
        version=memory.version + 1,
        updated_at=memory.updated_at + timedelta(minutes=1),
    )


def analysed(content: str, context: str | None = None) -> AnalysedText:
    """Split at spaces: what the terms are is not the store's business."""
    own = tuple(content.split())
    return AnalysedText(own, own if context is None else tuple(context.split()))


def exactly(namespace: Namespace = HOME) -> Scope:
    """Return the scope of one namespace."""
    return Scope(namespace)


def below(namespace: str) -> Scope:
    """Return the scope of a subtree."""
    return Scope(Namespace(namespace), ScopeKind.SUBTREE)


async def add(tx: Transaction, *memories: Memory) -> None:
    """Store and index memories, without events."""
    await tx.memories.add(memories, actor="tester")
    await tx.lexicon.put({memory.id: analysed(memory.content) for memory in memories})


async def stored(store: CanonicalStore, *memories: Memory) -> None:
    """Store and index memories in a transaction of their own."""
    async with store.writing() as tx:
        await add(tx, *memories)


def events(
    namespace: Namespace, first: int, last: int, memory_id: MemoryId | None = None
) -> list[Event]:
    """Build events numbered `first` to `last`."""
    about = memory_id or new_id()
    return [
        Event(
            id=f"{namespace} {seq}",
            namespace=namespace,
            seq=seq,
            type=EventType.REMEMBERED,
            memory_id=about,
            version=1,
            at=START,
        )
        for seq in range(first, last + 1)
    ]


def a_link(source: Memory, target: Memory, type: str = "about", *, weight: float = 1.0) -> Link:
    """Build a link."""
    return Link(
        source=source.id, target=target.id, type=type, weight=weight, created_at=START, seq=1
    )


def a_vector(*values: float) -> Vector:
    """Build a unit vector."""
    return unit_vector(values or (1.0, 2.0))


def ids(memories: Iterable[Memory]) -> list[MemoryId]:
    """Return their ids."""
    return [memory.id for memory in memories]
