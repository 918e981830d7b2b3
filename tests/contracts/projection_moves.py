"""The moves of a projection outside the store, for tests of its watermarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from domain.events import Event, EventType
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Lag
from tests.contracts.store_fixtures import below, events

NAME = "index"
SPACES = [Namespace("a"), Namespace("a/b"), Namespace("c"), Namespace("d")]


async def append(
    store: CanonicalStore,
    namespace: Namespace,
    number: int = 1,
    *,
    type: EventType = EventType.REMEMBERED,
    about: MemoryId | None = None,
) -> None:
    """Let a namespace move on by some events."""
    async with store.writing() as tx:
        head = (await tx.feed.lock([namespace]))[namespace]
        added = events(namespace, head + 1, head + number, about)
        await tx.feed.append([dataclasses.replace(event, type=type) for event in added])


async def outstanding(
    store: CanonicalStore, *, shard: int = 0, shards: int = 1, limit: int = 100
) -> dict[Namespace, list[int]]:
    """Return the numbers of the events of a share that wait."""
    async with store.reading() as tx:
        found = await tx.projections.outstanding(NAME, shard=shard, shards=shards, limit=limit)
    return numbers(found)


def numbers(found: Iterable[Event]) -> dict[Namespace, list[int]]:
    """Return the numbers of events by namespace."""
    waiting: dict[Namespace, list[int]] = {}
    for event in found:
        waiting.setdefault(event.namespace, []).append(event.seq)
    return waiting


async def advance(
    store: CanonicalStore, marks: Mapping[Namespace, int], *, name: str = NAME
) -> None:
    """Move watermarks the way a worker does."""
    async with store.writing() as tx:
        assert await tx.projections.lock_shard(name, 0)
        await tx.projections.advance(name, marks)


async def lag(store: CanonicalStore, scope_of: str = "a", *, limit: int = 100) -> Lag:
    """Return what a subtree lacks."""
    async with store.reading() as tx:
        return await tx.projections.lag(NAME, below(scope_of), limit=limit)


async def backlog(store: CanonicalStore) -> int:
    """Count what waits everywhere."""
    async with store.reading() as tx:
        return await tx.projections.backlog(NAME)
