"""Recall with a Qdrant that is killed, silent, swallowed by the network, or lost.

The server is a stand-in that serves the client's local mode: what is tested is the adapter and what
stands behind it, not Qdrant.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.fallback.circuit import Circuit
from adapters.fallback.index import FallbackIndex
from adapters.fallback.text_index import FallbackTextIndex
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.room import Room
from adapters.qdrant.collection import Collection
from adapters.qdrant.connection import QdrantConnection
from adapters.qdrant.index import QdrantIndex
from adapters.qdrant.projection import QdrantProjection
from adapters.qdrant.text_index import QdrantTextIndex
from adapters.sqlite.store import SqliteStore
from adapters.store_text_index import StoreTextIndex
from contracts.journal import MODEL, Journal
from domain.errors import IndexUnavailable
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import VectorNominations
from domain.vector import unit_vector
from tests.contracts.projecting import synchronise
from tests.servers.proxy import Mode, Proxy
from tests.servers.qdrant_stand_in import stand_in
from tests.servers.server import ServerProcess

HERE = Scope(Namespace("default"))
EAST = unit_vector([1.0, 0.0, 0.0])
PATIENCE_SECONDS = 0.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A stand-in for Qdrant."""
    running = stand_in(tmp_path_factory.mktemp("qdrant"))
    running.start()
    yield running
    running.kill()


@dataclass(frozen=True, slots=True)
class Bench:
    """A store with two memories in it, of which Qdrant knows the first."""

    store: SqliteStore
    collection: Collection
    projection: QdrantProjection
    journal: Journal

    async def nearest(self) -> VectorNominations:
        """Ask Qdrant and nobody else."""
        index = QdrantIndex(self.store, self.collection)
        return await index.nominate(EAST, HERE, Filter(), limit=10)

    async def with_stand_in(self, *, budget_bytes: int = 10**8) -> VectorNominations:
        """Ask Qdrant, or else the Fast Core."""
        index = FallbackIndex(
            QdrantIndex(self.store, self.collection),
            FastCore(self.store, MODEL, 3, budget=Budget(budget_bytes)),
            fits=Room(self.store, 3, budget_bytes=budget_bytes),
            circuit=Circuit(time.monotonic),
        )
        found = await index.nominate(EAST, HERE, Filter(), limit=10)
        ids = [id for id, _ in found.own]
        cosines = {id: (score, None) for id, score in found.own}
        assert cosines == await index.similarities(EAST, ids)
        assert len(ids) == len(await index.pairwise(ids))
        return found


@asynccontextmanager
async def bench(url: str, folder: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        store = SqliteStore(folder / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        connection = QdrantConnection(
            url, read_seconds=PATIENCE_SECONDS, write_seconds=4 * PATIENCE_SECONDS
        )
        stack.push_async_callback(connection.close)
        collection = Collection(connection, MODEL, 3, prefix=folder.name)
        journal = Journal(store)
        projection = QdrantProjection(collection)
        await journal.remember("told", own=[1, 0, 0])
        await synchronise(store, projection, MODEL)
        await journal.remember("untold", own=[0, 1, 0])
        yield Bench(store, collection, projection, journal)


def ids(found: VectorNominations) -> list[str]:
    return [id for id, _ in found.own]


async def test_survives_a_killed_server(server: ServerProcess, tmp_path: Path) -> None:
    async with bench(server.url, tmp_path) as here:
        assert ["told", "untold"] == ids(await here.nearest())

        server.kill()
        try:
            with pytest.raises(IndexUnavailable):
                await here.nearest()
            with pytest.raises(IndexUnavailable):
                await synchronise(here.store, here.projection, MODEL)
            substitute = await here.with_stand_in()
        finally:
            server.start()

        assert ["told", "untold"] == ids(substitute)
        assert substitute.substitute
        await synchronise(here.store, here.projection, MODEL)
        back = await here.with_stand_in()
        assert ["told", "untold"] == ids(back)
        assert not back.substitute


async def test_does_not_wait_for_a_silent_server(server: ServerProcess, tmp_path: Path) -> None:
    async with bench(server.url, tmp_path) as here:
        server.pause()
        try:
            started = time.monotonic()
            found = await here.with_stand_in()
            took = time.monotonic() - started
        finally:
            server.resume()

        assert found.substitute
        assert took < 10 * PATIENCE_SECONDS
        assert ["told", "untold"] == ids(await here.nearest())


async def test_a_network_that_swallows_everything_is_an_unavailable_index(
    server: ServerProcess, tmp_path: Path
) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    with Proxy(port).running() as proxy:
        async with bench(f"http://127.0.0.1:{proxy.port}", tmp_path) as here:
            proxy.set(Mode.BLACK_HOLE)
            with pytest.raises(IndexUnavailable):
                await here.projection.ping()
            assert (await here.with_stand_in()).substitute

            proxy.set(Mode.REFUSE)
            with pytest.raises(IndexUnavailable):
                await here.nearest()

            proxy.set(Mode.FORWARD)
            assert ["told", "untold"] == ids(await here.nearest())


async def test_a_slow_failure_is_waited_for_once(server: ServerProcess, tmp_path: Path) -> None:
    async with bench(server.url, tmp_path) as here:
        circuit = Circuit(time.monotonic, rest_seconds=60)
        words = FallbackTextIndex(
            QdrantTextIndex(here.store, here.collection),
            StoreTextIndex(here.store),
            circuit=circuit,
        )
        index = FallbackIndex(
            QdrantIndex(here.store, here.collection),
            FastCore(here.store, MODEL, 3, budget=Budget(10**8)),
            fits=Room(here.store, 3, budget_bytes=10**8),
            circuit=circuit,
        )
        server.pause()
        try:
            await words.nominate(["memory"], HERE, Filter(), limit=10)
            started = time.monotonic()
            for _ in range(5):
                assert (await index.nominate(EAST, HERE, Filter(), limit=10)).substitute
            took = time.monotonic() - started
        finally:
            server.resume()

        assert took < PATIENCE_SECONDS


async def test_a_scope_too_large_to_load_has_no_stand_in(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with bench(server.url, tmp_path) as here:
        server.pause()
        try:
            with pytest.raises(IndexUnavailable):
                await here.with_stand_in(budget_bytes=1)
        finally:
            server.resume()


async def test_an_index_that_was_lost_is_not_taken_for_an_empty_one(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with bench(server.url, tmp_path) as here:
        assert ["told", "untold"] == ids(await here.nearest())
        other = QdrantConnection(server.url)
        await other.write(lambda client: client.delete_collection(here.collection.name))

        with pytest.raises(IndexUnavailable):
            await here.nearest()
        await QdrantProjection(Collection(other, MODEL, 3, prefix=tmp_path.name)).open()
        # Nothing has been told to the new one: everything comes from the store.
        assert ["told", "untold"] == ids(await here.nearest())

        await other.close()


async def test_too_much_that_qdrant_lacks_is_an_unavailable_index(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.qdrant.overlay.OVERLAY_MAX", 1)
    async with bench(server.url, tmp_path) as here:
        assert ["told", "untold"] == ids(await here.nearest())
        await here.journal.remember("another", own=[0, 0, 1])

        with pytest.raises(IndexUnavailable):
            await here.nearest()
        found = await here.with_stand_in()

    assert found.substitute
    assert {MemoryId("told"), MemoryId("untold"), MemoryId("another")} == set(ids(found))
