"""A vector index with a stand-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from adapters.fallback.circuit import Circuit
from domain.errors import IndexUnavailable
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import VectorIndex, VectorNominations
from domain.vector import Vector

Answer = TypeVar("Answer")
Fits = Callable[[Scope], Awaitable[bool]]


class FallbackIndex:
    """Asks the first index, and the second where the first does not answer and the scope fits.

    The second one's nominations say that they are a substitute's. Where the scope does not fit,
    the first one's `IndexUnavailable` stands. Only nominations open and close the circuit: the rest
    may not need what has failed.
    """

    def __init__(
        self, first: VectorIndex, second: VectorIndex, *, fits: Fits, circuit: Circuit
    ) -> None:
        self._first = first
        self._second = second
        self._fits = fits
        self._circuit = circuit

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role from whichever index answers."""
        try:
            return await tried(
                self._circuit, lambda: self._first.nominate(vector, scope, filter, limit=limit)
            )
        except IndexUnavailable:
            if not await self._fits(scope):
                raise
        # The stand-in may not have looked at this scope for long.
        await self._second.catch_up(scope)
        found = await self._second.nominate(vector, scope, filter, limit=limit)
        return replace(found, substitute=True)

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return cosines from whichever index answers."""
        try:
            return await self._first.similarities(vector, ids)
        except IndexUnavailable:
            return await self._second.similarities(vector, ids)

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors from whichever index answers."""
        try:
            return await self._first.pairwise(ids)
        except IndexUnavailable:
            return await self._second.pairwise(ids)

    async def catch_up(self, scope: Scope, /) -> None:
        """Let the index that answers catch up."""
        try:
            await self._first.catch_up(scope)
        except IndexUnavailable:
            if await self._fits(scope):
                await self._second.catch_up(scope)

    async def reset(self) -> None:
        """Reset both."""
        await self._first.reset()
        await self._second.reset()


async def tried(circuit: Circuit, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask unless the circuit rests; raise `IndexUnavailable` when it does."""
    started = circuit.begin()
    if started is None:
        raise IndexUnavailable("the vector index has just failed to answer")
    try:
        answer = await ask()
    except IndexUnavailable:
        circuit.failed(started)
        raise
    circuit.succeeded()
    return answer
