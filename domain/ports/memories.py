"""Memories, their versions and links, the change feed, and words: the rows of the store."""

from __future__ import annotations

from collections.abc import (
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.events import Event, FeedPosition
from domain.filter import Filter
from domain.lexical import AnalysedText, LexicalEvidence
from domain.link import Direction, Link
from domain.memory import Life, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, NamespacePolicy, Scope


@dataclass(frozen=True, slots=True)
class Verified:
    """Candidates as they really are now, and how far the scope's feeds have come."""

    memories: Mapping[MemoryId, Memory]
    position: FeedPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a reader holds of candidates, by version (0: nothing).

    The `sure` ones were live in the scope, at that version, when its feeds stood at `seen_at`.
    """

    sure: Mapping[MemoryId, int]
    others: Mapping[MemoryId, int]
    seen_at: FeedPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a scope stands against a claim, and what is in force there.

    `versions` are those of the candidates that live in the scope; of the `sure` ones only where the
    feeds do not stand at `seen_at` any more. `changed` holds those whole whose version is not the
    one that was claimed. `policy` is that of the scope's own namespace, `fact` the setting asked
    for.
    """

    position: FeedPosition
    versions: Mapping[MemoryId, int]
    changed: Mapping[MemoryId, Memory]
    policy: NamespacePolicy
    fact: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: lists are ordered by `(happened_at, id)`, newest first."""

    happened_at: datetime
    id: MemoryId


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """The live memories next to one memory in its namespace and session, by (happened_at, id)."""

    previous: MemoryId | None
    next: MemoryId | None


class Memories(Protocol):
    """Live memories and their versions. Methods after `history` need a writing transaction."""

    async def get(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, Memory]:
        """Return the live ones among `ids`."""

    async def verify(self, ids: Sequence[MemoryId], scope: Scope, filter: Filter, /) -> Verified:
        """Return those of `ids` that are live, in scope and pass, with the scope's heads."""

    async def standing(self, scope: Scope, claim: Claim, /, *, fact: str) -> Standing:
        """Hold a claim against the store, together with the scope's heads."""

    async def find(
        self, scope: Scope, filter: Filter, /, *, limit: int, after: Cursor | None = None
    ) -> list[Memory]:
        """Return one page, newest first."""

    async def find_ids(self, scope: Scope, filter: Filter, /) -> list[MemoryId]:
        """Return the ids of all matches (for filtered vector search)."""

    async def not_erased(self, namespace: Namespace, /, *, limit: int) -> list[MemoryId]:
        """Return some ids, live or forgotten, whose content is still there."""

    async def history(self, id: MemoryId, /) -> list[MemoryVersion]:
        """Return every version, newest first, also when forgotten; [] when erased or unknown."""

    async def life(self, id: MemoryId, /) -> tuple[Life, Namespace | None]:
        """Tell what has become of an id, and in which namespace it lives or lived."""

    async def session_places(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, SessionPlace]:
        """Return the session neighbours of those ids that are live and have a session."""

    async def by_content(self, namespace: Namespace, hashes: Sequence[str], /) -> dict[str, Memory]:
        """Return the oldest live memory for each content hash that has one."""

    async def by_coordinate(
        self, namespace: Namespace, coordinates: Sequence[tuple[float, ...]], /
    ) -> dict[tuple[float, ...], Memory]:
        """Return the live memory at each occupied coordinate."""

    async def add(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Insert new memories (version 1, or as imported)."""

    async def replace(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Make each the current version; the version before becomes history."""

    async def forget(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Hide memories from every read but `history`; their links go, history stays."""

    async def erase(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Remove everything but the bare id; an audit record without content stays."""


class Versions(Protocol):
    """Earlier versions, written directly only by import."""

    async def add(self, versions: Sequence[MemoryVersion], /) -> None:
        """Insert history entries of memories added in the same transaction."""


class Links(Protocol):
    """Edges between live memories. `put` and `remove` need a writing transaction."""

    async def of(
        self, ids: Sequence[MemoryId], /, *, direction: Direction, limit: int
    ) -> list[Link]:
        """Return links at these memories, ordered by (source, target, type)."""

    async def page(
        self, scope: Scope, /, *, limit: int, after: tuple[str, str, str] | None = None
    ) -> list[Link]:
        """Return links whose source lies in scope, ordered by (source, target, type)."""

    async def put(self, links: Sequence[Link], /) -> None:
        """Insert, or replace weight, properties and seq of, links."""

    async def remove(self, source: MemoryId, target: MemoryId, type: str, /) -> bool:
        """Remove one link; tell whether it was there."""


class Feed(Protocol):
    """The change feed of every namespace and its counters."""

    async def lock(self, namespaces: Iterable[Namespace], /) -> dict[Namespace, int]:
        """Lock the counters in path order, creating absent ones, and return the heads."""

    async def append(self, events: Sequence[Event], /) -> None:
        """Insert events that continue the locked heads without gaps, and advance them."""

    async def position(self, scope: Scope, /) -> FeedPosition:
        """Return the epoch and the sum of the heads in scope."""

    async def after(self, namespace: Namespace, seq: int, /, *, limit: int) -> list[Event]:
        """Return events of one namespace beyond `seq`, in order."""

    async def heads(
        self, scope: Scope, /, *, limit: int, after: Namespace | None = None
    ) -> dict[Namespace, int]:
        """Return one page of heads in path order."""


class Lexicon(Protocol):
    """The lexical index, written in the same transaction as the memory it describes."""

    async def put(self, texts: Mapping[MemoryId, AnalysedText], /) -> None:
        """Index or re-index live memories and keep the namespace's statistics exact."""

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return promising matches on any term, best first by the backend's own ranking."""

    async def evidence(
        self, ids: Sequence[MemoryId], terms: Sequence[str], scope: Scope, /
    ) -> LexicalEvidence:
        """Return what BM25 needs to score `ids`: the scope's statistics and term counts."""
