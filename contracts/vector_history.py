"""Histories of a vector index: what happens to memories, and who is nearest afterwards."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from contracts.journal import Journal
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import VectorIndex
from domain.vector import Vector, unit_vector

#: Where the histories play.
ACME = Scope(Namespace("acme"), ScopeKind.SUBTREE)

Coordinates = tuple[float, ...]
#: What happens, to which of the live memories, in which namespace, own vector, context vector.
Change = tuple[str, int, str, Coordinates, Coordinates | None]

_axis = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
VECTORS = st.tuples(_axis, _axis, _axis).filter(any)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["remember", "forget", "catch_up", "embed"]),
        st.integers(0, 9),
        st.sampled_from(["acme", "acme/a", "acme/b"]),
        VECTORS,
        st.none() | VECTORS,
    ),
    max_size=25,
)


async def made(
    journal: Journal,
    index: VectorIndex,
    changes: list[Change],
) -> dict[MemoryId, tuple[Vector, Vector | None]]:
    """Make the changes; return the vectors of who is live afterwards."""
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
    return expected


def brute_force(
    query: Vector, vectors: dict[MemoryId, Vector | None], limit: int
) -> list[tuple[MemoryId, float]]:
    """Return the nearest by cosine, best first: `query` and `vectors` are of length one."""
    wide = np.frombuffer(query.data, "<f4").astype(np.float64)
    scores = [
        (id, float(np.clip((np.frombuffer(vector.data, "<f4") * wide).sum(), -1, 1)))
        for id, vector in vectors.items()
        if vector is not None
    ]
    return sorted(scores, key=lambda entry: (-entry[1], entry[0]))[:limit]
