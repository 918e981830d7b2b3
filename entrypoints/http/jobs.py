"""Routes about jobs: what runs, what ran, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter

from application.access.permits import Operation
from domain.draft import Page
from domain.job import Job, JobKind, JobState
from entrypoints.http.access import needs
from entrypoints.http.problems import documented
from entrypoints.http.requests import Now, Soma
from entrypoints.http.schemas_recall import CursorParameter, LimitParameter


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBody:
    """A job as it stands.

    `done` of `total` steps are done (no `total`: unknown). `stuck`: its process has been silent for
    a minute, so another one will go on with it.
    """

    id: str
    kind: JobKind
    state: JobState
    namespace: str | None
    parameters: Mapping[str, object]
    requested_by: str
    done: int
    total: int | None
    stuck: bool
    owner: str | None
    attempts: int
    cancel_requested: bool
    error: str | None
    result: Mapping[str, object] | None
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


#: What starting a job without waiting for it answers.
QUEUED = {202: ResponseSpec(JobBody, description="The job is queued", generate_examples=False)}

WaitParameter = Annotated[
    bool, QueryParameter(description="`false`: answer 202 with the job, which runs by itself")
]


def job_body(job: Job, now: datetime) -> JobBody:
    """Return what is shown of a job."""
    return JobBody(
        id=job.id,
        kind=job.kind,
        state=job.state,
        namespace=job.namespace,
        parameters=job.parameters,
        requested_by=job.requested_by,
        done=job.done,
        total=job.total,
        stuck=job.is_stuck(now),
        owner=job.owner,
        attempts=job.attempts,
        cancel_requested=job.cancel_requested,
        error=job.error,
        result=job.result,
        created_at=job.created_at,
        started_at=job.started_at,
        heartbeat_at=job.heartbeat_at,
        finished_at=job.finished_at,
    )


def queued(job: Job, now: datetime) -> Response[JobBody]:
    """Answer where a job can be watched that runs by itself."""
    return Response(job_body(job, now), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})


@get("/jobs", opt=needs(Operation.LIST_JOBS), responses=documented(400))
async def list_jobs(
    soma: Soma,
    now: Now,
    *,
    kind: Annotated[JobKind | None, QueryParameter(description="only these")] = None,
    job_state: Annotated[
        JobState | None, QueryParameter(name="state", description="only those that stand so")
    ] = None,
    limit: LimitParameter = 100,
    cursor: CursorParameter = None,
) -> Page[JobBody]:
    """List the jobs of the last thirty days, newest first."""
    page = await soma.list_jobs(kind=kind, state=job_state, limit=limit, cursor=cursor)
    moment = now()
    return Page(tuple(job_body(job, moment) for job in page.items), page.next_cursor)


@get("/jobs/{job_id:str}", opt=needs(Operation.SHOW_JOB), responses=documented(400, 404))
async def show_job(job_id: FromPath[str], soma: Soma, now: Now) -> JobBody:
    """Show a job with its progress and its result."""
    return job_body(await soma.show_job(job_id), now())


@delete(
    "/jobs/{job_id:str}",
    opt=needs(Operation.CANCEL_JOB),
    status_code=200,
    responses=documented(400, 404),
)
async def cancel_job(job_id: FromPath[str], soma: Soma, now: Now) -> JobBody:
    """Cancel a job: at once while it waits, at its next step while it runs."""
    return job_body(await soma.cancel_job(job_id), now())


ROUTES = [list_jobs, show_job, cancel_job]
