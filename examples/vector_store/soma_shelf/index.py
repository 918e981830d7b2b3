"""The adapter: Soma's port `VectorIndex` on one side, the shelf on the other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from domain.errors import DimensionMismatch, IndexUnavailable
from domain.events import Event, FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, IndexedVector, Transaction, VectorNominations
from domain.vector import Vector
from soma_shelf.shelf import Point, Shelf

_PAGE = 1000
Answer = TypeVar("Answer")


class ShelfIndex:
    """Brings the shelf up to date before each search, so that its answers never lag.

    Raises `IndexUnavailable` when the file cannot be used: recall then goes on by words.
    """

    def __init__(self, store: CanonicalStore, shelf: Shelf, model: str, dimension: int) -> None:
        self._store = store
        self._shelf = shelf
        self._model = model
        self._dimension = dimension
        self._turn = asyncio.Lock()

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role among memories that pass the filter (ties by id)."""
        self._check(vector)
        async with self._turn, self._store.reading() as tx:
            # One snapshot for all of it: the filter and the position are of the same moment.
            position = await tx.feed.position(scope)
            heads = await self._caught_up(tx, scope, position)
            allowed = None
            if not filter.only_time:
                allowed = frozenset(await tx.memories.find_ids(scope, filter))
            points = await self._asked(self._shelf.among, list(heads))
        moment = None if filter.valid_at is None else filter.valid_at.timestamp()
        chosen = [
            point
            for point in points
            if (allowed is None or point.id in allowed) and _counts(point, moment)
        ]

        def nearest() -> tuple[tuple[tuple[MemoryId, float], ...], ...]:
            own = {point.id: point.own for point in chosen if point.own is not None}
            context = {point.id: point.context for point in chosen if point.context is not None}
            return _best(vector, own, limit), _best(vector, context, limit)

        own, context = await asyncio.to_thread(nearest)
        return VectorNominations(own, context, position, exact=True)

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return the cosine by own and by context vector of those ids that are on the shelf."""
        self._check(vector)
        points = await self._asked(self._shelf.these, ids)

        def one(stored: bytes | None) -> float | None:
            return None if stored is None else float(_cosines(vector.data, [stored])[0])

        return {MemoryId(point.id): (one(point.own), one(point.context)) for point in points}

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors, `(n, n)`; 0 where a vector is missing."""
        points = {point.id: point.own for point in await self._asked(self._shelf.these, ids)}
        absent = bytes(4 * self._dimension)
        rows = [points.get(id) or absent for id in ids]
        return [_cosines(row, rows).tolist() for row in rows]

    async def catch_up(self, scope: Scope, /) -> None:
        """Apply every event committed before this call."""
        async with self._turn, self._store.reading() as tx:
            await self._caught_up(tx, scope, await tx.feed.position(scope))

    async def reset(self) -> None:
        """Throw everything away; it is read again on demand."""
        async with self._turn:
            await self._asked(self._shelf.clear)

    # --- Following the change feed ----------------------------------------------------------------

    async def _caught_up(
        self, tx: Transaction, scope: Scope, position: FeedPosition
    ) -> dict[Namespace, int]:
        """Bring each namespace of the scope to its head; return the heads."""
        heads: dict[Namespace, int] = {}
        last: Namespace | None = None
        while page := await tx.feed.heads(scope, limit=_PAGE, after=last):
            heads |= page
            last = max(page)
        for namespace, head in heads.items():
            epoch, seq = await self._asked(self._shelf.mark, namespace)
            if epoch == position.epoch and seq == head:
                continue
            if epoch != position.epoch or not await self._followed(tx, namespace, seq, position):
                await self._read_anew(tx, namespace, head, position)
        return heads

    async def _followed(
        self, tx: Transaction, namespace: Namespace, seq: int, position: FeedPosition
    ) -> bool:
        """Apply the events beyond `seq`; False where the feed does not reach back that far."""
        while events := await tx.feed.after(namespace, seq, limit=_PAGE):
            if events[0].seq != seq + 1:
                return False
            await self._applied(tx, namespace, events, position)
            seq = events[-1].seq
        return True

    async def _applied(
        self,
        tx: Transaction,
        namespace: Namespace,
        events: Sequence[Event],
        position: FeedPosition,
    ) -> None:
        """Write what the memories of these events are now: applying twice changes nothing."""
        touched = sorted({event.memory_id for event in events})
        live = await tx.embeddings.of(touched, self._model)
        gone = set(touched) - {item.memory_id for item in live}
        await self._written(namespace, events[-1].seq, position, live, gone, anew=False)

    async def _read_anew(
        self, tx: Transaction, namespace: Namespace, head: int, position: FeedPosition
    ) -> None:
        """Read a whole namespace; the watermark stays behind until the last page is written."""
        last: MemoryId | None = None
        while page := await tx.embeddings.page(namespace, self._model, limit=_PAGE, after=last):
            await self._written(namespace, 0, position, page, (), anew=last is None)
            last = page[-1].memory_id
        await self._written(namespace, head, position, (), (), anew=last is None)

    async def _written(
        self,
        namespace: Namespace,
        seq: int,
        position: FeedPosition,
        live: Sequence[IndexedVector],
        gone: Collection[MemoryId],
        *,
        anew: bool,
    ) -> None:
        points = [_point(item) for item in live]

        def apply() -> None:
            self._shelf.apply(namespace, position.epoch, seq, points, list(gone), anew=anew)

        await self._asked(apply)

    # --- Details ----------------------------------------------------------------------------------

    async def _asked(self, ask: Callable[..., Answer], /, *arguments: object) -> Answer:
        """Ask the shelf, off the event loop; say it in the core's words when it cannot answer."""
        try:
            return await asyncio.to_thread(ask, *arguments)
        except sqlite3.Error as error:
            raise IndexUnavailable(f"the shelf does not answer: {error}") from error

    def _check(self, vector: Vector) -> None:
        if vector.dimension != self._dimension:
            raise DimensionMismatch("vector", expected=self._dimension, actual=vector.dimension)


def _point(item: IndexedVector) -> Point:
    own = None if item.own is None else item.own.data
    context = None if item.context is None else item.context.data
    return Point(item.memory_id, own, context, item.span)


def _counts(point: Point, moment: float | None) -> bool:
    """Tell whether a memory counts at a moment: from its first on, until before its last."""
    valid_from, valid_to, expires_at = point.span
    return moment is None or (valid_from <= moment < valid_to and moment < expires_at)


def _best(
    vector: Vector, stored: dict[str, bytes], limit: int
) -> tuple[tuple[MemoryId, float], ...]:
    if not stored:
        return ()
    scores = _cosines(vector.data, list(stored.values())).tolist()
    ranked = sorted(zip(stored, scores, strict=True), key=lambda entry: (-entry[1], entry[0]))
    return tuple((MemoryId(id), score) for id, score in ranked[:limit])


def _cosines(vector: bytes, stored: Sequence[bytes]) -> NDArray[np.float64]:
    """Return cosines of unit vectors; summed in double, so that the batch does not matter."""
    if not stored:
        return np.empty(0)
    rows = np.frombuffer(b"".join(stored), "<f4").reshape(len(stored), -1).astype(np.float64)
    cosines: NDArray[np.float64] = np.clip(
        (rows * np.frombuffer(vector, "<f4")).sum(axis=1), -1.0, 1.0
    )
    return cosines
