"""One run of a job, as its work sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime

from domain.errors import JobCancelled, LockLost
from domain.job import STUCK_AFTER, Job, JobState
from domain.ports import CanonicalStore, Locks, Transaction

LOCK_SECONDS = STUCK_AFTER.total_seconds()


class Progress:
    """Implements `application.jobs.steps.Steps` for one run of a job.

    Only the latest owner of the job may write: whoever was overtaken hears of it here.
    """

    def __init__(
        self, store: CanonicalStore, locks: Locks, now: Callable[[], datetime], job: Job
    ) -> None:
        self._store = store
        self._locks = locks
        self._now = now
        self.job = job
        self._holder = holder(job)

    @property
    def place(self) -> str | None:
        """Where an interrupted run stopped."""
        return self.job.cursor

    @property
    def done(self) -> int:
        """How much is done."""
        return self.job.done

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        """Note how far the run has come. Raises `JobCancelled` and `LockLost`."""
        total = self.job.total if total is None else total
        await self._write(lambda job: replace(job, cursor=place, done=done, total=total))
        await self._renew_lock()

    async def renew(self) -> None:
        """Say that the run goes on. Raises `JobCancelled` and `LockLost`."""
        await self._write(lambda job: job)
        await self._renew_lock()

    async def end(self, change: Callable[[Job], Job]) -> Job:
        """Note what became of the run, also when its end was asked for meanwhile."""
        async with self._store.writing() as tx:
            self.job = change(await self._own(tx))
            await tx.jobs.put(self.job)
        return self.job

    async def release(self) -> None:
        """Let others of the kind have their turn."""
        if self.job.lock is not None:
            await self._locks.release(self.job.lock, self._holder)

    async def _write(self, change: Callable[[Job], Job]) -> None:
        async with self._store.writing() as tx:
            job = await self._own(tx)
            if job.cancel_requested:
                raise JobCancelled(job.id)
            self.job = replace(change(job), heartbeat_at=self._now())
            await tx.jobs.put(self.job)

    async def _own(self, tx: Transaction) -> Job:
        if self.job.lock is not None:
            await tx.fences.check(self.job.lock, self.job.token)
        job = await tx.jobs.get(self.job.id)
        if job is None or job.token != self.job.token or job.state is not JobState.RUNNING:
            raise LockLost(f"job:{self.job.id}")
        return job

    async def _renew_lock(self) -> None:
        if self.job.lock is not None:
            await self._locks.acquire(self.job.lock, self._holder, ttl_seconds=LOCK_SECONDS)


#: Work that is under way; it ends with what is to be shown of it.
Work = Coroutine[None, None, Mapping[str, object]]
#: Does the work of one kind.
Handler = Callable[[Job, Progress], Work]


def holder(job: Job) -> str:
    """Name the holder of a job's lock: two runs in one process are two holders."""
    return f"{job.owner}/{job.id}"
