"""Ask for jobs, look at them, cancel them. What runs them is in `application.jobs.running`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from application.show import check_limit
from domain.draft import Page
from domain.errors import InvalidInput, JobNotFound
from domain.job import STUCK_AFTER, Job, JobCount, JobKind, JobState
from domain.namespace import Namespace
from domain.ports import CanonicalStore

#: How long it can be seen what became of a job.
KEPT = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class StartJob:
    """Queue a job, durably: it is done even if this process dies the moment after."""

    store: CanonicalStore
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    wake: Callable[[], None]

    async def __call__(
        self,
        kind: JobKind,
        parameters: Mapping[str, object],
        *,
        actor: str,
        namespace: Namespace | None = None,
        reserved: bool = False,
    ) -> Job:
        """Return the queued job. `reserved`: the caller runs it itself, unless it dies."""
        now = self.now()
        job = Job(
            id=self.new_id(),
            kind=kind,
            namespace=namespace,
            parameters=parameters,
            requested_by=actor,
            created_at=now,
            not_before=now + STUCK_AFTER if reserved else now,
        )
        async with self.store.writing() as tx:
            await tx.jobs.prune(now - KEPT)
            await tx.jobs.add(job)
        if not reserved:
            self.wake()
        return job


@dataclass(frozen=True, kw_only=True)
class ListJobs:
    """List jobs, newest first."""

    store: CanonicalStore

    async def __call__(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return one page."""
        check_limit(limit)
        after = None if cursor is None else _read_cursor(cursor)
        async with self.store.reading() as tx:
            found = await tx.jobs.page(kind=kind, state=state, limit=limit + 1, after=after)
        page = tuple(found[:limit])
        return Page(page, _write_cursor(page[-1]) if len(found) > limit else None)


@dataclass(frozen=True, kw_only=True)
class ShowJob:
    """Return one job. Raises `JobNotFound`."""

    store: CanonicalStore

    async def __call__(self, id: str) -> Job:
        """Return it as it stands."""
        async with self.store.reading() as tx:
            job = await tx.jobs.get(id)
        if job is None:
            raise JobNotFound(id)
        return job


@dataclass(frozen=True, kw_only=True)
class CancelJob:
    """End a job: at once while it waits, at its next step while it runs. Raises `JobNotFound`.

    One that is over stays what it became.
    """

    store: CanonicalStore
    now: Callable[[], datetime]

    async def __call__(self, id: str) -> Job:
        """Return the job; while it still runs, it says that its end was asked for."""
        async with self.store.writing() as tx:
            job = await tx.jobs.get(id)
            if job is None:
                raise JobNotFound(id)
            if not job.is_open:
                return job
            asked = replace(job, cancel_requested=True)
            if job.state is JobState.QUEUED or job.is_stuck(self.now()):
                asked = asked.ended(JobState.CANCELLED, self.now())
            await tx.jobs.put(asked)
        return asked


@dataclass(frozen=True, slots=True)
class JobsOverview:
    """How many jobs there are by kind and state, and how many have been silent for too long."""

    counts: Sequence[JobCount]
    stuck: int


@dataclass(frozen=True, kw_only=True)
class CountJobs:
    """Count the jobs of the last thirty days, for metrics."""

    store: CanonicalStore
    now: Callable[[], datetime]

    async def __call__(self) -> JobsOverview:
        """Return the counts; kinds and states without a job are left out."""
        async with self.store.reading() as tx:
            counts = await tx.jobs.counts()
            running = await tx.jobs.page(state=JobState.RUNNING, limit=1000)
        return JobsOverview(counts, sum(job.is_stuck(self.now()) for job in running))


def _write_cursor(job: Job) -> str:
    place = json.dumps([job.created_at.isoformat(), job.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, id = json.loads(base64.urlsafe_b64decode(padded.encode()))
        created_at = datetime.fromisoformat(moment)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidInput("cursor", "is not a cursor of this list") from error
    if created_at.tzinfo is None or not isinstance(id, str) or "\x00" in id:
        raise InvalidInput("cursor", "is not a cursor of this list")
    return created_at, id
