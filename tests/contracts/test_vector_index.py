"""Every vector index of ours is held to the contract; what only Fast Core promises comes after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.sqlite.store import SqliteStore
from contracts.journal import MODEL, Journal
from contracts.vector_history import ACME
from contracts.vector_index import ALL, DEFAULT, EAST, NORTH, VectorIndexContract, own_ids
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, VectorIndex
from domain.vector import unit_vector
from tests.contracts.projecting import FollowedQdrant
from tests.qdrant_server import running_qdrant


def fast_core(store: CanonicalStore, budget_bytes: int = 10**8) -> FastCore:
    return FastCore(store, MODEL, 3, budget=Budget(budget_bytes))


class TestFastCore(VectorIndexContract):
    """In this process."""

    @asynccontextmanager
    async def following(self, store: CanonicalStore) -> AsyncIterator[VectorIndex]:
        """Give Fast Core."""
        yield fast_core(store)


class TestQdrantUntold(VectorIndexContract):
    """The worker has applied nothing of what is new when Qdrant is asked."""

    share = 0.0

    @asynccontextmanager
    async def following(self, store: CanonicalStore) -> AsyncIterator[VectorIndex]:
        """Give Qdrant."""
        async with running_qdrant() as qdrant:
            yield FollowedQdrant(store, qdrant.collection(MODEL), share=self.share)


class TestQdrantHalfTold(TestQdrantUntold):
    """The worker has applied half of it."""

    share = 0.5


class TestQdrantTold(TestQdrantUntold):
    """The worker has applied all of it."""

    share = 1.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty canonical store."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def journal(store: SqliteStore) -> Journal:
    """Writes to the store."""
    return Journal(store)


async def test_reset_gives_the_memory_of_a_process_back(
    store: SqliteStore, journal: Journal
) -> None:
    index = fast_core(store)
    await journal.remember("a", own=EAST)
    await index.catch_up(DEFAULT)

    await index.reset()

    assert {} == await index.similarities(unit_vector(EAST), [MemoryId("a")])


async def test_a_tiny_budget_costs_time_but_no_answer(store: SqliteStore, journal: Journal) -> None:
    index = fast_core(store, budget_bytes=1)
    for name in ("a", "b", "c"):
        await journal.remember(name, f"acme/{name}", own=EAST)

    for _ in range(2):
        assert ["a", "b", "c"] == await own_ids(index, ACME)
        await index.catch_up(ACME)
    assert ["b"] == await own_ids(index, Scope(Namespace("acme/b")))


async def test_readers_never_see_half_of_a_change(store: SqliteStore, journal: Journal) -> None:
    """Each round turns every vector at once; an answer mixes no two rounds that were caught up."""
    index = fast_core(store)
    ids = [await journal.remember(f"{number:02}", own=EAST) for number in range(4)]
    await index.catch_up(DEFAULT)
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(8):
            for id in ids:
                await journal.embed(id, own=[NORTH, EAST][turn % 2])
            await index.catch_up(DEFAULT)
        done.set()

    async def read() -> int:
        answers = 0
        while not done.is_set():
            found = await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=50)
            assert ids == sorted(id for id, _ in found.own)
            await asyncio.sleep(0)
            answers += 1
        return answers

    _, *answers = await asyncio.gather(write(), read(), read())

    assert all(answers)
