"""Ask for the long work of those who run Soma: as a job, waited for or left to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from application.jobs.control import StartJob
from application.jobs.running import RunJobs
from application.upkeep.maintain import Reindex
from application.upkeep.reconciling import Reconcile
from domain.errors import InvalidInput
from domain.job import Job, JobKind


@dataclass(frozen=True, kw_only=True)
class ReindexAsJob:
    """Queue every vector that is missing."""

    start: StartJob
    run: RunJobs
    reindex: Reindex

    async def __call__(self, model: str | None = None, *, wait: bool, actor: str) -> Job:
        """Return the job; with `wait`, when it is over. Raises as `Reindex` and `RunJobs.here`."""
        self.reindex.check(model)
        parameters = {} if model is None else {"model": model}
        if not wait:
            return await self.start(JobKind.REINDEX, parameters, actor=actor)
        return await _done_here(self.start, self.run, JobKind.REINDEX, parameters, actor)


@dataclass(frozen=True, kw_only=True)
class ReconcileAsJob:
    """Compare everything derived with the canonical rows and, without `check`, rebuild it."""

    start: StartJob
    run: RunJobs
    reconcile: Reconcile

    async def __call__(self, *, check: bool, wait: bool, actor: str) -> Job:
        """Return the job; with `wait`, when it is over. Raises as `RunJobs.here`."""
        parameters = {"check": check}
        if wait:
            return await _done_here(self.start, self.run, JobKind.RECONCILE, parameters, actor)
        if not check:
            # Another process may run the job, and that one cannot do this for us.
            await self.reconcile.reset()
        return await self.start(JobKind.RECONCILE, parameters, actor=actor)


@dataclass(frozen=True, kw_only=True)
class BackupAsJob:
    """Back the store up to a path of the machine that this process runs on."""

    start: StartJob

    async def __call__(self, to: Path, *, actor: str) -> Job:
        """Return the queued job. Raises `InvalidInput` for a path that is not absolute."""
        if not to.is_absolute():
            raise InvalidInput("to", "must be an absolute path")
        return await self.start(JobKind.BACKUP, {"to": str(to)}, actor=actor)


async def _done_here(
    start: StartJob, run: RunJobs, kind: JobKind, parameters: Mapping[str, object], actor: str
) -> Job:
    """Run a job in this process; should it die meanwhile, another one does the job."""
    job = await start(kind, parameters, actor=actor, reserved=True)
    return await run.here(job.id)
