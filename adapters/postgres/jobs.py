# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Jobs as rows, and the erasures that a restored database still owes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from adapters.postgres.rows import (
    Row,
    micros,
    moment_of,
    optional_micros,
    optional_moment,
    to_json,
)
from adapters.postgres.session import Session
from domain.job import Job, JobCount, JobKind, JobState
from domain.memory import MemoryId
from domain.namespace import Namespace

_COLUMNS = (
    "id", "kind", "namespace", "parameters", "requested_by", "attached", "state", "done", "total",
    "cursor", "owner", "token", "attempts", "cancel_requested", "error", "result", "created_at",
    "not_before", "started_at", "heartbeat_at", "finished_at",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_ADD = (
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
    " ON CONFLICT DO NOTHING"
)
_PUT = (
    f"UPDATE jobs SET ({', '.join(_COLUMNS)}) = ROW({', '.join(['%s'] * len(_COLUMNS))})"
    " WHERE id = %s"
)


class PostgresJobs:
    """Implements `domain.ports.Jobs`. A job that is read in a change stays locked until its end."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, job: Job, /) -> None:
        """Insert a job; one of the same id stays as it is."""
        await self._session.run(_ADD, _values_of(job))

    async def get(self, id: str, /) -> Job | None:
        """Return one job."""
        if "\x00" in id:
            return None
        locked = " FOR UPDATE" if self._session.writing else ""
        found = await self._jobs(f"{_SELECT} WHERE id = %s{locked}", [id])
        return found[0] if found else None

    async def put(self, job: Job, /) -> None:
        """Replace a job."""
        await self._session.run(_PUT, [*_values_of(job), job.id])

    async def page(
        self,
        *,
        kind: JobKind | None = None,
        state: JobState | None = None,
        limit: int,
        after: tuple[datetime, str] | None = None,
    ) -> list[Job]:
        """Return one page, newest first."""
        conditions = ["true"]
        parameters: list[object] = []
        for column, value in (("kind", kind), ("state", state)):
            if value is not None:
                conditions.append(f"{column} = %s")
                parameters.append(str(value))
        if after is not None:
            conditions.append("(created_at, id) < (%s, %s)")
            parameters += [micros(after[0]), after[1]]
        return await self._jobs(
            f"{_SELECT} WHERE {' AND '.join(conditions)}"
            " ORDER BY created_at DESC, id DESC LIMIT %s",
            [*parameters, limit],
        )

    async def unfinished(self, kinds: Iterable[JobKind], /, *, limit: int) -> list[Job]:
        """Return queued and running jobs of these kinds, oldest first."""
        return await self._jobs(
            f"{_SELECT} WHERE finished_at IS NULL AND kind = ANY(%s::text[])"
            " ORDER BY created_at, id LIMIT %s",
            [[kind.value for kind in kinds], limit],
        )

    async def latest(self, kind: JobKind, /) -> Job | None:
        """Return the newest job of a kind."""
        found = await self.page(kind=kind, limit=1)
        return found[0] if found else None

    async def counts(self) -> list[JobCount]:
        """Count the jobs by kind and state."""
        rows = await self._session.rows(
            "SELECT kind, state, count(*) FROM jobs GROUP BY kind, state ORDER BY kind, state"
        )
        return [JobCount(JobKind(kind), JobState(state), count) for kind, state, count in rows]

    async def prune(self, before: datetime, /) -> None:
        """Remove what was over before a time, but the newest of each kind."""
        await self._session.run(
            "DELETE FROM jobs WHERE finished_at < %s AND EXISTS (SELECT 1 FROM jobs newer"
            " WHERE newer.kind = jobs.kind"
            " AND (newer.created_at, newer.id) > (jobs.created_at, jobs.id))",
            [micros(before)],
        )

    async def _jobs(self, statement: str, parameters: Sequence[object]) -> list[Job]:
        return [_job_of(row) for row in await self._session.rows(statement, parameters)]


class PostgresErasures:
    """Implements `domain.ports.Erasures`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def due(self, *, limit: int) -> list[MemoryId]:
        """Return some of them."""
        rows = await self._session.rows(
            "SELECT memory_id FROM erasures_due ORDER BY memory_id LIMIT %s", [limit]
        )
        return [MemoryId(id) for (id,) in rows]

    async def settle(self, ids: Sequence[MemoryId], /) -> None:
        """Note that these need nothing more."""
        await self._session.run(
            "DELETE FROM erasures_due WHERE memory_id = ANY(%s::text[])", [list(ids)]
        )


def _values_of(job: Job) -> list[object]:
    return [
        job.id,
        job.kind.value,
        job.namespace,
        to_json(dict(job.parameters)),
        job.requested_by,
        job.attached,
        job.state.value,
        job.done,
        job.total,
        job.cursor,
        job.owner,
        job.token,
        job.attempts,
        job.cancel_requested,
        job.error,
        None if job.result is None else to_json(dict(job.result)),
        micros(job.created_at),
        micros(job.not_before),
        optional_micros(job.started_at),
        optional_micros(job.heartbeat_at),
        optional_micros(job.finished_at),
    ]


def _job_of(row: Row) -> Job:
    (id, kind, namespace, parameters, requested_by, attached, state, done, total) = row[:9]
    (cursor, owner, token, attempts, cancel_requested, error, result) = row[9:16]
    (created_at, not_before, started_at, heartbeat_at, finished_at) = row[16:]
    return Job(
        id=id,
        kind=JobKind(kind),
        namespace=None if namespace is None else Namespace(namespace),
        parameters=json.loads(parameters),
        requested_by=requested_by,
        attached=attached,
        state=JobState(state),
        done=done,
        total=total,
        cursor=cursor,
        owner=owner,
        token=token,
        attempts=attempts,
        cancel_requested=cancel_requested,
        error=error,
        result=None if result is None else json.loads(result),
        created_at=moment_of(created_at),
        not_before=moment_of(not_before),
        started_at=optional_moment(started_at),
        heartbeat_at=optional_moment(heartbeat_at),
        finished_at=optional_moment(finished_at),
    )
