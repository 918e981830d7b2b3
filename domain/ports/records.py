"""What the store keeps besides memories: namespaces, keys, jobs, watermarks, settings."""

from __future__ import annotations

from collections.abc import (
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.access import ApiKey
from domain.events import Event, FeedPosition
from domain.job import Job, JobCount, JobKind, JobState
from domain.memory import MemoryId
from domain.namespace import Namespace, NamespacePolicy, NamespaceStats, Scope


class Namespaces(Protocol):
    """Which namespaces exist, what they hold and their policies."""

    async def stats(
        self, scope: Scope | None, /, *, limit: int, after: Namespace | None = None
    ) -> list[NamespaceStats]:
        """Return one page in path order; None means everywhere."""

    async def policy(self, namespace: Namespace, /) -> NamespacePolicy:
        """Return the policy in force: its own over its ancestors'."""

    async def set_policy(self, namespace: Namespace, policy: NamespacePolicy, /) -> None:
        """Replace the namespace's own policy."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What an idempotency key stood for: no content."""

    request_hash: str
    memory_ids: tuple[MemoryId, ...]
    versions: tuple[int, ...]


class IdempotencyKeys(Protocol):
    """Keys already used, per owner."""

    async def find(self, owner: str, key: str, /) -> IdempotencyRecord | None:
        """Return what the key stood for."""

    async def add(
        self, owner: str, key: str, record: IdempotencyRecord, /, *, at: datetime
    ) -> None:
        """Remember a key; keys older than eight days may be dropped."""


class Settings(Protocol):
    """Facts about the store itself that must survive, such as the active embedding model."""

    async def get(self, name: str, /) -> str | None:
        """Return one fact."""

    async def set(self, name: str, value: str, /) -> None:
        """Replace one fact."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What a projection has not applied yet in a scope.

    With the `touched` memories taken from the store, the projection stands at `position`.
    `complete` is False when more memories are concerned than were asked for.
    """

    position: FeedPosition
    touched: tuple[MemoryId, ...]
    complete: bool


class Projections(Protocol):
    """How far projections outside the store have come, by name and namespace.

    Watermarks of an earlier epoch count as 0: such a projection has to be built again.
    """

    async def lock_shard(self, name: str, shard: int, /) -> bool:
        """Take one share of the namespaces until the transaction ends; False when it is taken.

        A namespace belongs to the share `number of the namespace modulo shares`. Needs a writing
        transaction. Whoever does nothing for a minute while it holds a share loses it.
        """

    async def outstanding(
        self, name: str, /, *, shard: int, shards: int, limit: int
    ) -> list[Event]:
        """Return events beyond the watermarks of a share, each namespace's in order.

        No single namespace fills the answer while others wait.
        """

    async def advance(self, name: str, marks: Mapping[Namespace, int], /) -> None:
        """Set the watermarks of namespaces whose share is held, in the present epoch."""

    async def lag(self, name: str, scope: Scope, /, *, limit: int) -> Lag:
        """Return which memories' vectors or fields changed beyond the watermarks of a scope."""

    async def backlog(self, name: str, /) -> int:
        """Count the events of all namespaces beyond their watermarks."""

    async def discard(self, name: str, namespace: Namespace | None = None, /) -> None:
        """Drop the watermark of one namespace, or all of a projection: it is built again."""


class Fences(Protocol):
    """Numbers that tell the latest holder of a lock from earlier ones (fencing tokens)."""

    async def take(self, name: str, /) -> int:
        """Return a number higher than all before, and thereby end what earlier holders may do."""

    async def check(self, name: str, token: int, /) -> None:
        """Raise `LockLost` unless `token` is the latest; it stays so until this change ends."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what its secret is checked against: a keyed hash in hexadecimal digits."""

    key: ApiKey
    digest: str


class ApiKeys(Protocol):
    """Keys to the doors. Adding and revoking leave a record in the audit log."""

    async def add(self, stored: StoredKey, /) -> None:
        """Insert a key; `created_by` is who did it."""

    async def find(self, id: str, /) -> StoredKey | None:
        """Return a key, whether or not it still works."""

    async def exist(self) -> bool:
        """Tell whether there ever was a key."""

    async def page(
        self, within: Namespace | None, /, *, limit: int, after: str | None = None
    ) -> list[ApiKey]:
        """Return one page, in id order, of those bound inside a subtree (None: of all)."""

    async def revoke(self, id: str, /, *, at: datetime, actor: str) -> None:
        """End a key for good; one that was revoked before stays as it was."""

    async def used(self, at: Mapping[str, datetime], /) -> None:
        """Note when keys were last used; an earlier time than the one noted changes nothing."""


class Jobs(Protocol):
    """The jobs there are, and what became of them."""

    async def add(self, job: Job, /) -> None:
        """Insert a job; one of the same id stays as it is."""

    async def get(self, id: str, /) -> Job | None:
        """Return one job; in a change nobody else changes it until the end."""

    async def put(self, job: Job, /) -> None:
        """Replace a job that was read in the same change."""

    async def page(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int,
        after: tuple[datetime, str] | None = None,
    ) -> list[Job]:
        """Return one page, newest first, after a job by its (created_at, id)."""

    async def unfinished(self, kinds: Iterable[JobKind], /, *, limit: int) -> list[Job]:
        """Return queued and running jobs of these kinds, oldest first."""

    async def latest(self, kind: JobKind, /) -> Job | None:
        """Return the newest job of a kind."""

    async def counts(self) -> list[JobCount]:
        """Count the jobs by kind and state."""

    async def prune(self, before: datetime, /) -> None:
        """Remove what was over before a time, but the newest of each kind."""


class Erasures(Protocol):
    """Memories that a restored store must still erase, before it serves anybody."""

    async def due(self, *, limit: int) -> list[MemoryId]:
        """Return some of them."""

    async def settle(self, ids: Sequence[MemoryId], /) -> None:
        """Note that these need nothing more."""
