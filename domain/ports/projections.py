"""What is derived from the store and can be built again: indexes and the graph."""

from __future__ import annotations

from collections.abc import (
    Sequence,
)
from dataclasses import dataclass
from typing import Protocol

from domain.events import FeedPosition
from domain.filter import Filter
from domain.lexical import AnalysedText, LexicalEvidence
from domain.link import Direction, Link
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace, Scope
from domain.ports.vectors import (
    Embedding,
)
from domain.vector import Vector


@dataclass(frozen=True, slots=True)
class VectorNominations:
    """The nearest memories by each role with their cosines, and the state they were taken from.

    `substitute` says that another index answered for the one that should have.
    """

    own: tuple[tuple[MemoryId, float], ...]
    context: tuple[tuple[MemoryId, float], ...]
    position: FeedPosition
    exact: bool
    substitute: bool = False


class VectorIndex(Protocol):
    """Nearest vectors in a scope. A projection: it may lag, and says by how much.

    Every method may raise `IndexUnavailable`: recall then goes on without it.
    """

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role among memories that pass the filter (ties by id)."""

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return the cosine by own and by context vector of those ids that are indexed."""

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors, `(n, n)`; 0 where a vector is missing."""

    async def catch_up(self, scope: Scope, /) -> None:
        """Apply every event committed before this call."""

    async def reset(self) -> None:
        """Throw everything away; it is rebuilt on demand."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Memories reached over links: (id, depth, links of the last hop), nearest first."""

    steps: tuple[tuple[MemoryId, int, tuple[Link, ...]], ...]
    position: FeedPosition


class TextIndex(Protocol):
    """Promising matches for words; whatever it leaves out of what is committed, it adds."""

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms, best first by the backend's own ranking."""

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return what `Lexicon.evidence` would, as of exactly this position of the scope.

        Asks nobody: None when the index does not hold just that state at hand. Then the lexicon
        must be asked.
        """


@dataclass(frozen=True, slots=True)
class ProjectedMemory:
    """Everything a vector index outside the store keeps of one live memory.

    `embeddings` are those of the live model, at most one per role.
    """

    memory: Memory
    embeddings: tuple[Embedding, ...]
    terms: AnalysedText


class ContentCopies(Protocol):
    """Files beside the store that are made of what memories say: an erasure has to reach them."""

    async def discard(self, namespace: Namespace, /) -> None:
        """Remove what there is of a namespace, and let nothing come of what is being written."""


class VectorProjection(Protocol):
    """The writing side of a vector index outside the store. Every method confirms its effect.

    Raises `IndexUnavailable`. A point is named by what it was made from, so a late write never
    replaces a newer one.
    """

    async def open(self) -> str:
        """Make the index where there is none, and return its name for `Projections`.

        The name changes when the index was lost and made again.
        """

    async def put(self, memories: Sequence[ProjectedMemory], /) -> None:
        """Write the points of memories and remove those they supersede."""

    async def remove(self, ids: Sequence[MemoryId], /) -> None:
        """Remove every point of these memories."""

    async def clear(self, namespace: Namespace, /) -> None:
        """Remove every point of one namespace."""

    def points(self, memory: ProjectedMemory, /) -> frozenset[str]:
        """Return the ids of the points that `put` writes for a memory."""

    async def held(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, frozenset[str]]:
        """Return the ids of the points that there are of each of these memories."""

    async def contents(
        self, namespace: Namespace, /, *, limit: int, after: str | None = None
    ) -> list[tuple[str, MemoryId]]:
        """Return one page of (point id, memory id), in point id order."""

    async def ping(self) -> None:
        """Raise `IndexUnavailable` when nothing answers."""


class MemoryGraph(Protocol):
    """Links as a graph, one per root namespace. A projection like the vector index.

    A root may be any namespace: links with an end outside its subtree are not part of the graph.
    """

    async def neighbors(
        self,
        ids: Sequence[MemoryId],
        root: Namespace,
        /,
        *,
        direction: Direction,
        type: str | None,
        depth: int,
        limit: int,
    ) -> Walk:
        """Return what is reached from `ids` within `depth` hops, breadth first, ties by id."""

    async def path(
        self,
        source: MemoryId,
        target: MemoryId,
        root: Namespace,
        /,
        *,
        type: str | None,
        weighted: bool,
    ) -> Walk | None:
        """Return the shortest path along link direction (weighted: least sum of 1/weight)."""

    async def catch_up(self, root: Namespace, /) -> None:
        """Apply every event committed before this call."""

    async def reset(self) -> None:
        """Throw everything away; it is rebuilt on demand."""
