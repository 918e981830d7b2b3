"""The vector index against brute force, after any history."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fastcore import (
    chunk,
    guessing,
    keeping,
    loading,
    scan,
    searching,
    segment,
    shelf,
)
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.snapshots import Snapshots
from adapters.sqlite.store import SqliteStore
from contracts.journal import MODEL, Journal, moment
from contracts.vector_history import ACME, CHANGES, VECTORS, Change, brute_force, made
from domain.filter import Filter, parse_where
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import VectorIndex
from domain.vector import Vector, unit_vector

ALL = Filter()


def fast_core(
    store: SqliteStore, *, exact_rows: int = 10**6, files: Path | None = None
) -> FastCore:
    snapshots = None if files is None else Snapshots(files)
    return FastCore(
        store, MODEL, 3, budget=Budget(10**8), exact_rows=exact_rows, snapshots=snapshots
    )


class Restarted(FastCore):
    """A Fast Core that is closed, and another one that reads its files, whenever it catches up."""

    async def catch_up(self, scope: Scope, /) -> None:
        """Catch up, write, forget, and read."""
        await super().catch_up(scope)
        await self.close()
        await self.reset()


#: Beside what the contract runs as it is: chunks of so few vectors that short histories fill them.
ENGINES = ["by codes", "in threads", "from files"]


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, deadline=None)
@given(changes=CHANGES, query=VECTORS, limit=st.integers(1, 6))
async def test_agrees_with_brute_force_after_any_history(
    engine: str,
    changes: list[Change],
    query: tuple[float, ...],
    limit: int,
) -> None:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        _make_crowded(patch, engine)
        store = SqliteStore(Path(folder) / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        index: VectorIndex = fast_core(store)
        if engine == "from files":
            files = Snapshots(Path(folder) / "fastcore")
            index = Restarted(store, MODEL, 3, budget=Budget(10**8), snapshots=files)
        expected = await made(Journal(store), index, changes)

        await index.catch_up(ACME)
        found = await index.nominate(unit_vector(query), ACME, ALL, limit=limit)
        rebuilt = await fast_core(store).nominate(unit_vector(query), ACME, ALL, limit=limit)

    assert rebuilt == found
    for role, nominated in enumerate((found.own, found.context)):
        vectors = {id: both[role] for id, both in expected.items()}
        assert brute_force(unit_vector(query), vectors, limit) == list(nominated)


def _make_crowded(patch: pytest.MonkeyPatch, engine: str) -> None:
    """Let a handful of vectors be as many as the engine needs to do what is tested."""
    if engine != "fast core":
        patch.setattr(shelf, "SMALL", 2)
        patch.setattr(shelf, "LARGE", 4)
        patch.setattr(scan, "MARGIN", 0)
        patch.setattr(guessing, "MARGIN", 0)
        patch.setattr(segment, "_DEAD_MIN", 0)
        patch.setattr(chunk, "_PAYS_SHARE", 10**6)
        # Guesses leave nobody out then: what is left to test is that they are put together right.
        patch.setattr(guessing, "_DOUBTS", 10**6)
        patch.setattr(keeping, "_WRITTEN_MIN", 1)
    if engine == "in threads":
        patch.setattr(searching, "_INLINE_COST", -1)
        patch.setattr(searching, "_INLINE_ROWS", -1)
        patch.setattr(loading, "_INLINE_CHANGED", -1)


FILTERS = (
    Filter(),
    Filter(tags=("odd",)),
    Filter(tags_any=("odd", "even")),
    Filter(tags=("even",), where=parse_where({"n": {"gte": 3}})),
    Filter(where=parse_where({"not": {"n": {"in": [1, 2]}}}), valid_at=moment(0)),
)


@pytest.mark.parametrize("engine", ["fast core", "by codes", "by bits", "from files"])
@settings(max_examples=25, deadline=None)
@given(
    vectors=st.lists(st.tuples(VECTORS, st.none() | VECTORS), min_size=1, max_size=14),
    forgotten=st.sets(st.integers(0, 13)),
    query=VECTORS,
    filter=st.sampled_from(FILTERS),
    limit=st.integers(1, 6),
)
async def test_filters_agree_with_brute_force(
    *,
    engine: str,
    vectors: list[tuple[tuple[float, ...], tuple[float, ...] | None]],
    forgotten: set[int],
    query: tuple[float, ...],
    filter: Filter,
    limit: int,
) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        _make_crowded(patch, engine)
        store = SqliteStore(folder / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        journal = Journal(store)
        exact_rows = 2 if engine == "by bits" else 10**6
        files = folder / "fastcore" if engine == "from files" else None
        index = fast_core(store, exact_rows=exact_rows, files=files)
        expected: dict[MemoryId, tuple[Vector, Vector | None]] = {}
        for number, (own, context) in enumerate(vectors):
            tags = ("odd",) if number % 2 else ("even",)
            id = await journal.remember(
                f"m{number:02}", "acme", own=own, context=context, tags=tags, payload={"n": number}
            )
            if number in forgotten:
                await journal.forget(id)
            elif filter.matches(journal.memories[id]):
                expected[id] = (unit_vector(own), unit_vector(context) if context else None)
            if number % 5 == 0:
                await index.catch_up(ACME)
        if engine == "from files":
            await index.catch_up(ACME)
            await index.close()
            index = fast_core(store, files=files)
        await index.catch_up(ACME)
        await index.close()
        patch.setattr(store, "reading", _refused)

        found = await index.nominate(unit_vector(query), ACME, filter, limit=limit)

    for role, nominated in enumerate((found.own, found.context)):
        known = {id: both[role] for id, both in expected.items()}
        assert brute_force(unit_vector(query), known, limit) == list(nominated)


def _refused() -> None:
    raise AssertionError("asked the store")
