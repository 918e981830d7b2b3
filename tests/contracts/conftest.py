"""What the contract suites share: one fixture per port, with every adapter as a parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.sqlite.store import SqliteStore
from domain.ports import CanonicalStore


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CanonicalStore]:
    """Give an empty, open canonical store."""
    assert request.param == "sqlite"
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()
