"""Jobs: long work on the store that is watched, cancelled, resumed, and done once at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.namespace import Namespace

#: A job whose owner has not been heard of for this long is stuck: somebody else takes it over.
STUCK_AFTER = timedelta(seconds=60)
#: How often it is begun before it is given up.
ATTEMPTS_MAX = 8
_PAUSE = timedelta(seconds=5)


class JobKind(StrEnum):
    """What is done."""

    REINDEX = "reindex"
    RECONCILE = "reconcile"
    BACKUP = "backup"
    IMPORT = "import"
    EXPORT = "export"
    REQUEUE_VECTORS = "requeue_vectors"
    REPAIR_VECTOR_INDEX = "repair_vector_index"


class JobState(StrEnum):
    """Where a job stands; the last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work. `namespace` is None for the whole installation.

    `done` of `total` things are done (`total` None: unknown); `cursor` says where an interrupted
    run goes on. An `attached` job lives with the request or the command that runs it: nobody else
    can go on with it. `token` is the fencing token of its latest owner.
    """

    id: str
    kind: JobKind
    namespace: Namespace | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    requested_by: str
    attached: bool = False
    state: JobState = JobState.QUEUED
    done: int = 0
    total: int | None = None
    cursor: str | None = None
    owner: str | None = None
    token: int = 0
    attempts: int = 0
    cancel_requested: bool = False
    error: str | None = None
    result: Mapping[str, object] | None = None
    created_at: datetime
    not_before: datetime
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether something will still become of it."""
        return self.state in OPEN_STATES

    @property
    def lock(self) -> str | None:
        """Name what only one running job may hold: its kind, in its namespace.

        An attached job has none: any number of callers may import or export at once.
        """
        if self.attached:
            return None
        where = "" if self.namespace is None else f":{self.namespace}"
        return f"job:{self.kind}{where}"

    def is_stuck(self, now: datetime) -> bool:
        """Tell whether its owner must be taken for dead."""
        if self.state is not JobState.RUNNING:
            return False
        return self.heartbeat_at is None or now - self.heartbeat_at >= STUCK_AFTER

    def is_due(self, now: datetime) -> bool:
        """Tell whether somebody may begin it, or go on with it."""
        waits = self.state is JobState.QUEUED and self.not_before <= now
        return waits or self.is_stuck(now)

    def claimed(self, owner: str, token: int, now: datetime) -> Job:
        """Return it in the hands of an owner."""
        return replace(
            self,
            state=JobState.RUNNING,
            owner=owner,
            token=token,
            attempts=self.attempts + 1,
            error=None,
            started_at=self.started_at or now,
            heartbeat_at=now,
            finished_at=None,
        )

    def ended(self, state: JobState, now: datetime, *, error: str | None = None) -> Job:
        """Return it as over."""
        return replace(self, state=state, error=error, finished_at=now, heartbeat_at=now)

    def postponed(self, now: datetime, error: str) -> Job:
        """Return it waiting for another attempt, later every time; or failed, after too many."""
        if self.attempts >= ATTEMPTS_MAX:
            return self.ended(JobState.FAILED, now, error=error)
        pause = _PAUSE * 2 ** max(0, self.attempts - 1)
        return replace(self, state=JobState.QUEUED, owner=None, error=error, not_before=now + pause)

    def requeued(self, now: datetime) -> Job:
        """Return it free for anybody, at once."""
        return replace(self, state=JobState.QUEUED, owner=None, not_before=now)

    def handed_back(self, now: datetime) -> Job:
        """Return it free for anybody, by an owner that stops in good order: no failed attempt."""
        return replace(self.requeued(now), attempts=self.attempts - 1)


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of one kind are in one state."""

    kind: JobKind
    state: JobState
    count: int
