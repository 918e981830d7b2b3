"""What every vector index must do, held against brute force over a real store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.sqlite.store import SqliteStore
from domain.errors import DimensionMismatch
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import VectorIndex
from domain.vector import unit_vector
from tests.contracts.journal import MODEL, Journal, moment
from tests.contracts.projecting import FollowedQdrant
from tests.qdrant_server import TestQdrant

EAST, NORTH, UP = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
DEFAULT = Scope(Namespace("default"))
ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)
ALL = Filter()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty canonical store."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def journal(store: SqliteStore) -> Journal:
    """Writes to the store."""
    return Journal(store)


#: How much of what is new the worker has applied when Qdrant is asked.
SHARES = {"qdrant, untold": 0.0, "qdrant, half told": 0.5, "qdrant": 1.0}


@pytest.fixture(params=["fast core", *SHARES])
def index(request: pytest.FixtureRequest, store: SqliteStore) -> VectorIndex:
    """The index under test, following the store."""
    if request.param == "fast core":
        return fast_core(store)
    qdrant: TestQdrant = request.getfixturevalue("qdrant")
    return FollowedQdrant(store, qdrant.collection(MODEL), share=SHARES[request.param])


def fast_core(store: SqliteStore, budget_bytes: int = 10**8) -> FastCore:
    return FastCore(store, MODEL, 3, budget=Budget(budget_bytes))


async def own_ids(
    index: VectorIndex, scope: Scope = DEFAULT, filter: Filter = ALL, limit: int = 10
) -> list[MemoryId]:
    nominations = await index.nominate(unit_vector(EAST), scope, filter, limit=limit)
    return [id for id, _ in nominations.own]


async def test_nominates_per_role_nearest_first_with_cosines(
    index: VectorIndex, journal: Journal
) -> None:
    await journal.remember("a", own=[1, 1, 0], context=EAST)
    await journal.remember("b", own=EAST)
    await journal.remember("c", own=[-1, 0, 0], context=NORTH)
    await journal.remember("d")

    found = await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=10)

    assert ["b", "a", "c"] == [id for id, _ in found.own]
    assert [1.0, math.sqrt(0.5), -1.0] == pytest.approx([score for _, score in found.own])
    assert (("a", 1.0), ("c", 0.0)) == found.context
    assert found.exact


async def test_equal_cosines_are_ordered_by_id_also_at_the_limit(
    index: VectorIndex, journal: Journal
) -> None:
    for id in ("d", "b", "e", "a", "c"):
        await journal.remember(id, own=EAST)

    assert ["a", "b", "c"] == await own_ids(index, limit=3)


async def test_says_which_position_it_answers_from(
    index: VectorIndex, journal: Journal, store: SqliteStore
) -> None:
    await journal.remember("a", own=EAST)
    before = (await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=1)).position
    await journal.remember("b", own=EAST)

    async with store.reading() as tx:
        head = await tx.feed.position(DEFAULT)
    assert before.epoch == head.epoch
    assert before.seq < head.seq
    await index.catch_up(DEFAULT)
    assert head == (await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=1)).position


async def test_catches_up_with_additions_changes_and_removals(
    index: VectorIndex, journal: Journal
) -> None:
    kept = await journal.remember("kept", own=EAST)
    gone = await journal.remember("gone", own=EAST)
    await index.catch_up(DEFAULT)

    await journal.forget(gone)
    await journal.embed(kept, own=UP, context=EAST)
    await journal.remember("new", own=NORTH)
    await index.catch_up(DEFAULT)

    found = await index.nominate(unit_vector(UP), DEFAULT, ALL, limit=10)
    assert (("kept", 1.0), ("new", 0.0)) == found.own
    assert (("kept", 0.0),) == found.context


async def test_an_empty_or_unknown_scope_gives_nothing_from_its_position(
    index: VectorIndex, store: SqliteStore
) -> None:
    for scope in (DEFAULT, ACME):
        found = await index.nominate(unit_vector(EAST), scope, ALL, limit=10)

        async with store.reading() as tx:
            assert await tx.feed.position(scope) == found.position
        assert () == found.own == found.context


async def test_a_subtree_holds_its_descendants_and_discovers_new_ones(
    index: VectorIndex, journal: Journal, store: SqliteStore
) -> None:
    await journal.remember("root", "acme", own=EAST)
    await journal.remember("child", "acme/a", own=EAST)
    await journal.remember("other", "acmee", own=EAST)

    assert ["child", "root"] == await own_ids(index, ACME)
    await journal.remember("late", "acme/a/b", own=EAST)
    await index.catch_up(ACME)
    assert ["child", "late", "root"] == await own_ids(index, ACME)
    async with store.reading() as tx:
        head = await tx.feed.position(ACME)
    assert head == (await index.nominate(unit_vector(EAST), ACME, ALL, limit=1)).position


async def test_filters_apply_before_the_limit(index: VectorIndex, journal: Journal) -> None:
    for number in range(20):
        await journal.remember(f"near{number:02}", own=EAST)
    await journal.remember("far", own=NORTH, tags=("wanted",))

    assert ["far"] == await own_ids(index, filter=Filter(tags=("wanted",)), limit=3)


async def test_validity_is_half_open(index: VectorIndex, journal: Journal) -> None:
    await journal.remember("always", own=EAST)
    await journal.remember("span", own=EAST, valid_from=moment(1), valid_to=moment(2))
    await journal.remember("brief", own=EAST, expires_at=moment(2))

    for days, expected in (
        (0, ["always", "brief"]),
        (1, ["always", "brief", "span"]),
        (2, ["always"]),
    ):
        assert expected == await own_ids(index, filter=Filter(valid_at=moment(days)))


async def test_a_vector_of_another_dimension_is_refused(index: VectorIndex) -> None:
    with pytest.raises(DimensionMismatch):
        await index.nominate(unit_vector([1.0, 0.0]), DEFAULT, ALL, limit=1)
    with pytest.raises(DimensionMismatch):
        await index.similarities(unit_vector([1.0, 0.0]), [])


async def test_similarities_leave_out_what_is_not_indexed(
    index: VectorIndex, journal: Journal
) -> None:
    await journal.remember("a", own=EAST, context=NORTH)
    await journal.remember("b", context=EAST)
    await journal.remember("c")
    await index.catch_up(DEFAULT)

    ids = [MemoryId(id) for id in ("a", "b", "c", "unknown")]
    found = await index.similarities(unit_vector(EAST), ids)

    assert {"a": (1.0, 0.0), "b": (None, 1.0)} == found


async def test_similarities_equal_what_was_nominated(index: VectorIndex, journal: Journal) -> None:
    vector = unit_vector([0.3, -0.7, 0.11])
    for number in range(50):
        await journal.remember(f"{number:02}", own=[math.sin(number), math.cos(number), 0.5])

    nominated = dict((await index.nominate(vector, DEFAULT, ALL, limit=50)).own)

    similar = await index.similarities(vector, list(nominated))
    assert nominated == {id: own for id, (own, _) in similar.items()}


async def test_pairwise_is_zero_where_a_vector_is_missing(
    index: VectorIndex, journal: Journal
) -> None:
    await journal.remember("a", own=EAST)
    await journal.remember("b", own=[1, 1, 0])
    await index.catch_up(DEFAULT)

    found = await index.pairwise([MemoryId(id) for id in ("a", "unknown", "b")])

    half = math.sqrt(0.5)
    expected = np.array([[1, 0, half], [0, 0, 0], [half, 0, 1]])
    assert np.allclose(expected, np.array(found))
    assert [] == await index.pairwise([])


async def test_reset_loses_nothing(index: VectorIndex, journal: Journal) -> None:
    await journal.remember("a", own=EAST)
    await index.catch_up(DEFAULT)

    await index.reset()

    assert ["a"] == await own_ids(index)


async def test_reset_gives_the_memory_of_a_process_back(
    store: SqliteStore, journal: Journal
) -> None:
    index = fast_core(store)
    await journal.remember("a", own=EAST)
    await index.catch_up(DEFAULT)

    await index.reset()

    assert {} == await index.similarities(unit_vector(EAST), [MemoryId("a")])


async def test_another_epoch_forces_a_rebuild(
    index: VectorIndex, journal: Journal, store: SqliteStore
) -> None:
    await journal.remember("a", own=EAST)
    await index.catch_up(DEFAULT)
    async with store.writing() as tx:
        await tx.settings.set("epoch", "another")

    await index.catch_up(DEFAULT)

    found = await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=1)
    assert "another" == found.position.epoch


async def test_a_tiny_budget_costs_time_but_no_answer(store: SqliteStore, journal: Journal) -> None:
    index = fast_core(store, budget_bytes=1)
    for name in ("a", "b", "c"):
        await journal.remember(name, f"acme/{name}", own=EAST)

    for _ in range(2):
        assert ["a", "b", "c"] == await own_ids(index, ACME)
        await index.catch_up(ACME)
    assert ["b"] == await own_ids(index, Scope(Namespace("acme/b")))


async def test_readers_never_see_half_of_a_change(store: SqliteStore, journal: Journal) -> None:
    """Each round turns every vector at once; an answer mixes no two rounds that were caught up."""
    index = fast_core(store)
    ids = [await journal.remember(f"{number:02}", own=EAST) for number in range(4)]
    await index.catch_up(DEFAULT)
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(8):
            for id in ids:
                await journal.embed(id, own=[NORTH, EAST][turn % 2])
            await index.catch_up(DEFAULT)
        done.set()

    async def read() -> int:
        answers = 0
        while not done.is_set():
            found = await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=50)
            assert ids == sorted(id for id, _ in found.own)
            await asyncio.sleep(0)
            answers += 1
        return answers

    _, *answers = await asyncio.gather(write(), read(), read())

    assert all(answers)
