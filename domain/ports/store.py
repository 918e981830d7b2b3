"""The canonical store: one place of truth, one transaction per change; and its copies."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from domain.backup import Manifest, StoreFacts
from domain.memory import MemoryId
from domain.ports.memories import (
    Feed,
    Lexicon,
    Links,
    Memories,
    Versions,
)
from domain.ports.records import (
    ApiKeys,
    Erasures,
    Fences,
    IdempotencyKeys,
    Jobs,
    Namespaces,
    Projections,
    Settings,
)
from domain.ports.vectors import (
    Embeddings,
    IndexTerms,
)

Answer = TypeVar("Answer")


class Transaction(Protocol):
    """One transaction: a consistent snapshot to read from, or a change that is whole or absent."""

    memories: Memories
    versions: Versions
    links: Links
    feed: Feed
    lexicon: Lexicon
    terms: IndexTerms
    embeddings: Embeddings
    namespaces: Namespaces
    idempotency: IdempotencyKeys
    settings: Settings
    projections: Projections
    fences: Fences
    keys: ApiKeys
    jobs: Jobs
    erasures: Erasures


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    subject: str
    detail: str


class CanonicalStore(Protocol):
    """The one place of truth. Each call gives a transaction of its own."""

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a snapshot."""

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Ask one thing, in one trip where that is possible.

        `ask` makes exactly one call on the transaction that it is given, which sees one snapshot.
        It may be asked again when the connection turns out to be broken.
        """

    def writing(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a change: commits on a clean exit, durable when the block ends; else rolls back."""

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the store does not answer."""

    async def check(self) -> list[Finding]:
        """Compare everything derived inside the store with the canonical rows."""


class Snapshots(Protocol):
    """Consistent copies of the whole canonical store, made while it works, and put in its place."""

    async def write(
        self, folder: Path, /, *, report: Callable[[int, int | None], Awaitable[None]]
    ) -> StoreFacts:
        """Write one moment of the store as files into a folder and return what they hold.

        `report` is told how many bytes of about how many are written; what it raises ends it.
        Raises `OSError` when the folder cannot be written: another attempt would not help.
        """

    async def holds_anything(self) -> bool:
        """Tell whether there is something that `put_in_place` would replace."""

    async def put_in_place(
        self,
        folder: Path,
        facts: StoreFacts,
        /,
        *,
        epoch: str,
        at: datetime,
        erased: AsyncIterator[Sequence[MemoryId]],
    ) -> None:
        """Make the store what the files hold, in a new epoch: all of it, or nothing.

        It then owes the erasure of what lives in it and is among `erased`, or was erased in what
        it replaces. Nobody else may use the store meanwhile:
        raises `StoreNotEmpty` when others are connected, `BackupDamaged` for files it cannot read.
        """


class Archives(Protocol):
    """Folders with a snapshot in them that can be trusted, or are not there."""

    def making(self, path: Path, /, *, name: str) -> AbstractAsyncContextManager[Path]:
        """Give a folder to write into, which goes unless it is sealed; `name` tells it from others.

        Raises `InvalidInput` when `path` is there already, lies inside of the store's own folder,
        or cannot be written, be it later: then the block may raise `OSError`.
        """

    async def seal(
        self, folder: Path, path: Path, facts: StoreFacts, /, *, at: datetime
    ) -> Manifest:
        """Add the checksums and let the folder appear at `path`, whole and on the disk."""

    async def verify(self, path: Path, /) -> Manifest:
        """Read everything again; raise `BackupDamaged` unless it is what was written."""


class ErasureLedger(Protocol):
    """Which memories were erased, kept apart from the store, so that no restore brings them back.

    Holds ids and times, no content. Raises `StoreUnavailable`.
    """

    async def note(self, ids: Sequence[MemoryId], /, *, at: datetime) -> None:
        """Remember erasures; they are on the disk when this returns."""

    def pages(self) -> AsyncIterator[list[MemoryId]]:
        """Iterate over all erased ids, some at a time; some may come twice."""
