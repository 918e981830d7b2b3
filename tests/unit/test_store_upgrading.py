"""A database of the first schema comes up to date with what it holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

import adapters
from adapters.postgres.store import PostgresStore
from adapters.sqlite.migrate import APPLICATION_ID
from adapters.sqlite.store import SqliteStore
from domain.namespace import Namespace

_SCRIPTS = Path(adapters.__file__).parent
_NAMESPACES = "INSERT INTO namespaces (path, head) VALUES ('old', 2), ('empty', 0)"
_EVENTS = (
    "INSERT INTO events (namespace_id, seq, id, type, memory_id, version, at, changed) VALUES"
    " (1, 1, 'e1', 'memory.remembered', 'm1', 1, 0, '{0}'),"
    " (1, 2, 'e2', 'memory.forgotten', 'm1', 1, 0, '{0}')"
)


def _first_script(engine: str) -> str:
    return (_SCRIPTS / engine / "migrations" / "0001_first.sql").read_text("utf-8")


async def _expect_all_to_wait(store: SqliteStore | PostgresStore) -> None:
    """Every old event is there, and new to every projection."""
    await store.open()
    try:
        async with store.reading() as tx:
            found = await tx.projections.outstanding("index", shard=0, shards=1, limit=10)
            assert [(event.seq, event.trace) for event in found] == [(1, None), (2, None)]
            assert await tx.projections.backlog("index") == 2
            assert await tx.feed.after(Namespace("old"), 0, limit=10) == found
        assert await store.check() == []
    finally:
        await store.close()


async def test_upgrades_a_first_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "soma.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_first_script("sqlite"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(_NAMESPACES)
        connection.execute(_EVENTS.format("[]"))
        connection.commit()

    await _expect_all_to_wait(SqliteStore(path))


async def test_upgrades_a_first_postgres_database(postgres_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute("DROP SCHEMA public CASCADE")
        await connection.execute("CREATE SCHEMA public")
        await connection.execute(_first_script("postgres").encode())
        await connection.execute(
            "CREATE TABLE soma_schema"
            " (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute("INSERT INTO soma_schema (version) VALUES (1)")
        await connection.execute(_NAMESPACES)
        await connection.execute(_EVENTS.format("{}").encode())

    await _expect_all_to_wait(PostgresStore(postgres_url))
