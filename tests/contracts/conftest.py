"""What the contract suites share: one fixture per port, with every adapter as a parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.postgres.store import PostgresStore
from adapters.sqlite.store import SqliteStore
from domain.ports import CanonicalStore
from tests.postgres_server import TestServer


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CanonicalStore]:
    """Give an empty, open canonical store."""
    async with AsyncExitStack() as stack:
        opened: SqliteStore | PostgresStore
        if request.param == "sqlite":
            opened = SqliteStore(tmp_path / "soma.db")
        else:
            server: TestServer = request.getfixturevalue("postgres_server")
            opened = PostgresStore(await stack.enter_async_context(server.database()))
        await opened.open()
        stack.push_async_callback(opened.close)
        yield opened
