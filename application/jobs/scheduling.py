"""Queue what is due by the clock, wake who runs it, and take up what a dead owner left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.jobs.running import INTERRUPTED
from domain.job import Job, JobKind, JobState
from domain.ports import CanonicalStore, Transaction

CLOCK = "clock"
_LEFT_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class ScheduleJobs:
    """Queue jobs that are done again and again, so many workers may do this at once."""

    store: CanonicalStore
    every: Mapping[JobKind, timedelta]
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    wake: Callable[[], None]

    async def __call__(self) -> int:
        """Return 0: what was queued is counted when it is run."""
        for kind, pause in self.every.items():
            async with self.store.reading() as tx:
                if not await self._is_due(tx, kind, pause):
                    continue
            async with self.store.writing() as tx:
                # Taking a number makes those who would queue the same wait for each other.
                await tx.fences.take(f"schedule:{kind}")
                if await self._is_due(tx, kind, pause):
                    await tx.jobs.add(self._job(kind))
            self.wake()
        return 0

    async def _is_due(self, tx: Transaction, kind: JobKind, pause: timedelta) -> bool:
        latest = await tx.jobs.latest(kind)
        if latest is None:
            return True
        return latest.finished_at is not None and self.now() - latest.finished_at >= pause

    def _job(self, kind: JobKind) -> Job:
        now = self.now()
        return Job(id=self.new_id(), kind=kind, requested_by=CLOCK, created_at=now, not_before=now)


class Bell:
    """Wakes those who rest until there is a job for this process."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """End everybody's rest."""
        self._rung.set()

    async def rest(self, seconds: float) -> None:
        """Wait for the bell, but no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


@dataclass(frozen=True, kw_only=True)
class ReviveJobs:
    """Take up at once what a dead owner of the store was doing; for who owns the store alone."""

    store: CanonicalStore
    now: Callable[[], datetime]

    async def __call__(self) -> None:
        """Queue what ran; what lived with a request of the dead process has failed."""
        async with self.store.reading() as tx:
            left = await tx.jobs.unfinished(list(JobKind), limit=_LEFT_MAX)
        for id in [job.id for job in left if job.state is JobState.RUNNING]:
            async with self.store.writing() as tx:
                job = await tx.jobs.get(id)
                if job is None or job.state is not JobState.RUNNING:
                    continue
                if job.lock is not None:
                    await tx.fences.take(job.lock)
                failed = job.ended(JobState.FAILED, self.now(), error=INTERRUPTED)
                await tx.jobs.put(failed if job.attached else job.requeued(self.now()))
