"""Fencing tokens, traces and stored vectors: what workers need of a canonical store."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from domain.errors import LockLost
from domain.memory import MemoryId
from domain.ports import CanonicalStore
from domain.vector import Role
from tests.contracts.projection_moves import (
    NAME,
)
from tests.contracts.store_fixtures import (
    HOME,
    MODEL,
    START,
    a_memory,
    a_vector,
    events,
    stored,
)
from tests.contracts.test_canonical_store_embeddings import an_embedding

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_fences_off_whoever_held_the_lock_before(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        first = await tx.fences.take("job")
        other = await tx.fences.take("another job")
    async with store.writing() as tx:
        await tx.fences.check("job", first)
        second = await tx.fences.take("job")

    assert second > first
    async with store.writing() as tx:
        await tx.fences.check("another job", other)
        await tx.fences.check("job", second)
        with pytest.raises(LockLost, match="job"):
            await tx.fences.check("job", first)
        with pytest.raises(LockLost):
            await tx.fences.check("unknown job", 1)


async def test_lets_no_one_take_the_fence_before_a_checked_change_ends(
    store: CanonicalStore,
) -> None:
    order: list[str] = []
    checked = asyncio.Event()
    async with store.writing() as tx:
        token = await tx.fences.take("job")

    async def change() -> None:
        async with store.writing() as tx:
            await tx.fences.check("job", token)
            checked.set()
            await tx.settings.set("colour", "blue")
            order.append("changed")

    async def take() -> None:
        await checked.wait()
        async with store.writing() as tx:
            await tx.fences.take("job")
            order.append("taken")

    await asyncio.gather(change(), take())

    assert order == ["changed", "taken"]


async def test_keeps_the_trace_of_an_event(store: CanonicalStore) -> None:
    traced, plain = events(HOME, 1, 2)
    traced = dataclasses.replace(traced, trace=TRACE)

    async with store.writing() as tx:
        await tx.feed.lock([HOME])
        await tx.feed.append([traced, plain])

    async with store.reading() as tx:
        assert await tx.feed.after(HOME, 0, limit=10) == [traced, plain]
        waiting = await tx.projections.outstanding(NAME, shard=0, shards=1, limit=10)
        assert waiting == [traced, plain]


async def test_returns_vectors_with_what_they_were_computed_from(store: CanonicalStore) -> None:
    memory, gone, bare = a_memory("one"), a_memory("two"), a_memory("three")
    await stored(store, memory, gone, bare)
    own = an_embedding(memory, a_vector(1.0, 2.0))
    context = an_embedding(memory, a_vector(2.0, 1.0), Role.CONTEXT)
    other = an_embedding(memory, a_vector(1.0, 1.0), model="other")
    async with store.writing() as tx:
        await tx.embeddings.store([own, context, other, an_embedding(gone, a_vector())])
        await tx.memories.forget([gone.id], at=START, actor="tester")

    async with store.reading() as tx:
        ids = [memory.id, gone.id, bare.id, MemoryId("nul\x00")]
        found = await tx.embeddings.stored(ids, MODEL)

    assert sorted(found, key=lambda one: one.role) == sorted([own, context], key=lambda o: o.role)
