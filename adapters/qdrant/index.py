"""The reading side: Qdrant nominates, the canonical store adds what is new and scores it all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.qdrant.collection import Collection
from adapters.qdrant.failures import CollectionRemade
from adapters.qdrant.filters import scope_filter
from adapters.qdrant.layout import search_params
from adapters.qdrant.overlay import Overlay, read_overlay
from adapters.qdrant.points import DENSE, numbers
from domain.errors import DimensionMismatch
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import CanonicalStore, IndexedVector, Transaction, VectorNominations
from domain.vector import Role, Vector

if TYPE_CHECKING:
    from qdrant_client import models

    from adapters.qdrant.scoring import Ranked

#: Up to here Qdrant is asked to compare with every vector of the scope: that takes milliseconds.
EXACT_MEMORIES = 10_000
_NAMESPACES_COUNTED = 100
#: Asked for beyond the limit, so that ties at the limit are seen as such.
_SPARE = 16
_ASKED_MAX = 10_000
_ROUNDS = 3
#: More rows than this are scored in a thread.
_INLINE_ROWS = 2000
_PAIRS_INLINE = 100

_ROLES = (Role.OWN, Role.CONTEXT)


@dataclass(frozen=True, slots=True)
class _Question:
    vector: Vector
    scope: Scope
    filter: Filter
    limit: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the store says before Qdrant is asked."""

    title: str
    overlay: Overlay
    recent: list[IndexedVector]
    small: bool


class QdrantIndex:
    """Implements `domain.ports.VectorIndex`.

    Opens transactions of its own: not to be called from within one, or a pool may run dry.
    """

    def __init__(self, store: CanonicalStore, collection: Collection) -> None:
        self._store = store
        self._collection = collection

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role as of the head of the scope.

        Every score is computed from the canonical vectors. Raises `DimensionMismatch`, and
        `IndexUnavailable` also when Qdrant is too far behind.
        """
        self._check_dimension(vector)
        question = _Question(vector, scope, filter, limit)
        try:
            return await self._nominate(question)
        except CollectionRemade:
            return await self._nominate(question)

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return the cosines of those ids that have a vector."""
        from adapters.qdrant.scoring import ranked

        self._check_dimension(vector)
        items = await self._vectors(ids)

        def compute() -> dict[MemoryId, tuple[float | None, float | None]]:
            own, context = (dict(ranked(vector, role, items)) for role in _ROLES)
            return {
                item.memory_id: (own.get(item.memory_id), context.get(item.memory_id))
                for item in items
            }

        return compute() if len(items) <= _INLINE_ROWS else await asyncio.to_thread(compute)

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors; 0 where a vector is missing."""
        from adapters.qdrant.scoring import pairwise

        found = {item.memory_id: item.own for item in await self._vectors(ids)}
        vectors = [found.get(id) for id in ids]
        if len(ids) <= _PAIRS_INLINE:
            return pairwise(vectors, self._collection.dimension)
        return await asyncio.to_thread(pairwise, vectors, self._collection.dimension)

    async def catch_up(self, scope: Scope, /) -> None:
        """Do nothing: every answer reaches up to the head as it is."""

    async def reset(self) -> None:
        """Forget which collection was last seen; its content belongs to the worker."""
        self._collection.forget()

    def _check_dimension(self, vector: Vector) -> None:
        expected = self._collection.dimension
        if vector.dimension != expected:
            raise DimensionMismatch("vector", expected=expected, actual=vector.dimension)

    async def _vectors(self, ids: Sequence[MemoryId]) -> list[IndexedVector]:
        if not ids:
            return []
        async with self._store.reading() as tx:
            return await tx.embeddings.of(ids, self._collection.model)

    async def _nominate(self, question: _Question) -> VectorNominations:
        title = await self._collection.title()
        async with self._store.reading() as tx:
            snapshot = await self._snapshot(tx, title, question)
        asked = min(question.limit + _SPARE, _ASKED_MAX)
        settled = False
        own: Ranked = []
        context: Ranked = []
        for _ in range(_ROUNDS):
            answers = await self._ask(question, snapshot, asked)
            near = await self._checked(question, answers)
            own, context = await _ranked(question.vector, [*near, *snapshot.recent])
            settled = all(
                _is_settled(best, answer, asked, question)
                for best, answer in zip((own, context), answers, strict=True)
            )
            if settled or asked == _ASKED_MAX:
                break
            asked = min(4 * asked, _ASKED_MAX)
        return VectorNominations(
            tuple(own[: question.limit]),
            tuple(context[: question.limit]),
            snapshot.overlay.position,
            exact=snapshot.small and settled,
        )

    async def _snapshot(self, tx: Transaction, title: str, question: _Question) -> _Snapshot:
        overlay = await read_overlay(tx, title, question.scope, question.filter)
        recent: list[IndexedVector] = []
        if overlay.passing:
            recent = await tx.embeddings.of(overlay.passing, self._collection.model)
        parts = await tx.namespaces.stats(question.scope, limit=_NAMESPACES_COUNTED)
        small = (
            len(parts) < _NAMESPACES_COUNTED
            and sum(part.memories for part in parts) <= EXACT_MEMORIES
        )
        return _Snapshot(title, overlay, recent, small)

    async def _ask(
        self, question: _Question, snapshot: _Snapshot, asked: int
    ) -> list[list[models.ScoredPoint]]:
        """Ask for the nearest of each role."""
        from qdrant_client import models

        values = numbers(question.vector)
        params = search_params(self._collection.layout, exact=snapshot.small)
        touched = snapshot.overlay.touched
        return await self._collection.query(
            snapshot.title,
            [
                models.QueryRequest(
                    query=values,
                    using=DENSE,
                    filter=scope_filter(
                        question.scope, question.filter, roles=[role], without=touched
                    ),
                    params=params,
                    limit=asked,
                    with_payload=["memory"],
                )
                for role in _ROLES
            ],
        )

    async def _checked(
        self, question: _Question, answers: Sequence[Sequence[models.ScoredPoint]]
    ) -> list[IndexedVector]:
        """Return the canonical vectors of what was answered.

        Conditions on the payload may have been answered too widely; all others are exact.
        """
        ids = list(dict.fromkeys(id for answer in answers for id in memories_of(answer)))
        if not ids:
            return []
        async with self._store.reading() as tx:
            if question.filter.where is not None:
                verified = await tx.memories.verify(ids, question.scope, question.filter)
                ids = list(verified.memories)
            return await tx.embeddings.of(ids, self._collection.model)


def memories_of(points: Iterable[models.ScoredPoint]) -> list[MemoryId]:
    """Return the memories of an answer, best first, each once."""
    ids = (MemoryId((point.payload or {})["memory"]) for point in points)
    return list(dict.fromkeys(ids))


async def _ranked(vector: Vector, items: Sequence[IndexedVector]) -> tuple[Ranked, Ranked]:
    from adapters.qdrant.scoring import ranked

    def compute() -> tuple[Ranked, Ranked]:
        return ranked(vector, Role.OWN, items), ranked(vector, Role.CONTEXT, items)

    return compute() if len(items) <= _INLINE_ROWS else await asyncio.to_thread(compute)


def _is_settled(
    best: Ranked, answer: Sequence[models.ScoredPoint], asked: int, question: _Question
) -> bool:
    """Tell whether nothing that was not answered can be among the best.

    Qdrant adds in float32: its scores may be off by dimension * eps / 2, and so may their order.
    """
    if len(answer) < asked:
        return True
    slack = question.vector.dimension * 2.0**-23
    return len(best) >= question.limit and best[question.limit - 1][1] > answer[-1].score + slack
