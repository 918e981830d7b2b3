"""Jobs that run by the clock: one worker at a time, resumed where the last one stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import LockLost, SomaError
from domain.ports import CanonicalStore, Locks

LOCK_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far one run of a job has come; only the latest holder of the job may write it."""

    store: CanonicalStore
    locks: Locks
    name: str
    owner: str
    token: int

    async def read(self) -> str | None:
        """Return where an interrupted run stopped, None for a new one."""
        async with self.store.reading() as tx:
            return await tx.settings.get(f"job:{self.name}:after") or None

    async def keep(self, place: str) -> None:
        """Note how far the run has come, and renew the lock; raise `LockLost` when overtaken."""
        async with self.store.writing() as tx:
            await tx.fences.check(f"job:{self.name}", self.token)
            await tx.settings.set(f"job:{self.name}:after", place)
        await self.locks.acquire(f"job:{self.name}", self.owner, ttl_seconds=LOCK_SECONDS)

    async def renew(self) -> None:
        """Say that the run goes on; raise `LockLost` when somebody else has taken over."""
        async with self.store.writing() as tx:
            await tx.fences.check(f"job:{self.name}", self.token)
        await self.locks.acquire(f"job:{self.name}", self.owner, ttl_seconds=LOCK_SECONDS)

    async def finish(self, at: datetime) -> None:
        """Note that the run is complete."""
        async with self.store.writing() as tx:
            await tx.fences.check(f"job:{self.name}", self.token)
            await tx.settings.set(f"job:{self.name}:after", "")
            await tx.settings.set(f"job:{self.name}:finished", at.isoformat())


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to do how often. `run` returns how much there was to do."""

    name: str
    every: timedelta
    run: Callable[[Progress], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class RunJobs:
    """Run what is due. The lock saves work; what protects the data is the fencing token."""

    store: CanonicalStore
    locks: Locks
    jobs: Sequence[Job]
    now: Callable[[], datetime]
    owner: str

    async def __call__(self) -> int:
        """Return how many jobs were run to their end.

        A job that fails does not keep the others from running; its error is raised in the end.
        """
        finished = 0
        failure: SomaError | None = None
        for job in self.jobs:
            try:
                if await self._is_due(job):
                    finished += await self._run(job)
            except SomaError as error:
                failure = error
        if failure is not None:
            raise failure
        return finished

    async def _is_due(self, job: Job) -> bool:
        async with self.store.reading() as tx:
            last = await tx.settings.get(f"job:{job.name}:finished")
        return last is None or self.now() - datetime.fromisoformat(last) >= job.every

    async def _run(self, job: Job) -> bool:
        lock = f"job:{job.name}"
        if not await self.locks.acquire(lock, self.owner, ttl_seconds=LOCK_SECONDS):
            return False
        try:
            async with self.store.writing() as tx:
                token = await tx.fences.take(lock)
            progress = Progress(
                store=self.store, locks=self.locks, name=job.name, owner=self.owner, token=token
            )
            await job.run(progress)
            await progress.finish(self.now())
        except LockLost:
            return False  # Somebody else goes on with it.
        finally:
            await self.locks.release(lock, self.owner)
        return True
