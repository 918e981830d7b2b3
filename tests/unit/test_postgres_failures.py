"""A PostgreSQL that fails: what the core is told, and that the store goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres.store import PostgresStore
from domain.errors import DataDirectoryNewer, StoreUnavailable
from tests.contracts.store_fixtures import a_memory, analysed, revised, stored


@asynccontextmanager
async def opened(url: str, **options: float) -> AsyncIterator[PostgresStore]:
    """Open a store and close it."""
    store = PostgresStore(url, **options)  # type: ignore[arg-type]
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def answers(store: PostgresStore) -> bool:
    """Tell whether the store answers within its own patience."""
    try:
        await store.ping()
    except StoreUnavailable:
        return False
    return True


class Network:
    """A line to the server that can be made to swallow everything, and be cut."""

    def __init__(self, url: str) -> None:
        parts = conninfo_to_dict(url)
        self._host, self._port = str(parts["host"]), str(parts.get("port") or 5432)
        self._lines: set[asyncio.StreamWriter] = set()
        self.flows = asyncio.Event()
        self.flows.set()
        self.url = url

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what one client and the server say."""
        if self._host.startswith("/"):
            path = f"{self._host}/.s.PGSQL.{self._port}"
            server_reader, server_writer = await asyncio.open_unix_connection(path)
        else:
            server_reader, server_writer = await asyncio.open_connection(
                self._host, int(self._port)
            )
        self._lines |= {writer, server_writer}
        await asyncio.gather(self._carry(reader, server_writer), self._carry(server_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """End every connection that there is."""
        for line in self._lines:
            line.close()


@asynccontextmanager
async def network(url: str) -> AsyncIterator[Network]:
    """Put a network before the server."""
    net = Network(url)
    async with await asyncio.start_server(net.connect, "127.0.0.1", 0) as listener:
        address = listener.sockets[0].getsockname()
        net.url = make_conninfo(url, host=address[0], port=address[1], sslmode="disable")
        yield net
        net.flows.set()
        net.cut()


async def cut_connections(url: str) -> None:
    """Have the server end every session of the store."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'soma' AND datname = current_database()"
        )


async def test_says_that_nothing_answers_without_showing_the_password() -> None:
    store = PostgresStore("postgresql://soma:secret@127.0.0.1:1/soma")

    with pytest.raises(StoreUnavailable, match="does not answer") as refusal:
        await store.open()

    assert "secret" not in str(refusal.value)
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.ping()


async def test_replaces_connections_that_died_while_nobody_looked(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        await asyncio.gather(*(store.ping() for _ in range(5)))
        await cut_connections(postgres_url)

        await stored(store, a_memory())


async def test_a_change_whose_connection_is_cut_is_absent(postgres_url: str) -> None:
    memory = a_memory()
    async with opened(postgres_url) as store:

        async def change() -> None:
            async with store.writing() as tx:
                await tx.memories.add([memory], actor="tester")
                await cut_connections(postgres_url)
                await tx.lexicon.put({})

        with pytest.raises(StoreUnavailable):
            await change()
        async with store.reading() as tx:
            assert await tx.memories.get([memory.id]) == {}
        assert await store.check() == []


async def test_a_statement_that_takes_too_long_is_given_up(postgres_url: str) -> None:
    memory = a_memory()
    async with (
        opened(postgres_url) as first,
        opened(postgres_url, statement_timeout_seconds=0.2) as second,
        first.writing() as tx,
    ):
        await tx.memories.add([memory], actor="tester")

        with pytest.raises(StoreUnavailable, match="took too long"):
            await stored(second, a_memory())


async def test_a_server_that_does_not_keep_its_own_timeout_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgres.store._GRACE_SECONDS", 0.2)
    async with opened(postgres_url, statement_timeout_seconds=0.2) as store:

        async def wait_for_ever() -> None:
            async with store.writing() as tx:
                # The server is told to wait for longer than anybody here is willing to.
                session = tx.settings._session  # type: ignore[attr-defined]
                await session.run("SET LOCAL statement_timeout = 0")
                await session.run("SELECT pg_sleep(30)")

        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await wait_for_ever()
        assert time.monotonic() - began < 5
        await store.ping()


async def test_a_network_that_swallows_everything_is_given_up_and_comes_back(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgres.store._GRACE_SECONDS", 0.2)
    memory = a_memory()
    async with network(postgres_url) as net:
        options = {"statement_timeout_seconds": 0.3, "waiting_timeout_seconds": 1.0}
        async with opened(net.url, **options) as store:

            async def change() -> None:
                async with store.writing() as tx:
                    await tx.memories.add([memory], actor="tester")
                    net.flows.clear()
                    await tx.lexicon.put({memory.id: analysed("kettle")})

            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await change()
            with pytest.raises(StoreUnavailable):
                await store.ping()
            assert time.monotonic() - began < 10

            net.cut()
            net.flows.set()
            async with asyncio.timeout(30):
                while not await answers(store):
                    pass
            async with store.reading() as tx:
                assert await tx.memories.get([memory.id]) == {}


async def test_two_who_revise_the_same_memory_take_turns(postgres_url: str) -> None:
    memory = a_memory("first")
    async with opened(postgres_url) as store:
        await stored(store, memory)

        async def revise(number: int) -> None:
            async with store.writing() as tx:
                current = (await tx.memories.get([memory.id]))[memory.id]
                await tx.memories.replace([revised(current, f"by {number}")], actor="tester")

        await asyncio.gather(*map(revise, range(8)))

        async with store.reading() as tx:
            history = await tx.memories.history(memory.id)
    assert [version.version for version in history] == list(range(9, 0, -1))


async def test_two_who_link_in_opposite_directions_do_not_block_each_other(
    postgres_url: str,
) -> None:
    spaces = ["a", "b", "c"]
    async with opened(postgres_url) as store:

        async def lock(number: int) -> None:
            order = spaces[number % 3 :] + spaces[: number % 3]
            async with store.writing() as tx:
                await tx.feed.lock(order)  # type: ignore[arg-type]

        await asyncio.gather(*map(lock, range(30)))


async def test_refuses_a_database_of_a_newer_version(postgres_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute("INSERT INTO soma_schema (version) VALUES (9999)")
        try:
            with pytest.raises(DataDirectoryNewer, match="schema version 9999"):
                await PostgresStore(postgres_url).open()
        finally:
            await connection.execute("DELETE FROM soma_schema WHERE version = 9999")


async def test_replicas_that_start_together_migrate_once(postgres_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute("DROP SCHEMA IF EXISTS fresh CASCADE")
        await connection.execute("CREATE SCHEMA fresh")
    url = make_conninfo(postgres_url, options="-c search_path=fresh")
    stores = [PostgresStore(url) for _ in range(3)]

    await asyncio.gather(*(store.open() for store in stores))

    memory = replace(a_memory(), payload={"a": 1.0})
    await stored(stores[0], memory)
    async with stores[1].reading() as tx:
        assert await tx.memories.get([memory.id]) == {memory.id: memory}
    for store in stores:
        await store.close()
