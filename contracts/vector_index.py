"""The contract of a vector index: held against brute force over a real store."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sqlite.store import SqliteStore
from contracts.journal import Journal, moment
from contracts.vector_history import ACME, CHANGES, VECTORS, Change, brute_force, made
from domain.errors import DimensionMismatch
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, VectorIndex
from domain.vector import unit_vector

EAST, NORTH, UP = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]
DEFAULT = Scope(Namespace("default"))
ALL = Filter()


async def own_ids(
    index: VectorIndex, scope: Scope = DEFAULT, filter: Filter = ALL, limit: int = 10
) -> list[MemoryId]:
    """Return who is nearest to the east by their own vectors."""
    nominations = await index.nominate(unit_vector(EAST), scope, filter, limit=limit)
    return [id for id, _ in nominations.own]


class VectorIndexContract:
    """Derive a class named `Test...` and say in `following` how the index is made.

    Vectors have 3 dimensions and are of the model `contracts.journal.MODEL`.
    """

    def following(self, store: CanonicalStore) -> AbstractAsyncContextManager[VectorIndex]:
        """Give a new index that follows this store, and clean up after it."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        """An empty canonical store."""
        opened = SqliteStore(tmp_path / "soma.db")
        await opened.open()
        yield opened
        await opened.close()

    @pytest.fixture
    def journal(self, store: SqliteStore) -> Journal:
        """Writes to the store."""
        return Journal(store)

    @pytest.fixture
    async def index(self, store: SqliteStore) -> AsyncIterator[VectorIndex]:
        """The index under test, following the store."""
        async with self.following(store) as made:
            yield made

    async def test_nominates_per_role_nearest_first_with_cosines(
        self, index: VectorIndex, journal: Journal
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
        self, index: VectorIndex, journal: Journal
    ) -> None:
        for id in ("d", "b", "e", "a", "c"):
            await journal.remember(id, own=EAST)

        assert ["a", "b", "c"] == await own_ids(index, limit=3)

    async def test_says_which_position_it_answers_from(
        self, index: VectorIndex, journal: Journal, store: SqliteStore
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
        self, index: VectorIndex, journal: Journal
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
        self, index: VectorIndex, store: SqliteStore
    ) -> None:
        for scope in (DEFAULT, ACME):
            found = await index.nominate(unit_vector(EAST), scope, ALL, limit=10)

            async with store.reading() as tx:
                assert await tx.feed.position(scope) == found.position
            assert () == found.own == found.context

    async def test_a_subtree_holds_its_descendants_and_discovers_new_ones(
        self, index: VectorIndex, journal: Journal, store: SqliteStore
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

    async def test_filters_apply_before_the_limit(
        self, index: VectorIndex, journal: Journal
    ) -> None:
        for number in range(20):
            await journal.remember(f"near{number:02}", own=EAST)
        await journal.remember("far", own=NORTH, tags=("wanted",))

        assert ["far"] == await own_ids(index, filter=Filter(tags=("wanted",)), limit=3)

    async def test_validity_is_half_open(self, index: VectorIndex, journal: Journal) -> None:
        await journal.remember("always", own=EAST)
        await journal.remember("span", own=EAST, valid_from=moment(1), valid_to=moment(2))
        await journal.remember("brief", own=EAST, expires_at=moment(2))

        for days, expected in (
            (0, ["always", "brief"]),
            (1, ["always", "brief", "span"]),
            (2, ["always"]),
        ):
            assert expected == await own_ids(index, filter=Filter(valid_at=moment(days)))

    async def test_a_vector_of_another_dimension_is_refused(self, index: VectorIndex) -> None:
        with pytest.raises(DimensionMismatch):
            await index.nominate(unit_vector([1.0, 0.0]), DEFAULT, ALL, limit=1)
        with pytest.raises(DimensionMismatch):
            await index.similarities(unit_vector([1.0, 0.0]), [])

    async def test_similarities_leave_out_what_is_not_indexed(
        self, index: VectorIndex, journal: Journal
    ) -> None:
        await journal.remember("a", own=EAST, context=NORTH)
        await journal.remember("b", context=EAST)
        await journal.remember("c")
        await index.catch_up(DEFAULT)

        ids = [MemoryId(id) for id in ("a", "b", "c", "unknown")]
        found = await index.similarities(unit_vector(EAST), ids)

        assert {"a": (1.0, 0.0), "b": (None, 1.0)} == found

    async def test_similarities_equal_what_was_nominated(
        self, index: VectorIndex, journal: Journal
    ) -> None:
        vector = unit_vector([0.3, -0.7, 0.11])
        for number in range(50):
            await journal.remember(f"{number:02}", own=[math.sin(number), math.cos(number), 0.5])

        nominated = dict((await index.nominate(vector, DEFAULT, ALL, limit=50)).own)

        similar = await index.similarities(vector, list(nominated))
        assert nominated == {id: own for id, (own, _) in similar.items()}

    async def test_pairwise_is_zero_where_a_vector_is_missing(
        self, index: VectorIndex, journal: Journal
    ) -> None:
        await journal.remember("a", own=EAST)
        await journal.remember("b", own=[1, 1, 0])
        await index.catch_up(DEFAULT)

        found = await index.pairwise([MemoryId(id) for id in ("a", "unknown", "b")])

        half = math.sqrt(0.5)
        expected = np.array([[1, 0, half], [0, 0, 0], [half, 0, 1]])
        assert np.allclose(expected, np.array(found))
        assert [] == await index.pairwise([])

    async def test_reset_loses_nothing(self, index: VectorIndex, journal: Journal) -> None:
        await journal.remember("a", own=EAST)
        await index.catch_up(DEFAULT)

        await index.reset()

        assert ["a"] == await own_ids(index)

    async def test_another_epoch_forces_a_rebuild(
        self, index: VectorIndex, journal: Journal, store: SqliteStore
    ) -> None:
        await journal.remember("a", own=EAST)
        await index.catch_up(DEFAULT)
        async with store.writing() as tx:
            await tx.settings.set("epoch", "another")

        await index.catch_up(DEFAULT)

        found = await index.nominate(unit_vector(EAST), DEFAULT, ALL, limit=1)
        assert "another" == found.position.epoch

    # Every adapter runs this with an instance of its own class.
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(changes=CHANGES, query=VECTORS, limit=st.integers(1, 6))
    async def test_agrees_with_brute_force_after_any_history(
        self,
        changes: list[Change],
        query: tuple[float, ...],
        limit: int,
    ) -> None:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory())
            store = SqliteStore(Path(folder) / "soma.db")
            await store.open()
            stack.push_async_callback(store.close)
            index = await stack.enter_async_context(self.following(store))
            expected = await made(Journal(store), index, changes)

            await index.catch_up(ACME)
            found = await index.nominate(unit_vector(query), ACME, ALL, limit=limit)
            async with store.reading() as tx:
                head = await tx.feed.position(ACME)

        assert (head, True) == (found.position, found.exact)
        for role, nominated in enumerate((found.own, found.context)):
            vectors = {id: both[role] for id, both in expected.items()}
            assert brute_force(unit_vector(query), vectors, limit) == list(nominated)
