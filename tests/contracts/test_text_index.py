"""What every text index must do: find by words all that is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.fallback.text_index import FittingTextIndex
from adapters.fastcore.budget import Budget
from adapters.fastcore.room import Room
from adapters.fastcore.words import FastWords
from adapters.qdrant.projection import QdrantProjection
from adapters.qdrant.text_index import QdrantTextIndex
from adapters.sqlite.store import SqliteStore
from adapters.store_text_index import StoreTextIndex
from contracts.journal import MODEL
from domain.events import Event, EventType
from domain.filter import Filter, parse_where
from domain.memory import Memory
from domain.namespace import Namespace, Scope
from domain.ports import TextIndex
from tests.contracts.projecting import synchronise
from tests.contracts.store_fixtures import START, a_memory, add, below, exactly, new_id
from tests.qdrant_server import running_qdrant

SHARES = {"qdrant, untold": 0.0, "qdrant, half told": 0.5, "qdrant": 1.0}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store, a text index over it, and a worker between them that may run."""

    store: SqliteStore
    index: TextIndex
    work: Callable[[], Awaitable[None]]

    async def keep(self, *memories: Memory) -> None:
        """Store memories with their events, then let the worker run."""
        for memory in memories:
            async with self.store.writing() as tx:
                seq = (await tx.feed.lock([memory.namespace]))[memory.namespace] + 1
                await tx.feed.append([_event(memory, seq, EventType.REMEMBERED)])
                await add(tx, replace(memory, seq=seq))
        await self.work()

    async def forget(self, memory: Memory) -> None:
        """Forget a memory; the worker does not hear of it."""
        async with self.store.writing() as tx:
            seq = (await tx.feed.lock([memory.namespace]))[memory.namespace] + 1
            await tx.feed.append([_event(memory, seq, EventType.FORGOTTEN)])
            await tx.memories.forget([memory.id], at=START, actor="tester")


def _event(memory: Memory, seq: int, type: EventType) -> Event:
    return Event(
        id=str(new_id()),
        namespace=memory.namespace,
        seq=seq,
        type=type,
        memory_id=memory.id,
        version=memory.version,
        at=START,
    )


@pytest.fixture(params=["store", "fast core", "too large for the fast core", *SHARES])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    """An empty store with the text index under test."""
    async with AsyncExitStack() as stack:
        store = SqliteStore(tmp_path / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        if request.param == "store":
            yield Shelf(store, StoreTextIndex(store), _nothing)
            return
        if "fast core" in request.param:
            yield Shelf(store, _in_process(store, roomy=request.param == "fast core"), _nothing)
            return
        qdrant = await stack.enter_async_context(running_qdrant())
        collection = qdrant.collection(MODEL)
        projection = QdrantProjection(collection)
        await projection.open()
        share = SHARES[request.param]

        async def work() -> None:
            await synchronise(store, projection, MODEL, share=share)

        yield Shelf(store, QdrantTextIndex(store, collection), work)


def _in_process(store: SqliteStore, *, roomy: bool) -> TextIndex:
    budget_bytes = 10**8 if roomy else 1
    room = Room(store, 3, budget_bytes=budget_bytes)
    words = FastWords(store, budget=Budget(budget_bytes), room=room)
    return FittingTextIndex(words, StoreTextIndex(store), fits=words.fits)


async def _nothing() -> None:
    """Nothing stands between a store and its own lexicon."""


async def test_finds_what_holds_any_of_the_words(shelf: Shelf) -> None:
    kettle, tea, other = a_memory("the kettle"), a_memory("hot tea"), a_memory("a chair")
    await shelf.keep(kettle, tea, other)

    found = await shelf.index.nominate(["kettle", "tea"], exactly(), Filter(), limit=10)

    assert {kettle.id, tea.id} == set(found)
    assert len(found) == 2
    assert [] == await shelf.index.nominate(["nowhere"], exactly(), Filter(), limit=10)
    assert [] == await shelf.index.nominate([], exactly(), Filter(), limit=10)


async def test_keeps_to_the_scope_and_the_filter(shelf: Shelf) -> None:
    here = a_memory("tea", namespace=Namespace("acme"), tags=("hot",), payload={"cups": 2})
    deep = a_memory("tea", namespace=Namespace("acme/a"), payload={"cups": 2**60})
    away = a_memory("tea", namespace=Namespace("acmee"))
    await shelf.keep(here, deep, away)
    acme = below("acme")

    async def found(scope: Scope = acme, filter: Filter | None = None) -> set[str]:
        return set(await shelf.index.nominate(["tea"], scope, filter or Filter(), limit=10))

    assert {here.id, deep.id} == await found()
    assert {here.id} == await found(exactly(Namespace("acme")))
    assert {here.id} == await found(filter=Filter(tags=("hot",)))
    assert {here.id} == await found(filter=Filter(where=parse_where({"cups": {"lt": 3}})))
    assert {deep.id} == await found(filter=Filter(where=parse_where({"cups": 2**60})))


async def test_finds_what_was_stored_since(shelf: Shelf) -> None:
    old, new = a_memory("tea"), a_memory("tea")
    await shelf.keep(old)
    async with shelf.store.writing() as tx:
        await tx.feed.lock([new.namespace])
        await tx.feed.append([_event(new, 2, EventType.REMEMBERED)])
        await add(tx, replace(new, seq=2))

    found = await shelf.index.nominate(["tea"], exactly(), Filter(), limit=10)

    assert {old.id, new.id} == set(found)


async def test_does_not_find_what_was_forgotten_since(shelf: Shelf) -> None:
    kept, gone = a_memory("tea"), a_memory("tea")
    await shelf.keep(kept, gone)

    await shelf.forget(gone)

    assert [kept.id] == await shelf.index.nominate(["tea"], exactly(), Filter(), limit=10)


async def test_rare_words_come_before_common_ones(shelf: Shelf) -> None:
    rare = a_memory("saffron today")
    await shelf.keep(rare, *(a_memory(f"tea number {number}") for number in range(10)))
    await shelf.work()

    found = await shelf.index.nominate(["tea", "saffron"], exactly(), Filter(), limit=3)

    assert rare.id in found


async def test_finds_what_was_committed_before_while_others_write_and_give_up(shelf: Shelf) -> None:
    async def ask_and_give_up() -> None:
        asking = asyncio.ensure_future(
            shelf.index.nominate(["tea"], below("acme"), Filter(), limit=50)
        )
        await asyncio.sleep(0)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking

    async def write_and_ask(space: str) -> None:
        for _ in range(6):
            memory = a_memory("tea", namespace=Namespace(f"acme/{space}"))
            await shelf.keep(memory)
            found, _ = await asyncio.gather(
                shelf.index.nominate(["tea"], below("acme"), Filter(), limit=50),
                ask_and_give_up(),
            )
            assert memory.id in found

    await asyncio.gather(*(write_and_ask(space) for space in "abc"))
