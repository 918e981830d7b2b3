"""The vector index against brute force, after any history."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.sqlite.store import SqliteStore
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import VectorIndex
from domain.vector import Vector, unit_vector
from tests.contracts.journal import MODEL, Journal
from tests.contracts.projecting import FollowedQdrant
from tests.qdrant_server import running_qdrant

ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)
ALL = Filter()


def fast_core(store: SqliteStore) -> FastCore:
    return FastCore(store, MODEL, 3, budget=Budget(10**8))


_axis = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
_vectors = st.tuples(_axis, _axis, _axis).filter(any)
_changes = st.lists(
    st.tuples(
        st.sampled_from(["remember", "forget", "catch_up", "embed"]),
        st.integers(0, 9),
        st.sampled_from(["acme", "acme/a", "acme/b"]),
        _vectors,
        st.none() | _vectors,
    ),
    max_size=25,
)


@pytest.mark.parametrize("engine", ["fast core", "qdrant"])
@settings(max_examples=25, deadline=None)
@given(changes=_changes, query=_vectors, limit=st.integers(1, 6))
async def test_agrees_with_brute_force_after_any_history(
    engine: str,
    changes: list[tuple[str, int, str, tuple[float, ...], tuple[float, ...] | None]],
    query: tuple[float, ...],
    limit: int,
) -> None:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        store = SqliteStore(Path(folder) / "soma.db")
        await store.open()
        stack.push_async_callback(store.close)
        journal = Journal(store)
        index: VectorIndex = fast_core(store)
        if engine == "qdrant":
            index = await _qdrant(stack, store)
        expected: dict[MemoryId, tuple[Vector, Vector | None]] = {}
        for number, (change, victim, namespace, own, context) in enumerate(changes):
            known = sorted(expected)
            if change == "remember":
                id = await journal.remember(f"m{number}", namespace, own=own, context=context)
                expected[id] = (unit_vector(own), unit_vector(context) if context else None)
            elif change == "catch_up":
                await index.catch_up(ACME)
            elif known and change == "forget":
                id = known[victim % len(known)]
                await journal.forget(id)
                del expected[id]
            elif known and change == "embed":
                id = known[victim % len(known)]
                await journal.embed(id, own=own, context=context)
                kept = expected[id][1] if context is None else unit_vector(context)
                expected[id] = (unit_vector(own), kept)

        await index.catch_up(ACME)
        found = await index.nominate(unit_vector(query), ACME, ALL, limit=limit)
        rebuilt = await fast_core(store).nominate(unit_vector(query), ACME, ALL, limit=limit)

    assert rebuilt == found
    for role, nominated in enumerate((found.own, found.context)):
        vectors = {id: both[role] for id, both in expected.items()}
        assert _brute_force(unit_vector(query), vectors, limit) == list(nominated)


async def _qdrant(stack: AsyncExitStack, store: SqliteStore) -> VectorIndex:
    """Give an index whose worker applies half of what is new whenever it may."""
    qdrant = await stack.enter_async_context(running_qdrant())
    index = FollowedQdrant(store, qdrant.collection(MODEL), share=0.5)
    await index.catch_up(ACME)
    return index


def _brute_force(
    query: Vector, vectors: dict[MemoryId, Vector | None], limit: int
) -> list[tuple[MemoryId, float]]:
    wide = np.frombuffer(query.data, "<f4").astype(np.float64)
    scores = [
        (id, float(np.clip((np.frombuffer(vector.data, "<f4") * wide).sum(), -1, 1)))
        for id, vector in vectors.items()
        if vector is not None
    ]
    return sorted(scores, key=lambda entry: (-entry[1], entry[0]))[:limit]
