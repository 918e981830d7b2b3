"""Whether a scope has room in the Fast Core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.room import Room
from adapters.sqlite.store import SqliteStore
from contracts.journal import MODEL, Journal
from domain.filter import Filter
from domain.namespace import Namespace, Scope, ScopeKind
from domain.vector import unit_vector

ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store with thirty memories below `acme` and one beside it."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    journal = Journal(opened)
    for number in range(30):
        await journal.remember(f"m{number}", f"acme/{number % 3}", own=[1, 0, 0])
    await journal.remember("other", "acmee", own=[1, 0, 0])
    yield opened
    await opened.close()


async def test_what_fits_is_not_evicted(store: SqliteStore) -> None:
    budget_bytes = 100_000
    core = FastCore(store, MODEL, 3, budget=Budget(budget_bytes))

    assert await Room(store, 3, budget_bytes=budget_bytes)(ACME)

    await core.nominate(unit_vector([1, 0, 0]), ACME, Filter(), limit=10)
    ids = [
        id for id, _ in (await core.nominate(unit_vector([1, 0, 0]), ACME, Filter(), limit=30)).own
    ]
    assert 30 == len(await core.similarities(unit_vector([1, 0, 0]), ids))


async def test_a_scope_beyond_the_budget_does_not_fit(store: SqliteStore) -> None:
    room = Room(store, 3, budget_bytes=10_000)

    assert not await room(ACME)
    assert await room(Scope(Namespace("acmee")))
    assert await room(Scope(Namespace("unknown")))


async def test_a_larger_dimension_needs_more_room(store: SqliteStore) -> None:
    assert not await Room(store, 4096, budget_bytes=100_000)(ACME)
