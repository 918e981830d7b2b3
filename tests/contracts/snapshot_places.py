"""Places that a store may be in, each with a way to look at every row of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from adapters.postgres.snapshots import PostgresSnapshots
from adapters.postgres.store import PostgresStore
from adapters.sqlite.snapshots import SqliteSnapshots
from adapters.sqlite.store import SqliteStore

#: Not of the content: the schema, watermarks of another epoch, what the index makes of its table.
_NOT_COMPARED = {"soma_schema", "projections", "projection_horizons", "feed_moves", "jobs"}

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Place:
    """A store, closed or open, and what makes copies of it."""

    snapshots: SqliteSnapshots | PostgresSnapshots
    make: Callable[[], SqliteStore | PostgresStore]
    rows: Callable[[], Rows]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SqliteStore | PostgresStore]:
        """Open the store for as long as the block runs."""
        store = self.make()
        await store.open()
        try:
            yield store
        finally:
            await store.close()


NewPlace = Callable[[], AbstractAsyncContextManager[Place]]


def sqlite_place(path: Path) -> Place:
    """Return a place in a file."""
    return Place(SqliteSnapshots(path), lambda: SqliteStore(path), lambda: sqlite_rows(path))


def postgres_place(url: str) -> Place:
    """Return a place in a database."""
    return Place(PostgresSnapshots(url), lambda: PostgresStore(url), lambda: postgres_rows(url))


def sqlite_rows(path: Path) -> Rows:
    """Return every row but for the epoch."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
            " AND name NOT LIKE 'lexical_index%'"
        ).fetchall()
        return {
            name: _content(connection.execute(f"SELECT * FROM {name}").fetchall())
            for (name,) in names
            if name not in _NOT_COMPARED
        }


def postgres_rows(url: str) -> Rows:
    """Return every row but for the epoch."""
    with psycopg.connect(url, autocommit=True, application_name="test") as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
        return {
            name: _content(
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
            )
            for (name,) in names
            if name not in _NOT_COMPARED
        }


def _content(rows: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in rows if row[0] != "epoch"), key=repr)
