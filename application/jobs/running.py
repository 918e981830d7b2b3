"""Run jobs: one of a kind per namespace at a time, resumed and taken over, and fenced off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from application.jobs.progress import LOCK_SECONDS, Handler, Progress, Work, holder
from domain.errors import (
    Conflict,
    InvalidInput,
    JobCancelled,
    JobNotFound,
    JobWaits,
    LockLost,
    SomaError,
    Unavailable,
)
from domain.job import ATTEMPTS_MAX, Job, JobKind, JobState
from domain.ports import CanonicalStore, Locks, Transaction

BEAT_SECONDS = LOCK_SECONDS / 6
TURN_SECONDS = 100.0
INTERRUPTED = "its process ended"
DEFECT = "a defect ended it: the log says where"
_POLL_SECONDS = 0.1
_LOOKED_AT_MAX = 1000


class _NotNow(JobWaits):
    """The job is not for this process, or not yet: what the claim has written is undone."""


def _untimed(_: JobKind, work: Work) -> Work:
    return work


@dataclass(frozen=True, kw_only=True)
class RunJobs:
    """Claim jobs and run them. The lock saves work; what protects the data is the fencing token.

    `patience` is how long the others, workers above all, have the first go. `timed` writes down
    how long the work took; `defect` is told what nobody expected of a job that nobody waits for.
    """

    store: CanonicalStore
    locks: Locks
    handlers: Mapping[JobKind, Handler]
    now: Callable[[], datetime]
    owner: str
    defect: Callable[[Exception], None]
    patience: timedelta = timedelta(0)
    timed: Callable[[JobKind, Work], Work] = _untimed

    async def __call__(self) -> int:
        """Run the oldest job that is due, to its end; return how many were run: 0 or 1."""
        async with self.store.reading() as tx:
            jobs = await tx.jobs.unfinished(list(JobKind), limit=_LOOKED_AT_MAX)
        for job in jobs:
            if not job.is_due(self.now() - self.patience):
                continue
            if job.attached or job.cancel_requested or job.attempts >= ATTEMPTS_MAX:
                await self._bury(job)
            elif job.kind in self.handlers and (claimed := await self._claim(job)):
                await self._run_quietly(claimed)
                return 1
        return 0

    async def here(self, id: str) -> Job:
        """Run one job in this process, when those of its kind that run are over.

        Returns it with its result. Raises what the work raises, `JobCancelled`, and `JobWaits`
        when its turn does not come in 100 s: then it stays queued.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TURN_SECONDS
        while (claimed := await self._turn(id)) is None:
            if loop.time() > deadline:
                raise JobWaits(id)
            await asyncio.sleep(_POLL_SECONDS)
        if claimed.is_open:
            return await self._run(claimed, patient=False)
        if claimed.state is JobState.CANCELLED:
            raise JobCancelled(id)
        if claimed.state is JobState.FAILED:
            raise Conflict(f"the job {id} failed: {claimed.error}")
        return claimed

    async def begin(self, job: Job) -> Progress:
        """Claim an attached job, new or resumed, for work that its caller does itself.

        A job that is over and done is returned as it is. Whoever ran it before is fenced off.
        Raises `InvalidInput` when the id is that of another kind of job, or of another caller's.
        """
        async with self.store.writing() as tx:
            current = await tx.jobs.get(job.id)
            if current is None:
                await tx.jobs.add(job)
                current = job
            if (current.kind, current.requested_by) != (job.kind, job.requested_by):
                raise InvalidInput("job", "is the id of another job")
            if current.state is not JobState.SUCCEEDED:
                current = replace(current, cancel_requested=False)
                current = current.claimed(self.owner, current.token + 1, self.now())
                await tx.jobs.put(current)
        return Progress(self.store, self.locks, self.now, current)

    async def _turn(self, id: str) -> Job | None:
        """Return the job claimed, or over; None while it has to wait."""
        async with self.store.reading() as tx:
            job = await tx.jobs.get(id)
        if job is None:
            raise JobNotFound(id)
        if not job.is_open:
            return job
        return await self._claim(job, reserved=True)

    async def _claim(self, job: Job, *, reserved: bool = False) -> Job | None:
        """Return the job as this process's own; None when it is not to be had."""
        lock, mine = str(job.lock), holder(replace(job, owner=self.owner))
        if not await self.locks.acquire(lock, mine, ttl_seconds=LOCK_SECONDS):
            return None
        try:
            async with self.store.writing() as tx:
                return await self._claimed(tx, job, lock, reserved=reserved)
        except _NotNow:
            async with self.store.reading() as tx:
                current = await tx.jobs.get(job.id)
            if current is None or holder(current) != mine:
                await self.locks.release(lock, mine)
            return None

    async def _claimed(self, tx: Transaction, job: Job, lock: str, *, reserved: bool) -> Job:
        # Taking a number first makes those who want the same lock wait for each other.
        token = await tx.fences.take(lock)
        now = self.now()
        current = await tx.jobs.get(job.id)
        others = await tx.jobs.unfinished([job.kind], limit=_LOOKED_AT_MAX)
        taken = any(
            other.lock == lock
            and other.id != job.id
            and other.state is JobState.RUNNING
            and not other.is_stuck(now)
            for other in others
        )
        if current is None or taken:
            raise _NotNow(job.id)
        if not (current.is_due(now) or (reserved and current.state is JobState.QUEUED)):
            raise _NotNow(job.id)
        claimed = current.claimed(self.owner, token, now)
        await tx.jobs.put(claimed)
        return claimed

    async def _run(self, job: Job, *, patient: bool = True) -> Job:
        """Run a claimed job; a failure that may pass is tried again later, if that is `patient`."""
        progress = Progress(self.store, self.locks, self.now, job)
        work = self.handlers[job.kind](job, progress)
        return await self._seen_through(work, progress, patient=patient)

    async def _run_quietly(self, job: Job) -> None:
        """Run a job that nobody waits for: what went wrong for good stands in the job."""
        try:
            await self._run(job)
        except Unavailable:
            raise
        except SomaError:
            return
        except Exception as error:  # noqa: BLE001 - of one job; the next one may do well
            self.defect(error)

    async def through(self, work: Work, progress: Progress) -> Job:
        """Do the work of an attached job; whatever interrupts it ends the job as failed."""
        return await self._seen_through(work, progress, patient=False)

    async def _seen_through(self, work: Work, progress: Progress, *, patient: bool) -> Job:
        becomes: Callable[[Job], Job] | None
        becomes = partial(self._failed, error=DEFECT, passes=False)
        try:
            result = await self._watched(self.timed(progress.job.kind, work), progress)
            await progress.end(partial(self._succeeded, result=result))
            becomes = None
        except LockLost:
            becomes = None
            raise
        except JobCancelled:
            becomes = self._cancelled
            raise
        except SomaError as error:
            passes = patient and isinstance(error, Unavailable)
            becomes = partial(self._failed, error=str(error), passes=passes)
            raise
        except asyncio.CancelledError:
            # This process stops: another one goes on at once instead of waiting for the silence.
            becomes = self._interrupted
            raise
        finally:
            await self._end(progress, becomes)
        return progress.job

    async def _end(self, progress: Progress, becomes: Callable[[Job], Job] | None) -> None:
        """Note how a run ended early. Where the store is down, its silence will tell."""
        try:
            if becomes is not None:
                with suppress(Unavailable, LockLost):
                    await progress.end(becomes)
        finally:
            await progress.release()

    def _succeeded(self, job: Job, *, result: Mapping[str, object]) -> Job:
        return replace(job.ended(JobState.SUCCEEDED, self.now()), result=result)

    def _cancelled(self, job: Job) -> Job:
        return job.ended(JobState.CANCELLED, self.now())

    def _failed(self, job: Job, *, error: str, passes: bool) -> Job:
        if passes:
            return job.postponed(self.now(), error)
        return job.ended(JobState.FAILED, self.now(), error=error)

    def _interrupted(self, job: Job) -> Job:
        if job.cancel_requested:
            return self._cancelled(job)
        if job.attached:
            return job.ended(JobState.FAILED, self.now(), error=INTERRUPTED)
        return job.handed_back(self.now())

    async def _watched(self, work: Work, progress: Progress) -> Mapping[str, object]:
        """Say now and then that the work goes on; stop it when it must not go on."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=BEAT_SECONDS)
                if not task.done():
                    with suppress(Unavailable):  # The work will notice by itself.
                        await progress.renew()
            return await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, SomaError):
                await task

    async def _bury(self, job: Job) -> None:
        """End a job with which nobody will go on."""
        with suppress(_NotNow):
            async with self.store.writing() as tx:
                if job.lock is not None:
                    await tx.fences.take(job.lock)
                current = await tx.jobs.get(job.id)
                if current is None or not current.is_due(self.now()):
                    raise _NotNow(job.id)
                if current.cancel_requested:
                    ended = current.ended(JobState.CANCELLED, self.now())
                else:
                    reason = INTERRUPTED if current.attached else "given up: its processes ended"
                    ended = current.ended(JobState.FAILED, self.now(), error=reason)
                await tx.jobs.put(ended)
