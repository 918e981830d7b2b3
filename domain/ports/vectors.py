"""What is kept of memories for the indexes: terms, vectors, token states, and what is missing."""

from __future__ import annotations

from collections.abc import (
    Collection,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.memory import Kind, MemoryId
from domain.namespace import Namespace
from domain.vector import Role, TokenStates, Vector


@dataclass(frozen=True, slots=True)
class Facts:
    """What a filter may look at in a memory beside its validity.

    `happened_at` is in microseconds since the Unix epoch, `payload` is JSON.
    """

    kind: str = Kind.EPISODIC
    level: int = 0
    tags: tuple[str, ...] = ()
    actor: str | None = None
    session: str | None = None
    happened_at: int = 0
    coordinate: tuple[float, ...] | None = None
    payload: str = "{}"


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class IndexedTerms:
    """A live memory's index terms with what a text index needs to filter.

    `own` and `context` are terms as `domain.lexical.encoded` spells them, separated by spaces;
    `context` is None where it is the same as `own`. `span` and `facts` are as in `IndexedVector`.
    """

    memory_id: MemoryId
    own: str
    context: str | None
    span: tuple[float, float, float]
    facts: Facts = field(default=NO_FACTS, compare=False)


class IndexTerms(Protocol):
    """What the lexicon holds of each live memory, for text indexes built from it."""

    async def page(
        self, namespace: Namespace, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedTerms]:
        """Return live memories that are in the lexicon, in id order."""

    async def of(self, ids: Sequence[MemoryId], /) -> list[IndexedTerms]:
        """Return the live ones among `ids` that are in the lexicon."""


@dataclass(frozen=True, slots=True)
class EmbeddingTask:
    """A vector that is missing, or token states: what has to be computed of a memory."""

    memory_id: MemoryId
    namespace: Namespace
    role: Role
    version: int


#: What stands for the hash of a text where there was none: the caller gave the vector.
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Embedding:
    """A computed vector; `input_hash` is the SHA-256 of the embedded text, or `GIVEN`."""

    memory_id: MemoryId
    version: int
    role: Role
    model: str
    input_hash: str
    vector: Vector

    @property
    def data(self) -> bytes:
        """What is kept."""
        return self.vector.data


@dataclass(frozen=True, slots=True)
class KeptStates:
    """The token states of a memory's own text; `input_hash` is the SHA-256 of that text."""

    memory_id: MemoryId
    version: int
    model: str
    input_hash: str
    states: TokenStates

    @property
    def role(self) -> Role:
        """What they are among that which is computed of a memory."""
        return Role.STATES

    @property
    def data(self) -> bytes:
        """What is kept."""
        return self.states.data


Computed = Embedding | KeptStates


@dataclass(frozen=True, slots=True)
class IndexedVector:
    """A live memory's vectors with what a vector index needs to filter.

    `span` is (valid_from, valid_to, expires_at) in Unix seconds, with infinities for open ends.
    `facts` do not count when two are compared: they are what the memory is, not its vectors.
    """

    memory_id: MemoryId
    own: Vector | None
    context: Vector | None
    span: tuple[float, float, float]
    facts: Facts = field(default=NO_FACTS, compare=False)


@dataclass(frozen=True, slots=True)
class Behind:
    """What a model lacks: how many vectors, and how many of these another model has."""

    missing: int
    alone: int


class Embeddings(Protocol):
    """Vectors of live memories, and the queue of those that are missing."""

    async def queue(
        self, tasks: Sequence[EmbeddingTask], /, *, model: str, lease_until: datetime | None
    ) -> None:
        """Delete these vectors and note them as missing; a lease keeps workers off."""

    async def drop(self, tasks: Sequence[EmbeddingTask], /) -> None:
        """Delete these vectors and their tasks: there is no text for them any more."""

    async def claim(
        self, model: str, /, *, now: datetime, lease_until: datetime, limit: int
    ) -> list[EmbeddingTask]:
        """Lease tasks whose lease is over, oldest first."""

    async def release(self) -> None:
        """Take back every lease: for a process that knows it is alone."""

    async def store(self, computed: Sequence[Computed], /) -> list[Computed]:
        """Insert those whose memory is live at that version and drop their tasks; return them."""

    async def pending(self, model: str, ids: Sequence[MemoryId] | None = None, /) -> int:
        """Count missing vectors, of all memories or of these."""

    async def behind(self, model: str, other: str, /, *, limit: int) -> Behind:
        """Count up to `limit` missing vectors of a model, and those of them the other has."""

    async def page(
        self, namespace: Namespace, model: str, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedVector]:
        """Return live memories that have a vector, in id order."""

    async def of(self, ids: Sequence[MemoryId], model: str, /) -> list[IndexedVector]:
        """Return the live ones among `ids` that have a vector."""

    async def stored(self, ids: Sequence[MemoryId], model: str, /) -> list[Embedding]:
        """Return the vectors of the live ones among `ids` with what they were computed from."""

    async def states(self, ids: Sequence[MemoryId], model: str, /) -> list[KeptStates]:
        """Return the token states of the live ones among `ids`."""

    async def requeue(
        self, model: str, roles: Collection[Role], /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Queue what of `model` the next `limit` live memories lack in these roles.

        Returns the last id looked at, None at the end.
        """

    async def discard(
        self, model: str, /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Delete vectors and tasks of `model` of the next `limit` live memories.

        Returns the last id looked at, None at the end.
        """
