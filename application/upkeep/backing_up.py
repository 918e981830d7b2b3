"""Back the store up while it works, verify a backup, put one in the store's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from application.jobs.steps import Steps, Unwatched
from domain.backup import Manifest
from domain.errors import MemoryNotFound, StoreNotEmpty
from domain.memory import MemoryId
from domain.ports import Archives, CanonicalStore, ErasureLedger, Snapshots

ACTOR = "restore"
PAGE = 500
REPORTED_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Backup:
    """Copy one moment of the store to a folder that appears whole or not at all."""

    snapshots: Snapshots
    archives: Archives
    now: Callable[[], datetime]

    async def __call__(self, to: Path, *, name: str, steps: Steps | None = None) -> Manifest:
        """Return what was written. `name` tells this attempt from others to the same path.

        A moment cannot be gone on with: an interrupted backup begins anew.
        """
        steps = steps or Unwatched()
        at, reported = self.now(), 0

        async def report(written: int, total: int | None) -> None:
            nonlocal reported
            if written - reported >= REPORTED_BYTES or written == total:
                reported = written
                await steps.keep(None, done=written, total=total)

        async with self.archives.making(to, name=name) as folder:
            facts = await self.snapshots.write(folder, report=report)
            # Whoever was overtaken must not let its folder appear.
            await steps.renew()
            return await self.archives.seal(folder, to, facts, at=at)


@dataclass(frozen=True, kw_only=True)
class VerifyBackup:
    """Read a backup and compare it with its checksums. Raises `BackupDamaged`."""

    archives: Archives

    async def __call__(self, path: Path) -> Manifest:
        """Return what it holds."""
        return await self.archives.verify(path)


@dataclass(frozen=True, kw_only=True)
class Restore:
    """Make the store what a backup holds: all of it, or nothing is changed.

    The epoch is a new one, so whatever was derived is built again. What was erased since has to be
    erased again before anybody is served: see `FinishRestore`.
    """

    snapshots: Snapshots
    verify: VerifyBackup
    ledger: ErasureLedger
    new_epoch: Callable[[], str]
    now: Callable[[], datetime]

    async def __call__(
        self, path: Path, *, replace: bool, ledgers: Sequence[ErasureLedger] = ()
    ) -> Manifest:
        """Return what was restored. Raises `StoreNotEmpty` unless it is to `replace` what is there.

        `ledgers` are those of other installations, beside the one in use. Nobody else may use the
        store meanwhile.
        """
        manifest = await self.verify(path)
        if not replace and await self.snapshots.holds_anything():
            raise StoreNotEmpty("there are memories in the store: --replace puts the backup there")
        await self.snapshots.put_in_place(
            path,
            manifest.facts,
            epoch=self.new_epoch(),
            at=self.now(),
            erased=self._erased(ledgers),
        )
        return manifest

    async def _erased(self, others: Sequence[ErasureLedger]) -> AsyncIterator[list[MemoryId]]:
        async for ids in self.ledger.pages():
            yield ids
        for other in others:
            async for ids in other.pages():
                await self.ledger.note(ids, at=self.now())
                yield ids


class EraseOne(Protocol):
    """Erases one memory."""

    async def __call__(self, id: MemoryId, *, actor: str) -> None:
        """Raise `MemoryNotFound` for an id that never existed."""


@dataclass(frozen=True, kw_only=True)
class FinishRestore:
    """Erase again what the backup still held; done before anybody is served, at every start."""

    store: CanonicalStore
    erase: EraseOne

    async def __call__(self) -> int:
        """Return how many memories were erased. An interrupted run is gone on with by the next."""
        erased = 0
        while True:
            async with self.store.reading() as tx:
                ids = await tx.erasures.due(limit=PAGE)
            if not ids:
                return erased
            for id in ids:
                erased += await self._erased(id)
            async with self.store.writing() as tx:
                await tx.erasures.settle(ids)

    async def _erased(self, id: MemoryId) -> bool:
        try:
            await self.erase(id, actor=ACTOR)
        except MemoryNotFound:
            return False  # It was stored after the backup was made.
        return True
