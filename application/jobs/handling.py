"""What is done for each kind of job that anybody with the settings for it can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from application.jobs.progress import Handler, Progress
from application.upkeep.backing_up import Backup
from application.upkeep.maintain import Reindex
from application.upkeep.reconciling import Reconcile
from application.upkeep.repairing import RepairVectorIndex, RequeueVectors
from domain.backup import Manifest
from domain.job import Job, JobKind


@dataclass(frozen=True, kw_only=True)
class MaintenanceJobs:
    """Looking after what is derived from the canonical rows."""

    reindex: Reindex
    reconcile: Reconcile
    requeue_vectors: RequeueVectors
    repair_index: RepairVectorIndex

    def handlers(self) -> dict[JobKind, Handler]:
        """Return what to call for each kind."""
        return {
            JobKind.REINDEX: self._reindex,
            JobKind.RECONCILE: self._reconcile,
            JobKind.REQUEUE_VECTORS: self._requeue_vectors,
            JobKind.REPAIR_VECTOR_INDEX: self._repair_index,
        }

    async def _reindex(self, job: Job, progress: Progress) -> Mapping[str, object]:
        model = job.parameters.get("model")
        queued = await self.reindex(None if model is None else str(model), steps=progress)
        return {"queued": queued}

    async def _reconcile(self, job: Job, progress: Progress) -> Mapping[str, object]:
        findings = await self.reconcile(check=bool(job.parameters["check"]), steps=progress)
        return {"findings": [asdict(finding) for finding in findings]}

    async def _requeue_vectors(self, _: Job, progress: Progress) -> Mapping[str, object]:
        await self.requeue_vectors(progress)
        return {}

    async def _repair_index(self, _: Job, progress: Progress) -> Mapping[str, object]:
        return {"mended": await self.repair_index(progress)}


@dataclass(frozen=True, kw_only=True)
class BackupJobs:
    """Backups to a path of the machine that runs the job."""

    backup: Backup

    def handlers(self) -> dict[JobKind, Handler]:
        """Return what to call for each kind."""
        return {JobKind.BACKUP: self.make}

    async def make(self, job: Job, progress: Progress) -> Mapping[str, object]:
        """Make the backup that a job asks for."""
        path = Path(str(job.parameters["to"]))
        return summary(path, await self.backup(path, name=job.id, steps=progress))


def summary(path: Path, manifest: Manifest) -> dict[str, object]:
    """Return what is said of a backup."""
    return {
        "path": str(path),
        "made_at": manifest.made_at.isoformat(),
        "bytes": sum(part.bytes for part in manifest.parts),
        "counts": dict(manifest.facts.counts),
    }
