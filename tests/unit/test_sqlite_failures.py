"""What the SQLite store says when the disk, or the file, gives up."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.sqlite.failures import soma_error
from adapters.sqlite.session import Session
from adapters.sqlite.store import SqliteStore
from adapters.sqlite.transaction import SqliteTransaction
from domain.errors import DataDirectoryCorrupt, StoreUnavailable
from domain.filter import Filter
from tests.contracts.store_fixtures import START, a_memory, exactly, ids, stored


def failing(code: int) -> sqlite3.OperationalError:
    """Build an error with a result code, as the library raises it."""
    error = sqlite3.OperationalError("something")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (sqlite3.SQLITE_FULL, StoreUnavailable, "the disk is full"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StoreUnavailable, "read-only"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnavailable, "locked by another process"),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreUnavailable, "the disk does not answer"),
        (sqlite3.SQLITE_CORRUPT_VTAB, DataDirectoryCorrupt, "damaged or not a database"),
        (sqlite3.SQLITE_NOTADB, DataDirectoryCorrupt, "damaged or not a database"),
    ],
)
def test_translates_every_failure_of_the_outside(
    code: int, kind: type[Exception], sentence: str
) -> None:
    error = soma_error(failing(code), Path("soma.db"))

    assert isinstance(error, kind)
    assert sentence in str(error)


def test_leaves_mistakes_of_the_program_as_they_are() -> None:
    assert soma_error(failing(sqlite3.SQLITE_CONSTRAINT_UNIQUE), Path("soma.db")) is None
    assert soma_error(failing(sqlite3.SQLITE_ERROR), Path("soma.db")) is None
    assert soma_error(sqlite3.ProgrammingError("closed"), Path("soma.db")) is None


async def test_says_that_the_disk_is_full_and_recovers(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "soma.db")
    await store.open()
    kept = a_memory("kept")
    await stored(store, kept)
    await _limit_pages(store, 60)

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await stored(store, *(a_memory("x" * 3000) for _ in range(100)))

    await _limit_pages(store, 1_000_000)
    second = a_memory("second")
    await stored(store, second)
    async with store.reading() as tx:
        found = await tx.memories.find_ids(exactly(), Filter())
    assert set(found) == {kept.id, second.id}
    assert await store.check() == []
    await store.close()


async def _limit_pages(store: SqliteStore, pages: int) -> None:
    channel = store._opened()

    def limit(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await channel.run(limit)


async def test_says_that_another_process_holds_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.sqlite.connection.BUSY_TIMEOUT_SECONDS", 0.05)
    store = SqliteStore(tmp_path / "soma.db")
    await store.open()
    with closing(sqlite3.connect(tmp_path / "soma.db", isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable, match="locked by another process"):
            await stored(store, a_memory())

        intruder.execute("ROLLBACK")
    await stored(store, a_memory())
    await store.close()


async def test_says_that_the_file_was_damaged_while_it_was_open(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    memories = [a_memory(f"memory {number} " * 20) for number in range(300)]
    await stored(store, *memories)
    await store.close()
    await store.open()
    with path.open("r+b") as file:
        size = path.stat().st_size
        for start in range(40 * 4096, size, 4096):
            file.seek(start)
            file.write(b"\xa5" * min(4096, size - start))

    with pytest.raises(DataDirectoryCorrupt, match="damaged"):
        async with store.reading() as tx:
            await tx.memories.get(ids(memories))

    await store.close()


async def test_every_call_of_a_repository_goes_through_the_session(tmp_path: Path) -> None:
    """The session translates errors and refuses what is over: nothing may go round it."""
    store = SqliteStore(tmp_path / "soma.db")
    await store.open()
    session = Session(store._opened(), "BEGIN")
    transaction = SqliteTransaction(session)
    await session.roll_back()

    methods = [
        method
        for repository in vars(transaction).values()
        for _, method in inspect.getmembers(repository, inspect.iscoroutinefunction)
    ]
    for method in methods:
        with pytest.raises(RuntimeError, match="the transaction is over"):
            await _called_with_nothing(method)
    assert len(methods) > 35
    await store.close()


async def _called_with_nothing(method: Callable[..., Awaitable[object]]) -> None:
    parameters = inspect.signature(method).parameters.values()
    needed = [one for one in parameters if one.default is inspect.Parameter.empty]
    keywords = {one.name: None for one in needed if one.kind is inspect.Parameter.KEYWORD_ONLY}
    await method(*[()] * (len(needed) - len(keywords)), **keywords)


@pytest.mark.parametrize("spoil", ["memories", "documents", "events", "frequency", "index"])
async def test_check_finds_what_was_spoilt(tmp_path: Path, spoil: str) -> None:
    statements = {
        "memories": "UPDATE namespaces SET memories = memories + 1",
        "documents": "UPDATE namespaces SET own_length = own_length + 1",
        "events": "UPDATE namespaces SET head = 5",
        "frequency": "UPDATE lexical_terms SET own_df = own_df + 1 WHERE term = 'kettle'",
        "index": "UPDATE memory_terms SET own = replace(own, 'kettle', 'bottle')",
    }
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    await stored(store, a_memory())
    assert await store.check() == []
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute(statements[spoil])

    assert await store.check() != []

    await store.close()


async def test_check_finds_a_vector_without_a_live_memory(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    store = SqliteStore(path)
    await store.open()
    memory = a_memory()
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.memories.forget([memory.id], at=START, actor="tester")
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute(
            "INSERT INTO embeddings (memory, role, model, version, input_hash, vector)"
            " VALUES (1, 'own', 'm', 1, 'h', x'00')"
        )

    (finding,) = await store.check()

    assert finding.subject == "embeddings"
    await store.close()


async def test_close_waits_for_those_who_read_and_write(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "soma.db")
    await store.open()
    memory = a_memory()
    begun = asyncio.Event()

    async def write() -> None:
        async with store.writing() as tx:
            begun.set()
            await tx.memories.add([memory], actor="tester")

    async def read() -> int:
        async with store.reading() as tx:
            return len(await tx.memories.find(exactly(), Filter(), limit=1))

    task, readers = asyncio.create_task(write()), asyncio.gather(*(read() for _ in range(6)))
    await begun.wait()
    await store.close()
    await task
    await readers

    await store.open()
    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {memory.id: memory}
    await store.close()
