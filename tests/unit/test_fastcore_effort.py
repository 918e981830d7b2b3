"""How much Fast Core does: counted, not timed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from adapters.fastcore import scan, searching, shelf
from adapters.fastcore.blocks import Ints
from adapters.fastcore.budget import Budget
from adapters.fastcore.chunk import Question, sealed
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.matching import Listed, Target, best
from adapters.fastcore.postings import Postings
from adapters.sqlite.store import SqliteStore
from contracts.journal import MODEL, Journal
from domain.filter import Filter, parse_where
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import IndexedTerms, Transaction
from domain.vector import unit_vector

ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)
OPEN = (-np.inf, np.inf, np.inf)
RANDOM = np.random.default_rng(11)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Ninety memories in three namespaces; every third has two vectors."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    journal = Journal(opened)
    for number, row in enumerate(RANDOM.normal(size=(90, 8)).tolist()):
        context = row[::-1] if number % 3 == 0 else None
        await journal.remember(
            f"m{number:02}",
            f"acme/{number % 3}",
            own=row,
            context=context,
            payload={"n": number},
        )
    yield opened
    await opened.close()


def core(store: SqliteStore, budget_bytes: int = 10**8) -> FastCore:
    return FastCore(store, MODEL, 8, budget=Budget(budget_bytes))


def reads(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every transaction from now on."""
    noted: list[str] = []
    reading = store.reading

    @asynccontextmanager
    async def counted() -> AsyncIterator[Transaction]:
        noted.append("reading")
        async with reading() as tx:
            yield tx

    monkeypatch.setattr(store, "reading", counted)
    return noted


async def test_a_question_to_a_loaded_scope_asks_the_store_nothing_whatever_the_filter(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = core(store)
    await index.catch_up(ACME)
    asked = reads(store, monkeypatch)

    for filter in (Filter(), Filter(where=parse_where({"n": {"gte": 80}}))):
        found = await index.nominate(unit_vector([1.0] * 8), ACME, filter, limit=90)
        await index.similarities(unit_vector([1.0] * 8), [id for id, _ in found.own])
        assert found.own

    assert asked == []


async def test_a_memory_without_a_context_vector_takes_no_room_for_one(
    store: SqliteStore,
) -> None:
    index = core(store)

    await index.catch_up(ACME)

    assert index.vector_bytes <= 1.3 * (90 + 30) * 8 * 4


async def test_a_scope_beyond_the_budget_is_not_read_anew_as_a_whole(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = core(store)
    await whole.catch_up(ACME)
    index = core(store, budget_bytes=whole._budget.used_by(whole) * 2 // 3)
    query = unit_vector([1.0] * 8)
    expected = await whole.nominate(query, ACME, Filter(), limit=90)
    await index.nominate(query, ACME, Filter(), limit=90)
    asked = reads(store, monkeypatch)

    found = await index.nominate(query, ACME, Filter(), limit=90)

    assert expected == found
    assert len(asked) < 3
    ids = [id for id, _ in found.own]
    assert await whole.similarities(query, ids) == await index.similarities(query, ids)


async def test_a_long_search_leaves_the_event_loop_alone(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search waits for something that only the event loop can do."""
    monkeypatch.setattr(searching, "_INLINE_COST", -1)
    index = core(store)
    await index.catch_up(ACME)
    has_turned = threading.Event()
    nearest = scan.nearest
    turns = []

    def waiting(*arguments: object) -> object:
        turns.append(has_turned.wait(30))
        return nearest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "nearest", waiting)
    search = asyncio.create_task(index.nominate(unit_vector([1.0] * 8), ACME, Filter(), limit=5))
    while not turns and not has_turned.is_set():
        await asyncio.sleep(0)
        has_turned.set()

    assert (await search).own
    assert all(turns)


def test_codes_leave_few_vectors_to_be_scored_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = RANDOM.normal(size=(20_000, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    chunk = sealed(rows)
    question = Question.of(rows[0])

    found = chunk.nearest(question, 600, None)

    true = rows[found.slots] @ rows[0]
    assert np.abs(true - found.scores).max() <= found.error < 0.05
    floor = np.sort(found.scores - found.error)[-50]
    assert found.rest + found.error < floor
    assert (found.scores + found.error >= floor).sum() < 500


def test_of_common_words_only_those_postings_are_added_up_that_can_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postings = Postings("epoch", 0)
    texts = [f"common w{number % 7} " + "rare" * (number % 100 == 0) for number in range(3000)]
    items = [
        IndexedTerms(MemoryId(f"{number:05}"), text.strip(), None, OPEN)
        for number, text in enumerate(texts)
    ]
    postings.install(postings.prepared(items, (), 1))
    added: list[int] = []
    worth = Listed.worth

    def counted(one: Listed, rows: Ints, counts: Ints) -> object:
        added.append(len(rows))
        return worth(one, rows, counts)

    monkeypatch.setattr(Listed, "worth", counted)

    found = best(["common", "rare"], [Target(postings.view, None)], 10)

    assert [f"{number:05}" for number in range(0, 1000, 100)] == found
    assert sum(added) < 3000


def test_few_chunks_hold_many_vectors() -> None:
    rows = RANDOM.normal(size=(shelf.LARGE + 3 * shelf.SMALL + 5, 4)).astype(np.float32)

    filled = shelf.Shelf.empty(4).extended(rows, np.arange(len(rows), dtype=np.int32))

    assert [chunk.count for chunk in filled.chunks] == [shelf.LARGE, *[shelf.SMALL] * 3]
    assert filled.tail_count == 5
    assert np.array_equal(filled.taken(np.array([0, 70_000, len(rows) - 1])), rows[[0, 70_000, -1]])
