"""Imports and exports as jobs: they live with the request, and the caller goes on with them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from application.jobs.progress import Progress
from application.jobs.running import BEAT_SECONDS, INTERRUPTED, RunJobs
from application.transfer.exporting import Export
from application.transfer.importing import ImportLines
from application.transfer.tallying import Tally
from domain.access import Principal
from domain.draft import Wait
from domain.errors import InvalidInput, JobCancelled, LockLost, SomaError, Unavailable
from domain.job import Job, JobKind, JobState
from domain.namespace import Scope
from domain.transfer import ExportRecord, ImportLine, ImportReport

#: How often an export notes how far it has come.
NOTED_EVERY = timedelta(seconds=1)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: Gives the lines of an import beyond a number, when those before it have a digest.
LinesAfter = Callable[[int, str], AsyncIterator[ImportLine]]


@dataclass(frozen=True, kw_only=True)
class ImportAsJob:
    """Load lines; whoever hands in the same lines with the same id goes on where they stopped."""

    run: RunJobs
    import_lines: ImportLines
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    async def __call__(
        self, lines: LinesAfter, *, wait: Wait, caller: Principal, id: str | None = None
    ) -> ImportReport:
        """Return what became of all lines, those of earlier runs included.

        Raises `InvalidInput` for an id of another job, and `JobCancelled`. Every key has ids of its
        own: those of others are neither taken nor told of.
        """
        if id is not None and not _ID.fullmatch(id):
            raise InvalidInput("job", "must be 1 to 64 of letters, digits, - and _")
        name = self.new_id() if id is None else _own(id, caller)
        job = _attached(JobKind.IMPORT, name, {"wait": wait}, caller.name, self.now())
        progress = await self.run.begin(replace(job, namespace=caller.within))
        begun = Tally.read(progress.place)
        if progress.job.state is not JobState.SUCCEEDED:
            await self.run.through(self._work(lines, begun, progress, wait, caller), progress)
            begun = Tally.read(progress.place)
        else:
            async for line in lines(begun.line, begun.digest):
                raise InvalidInput("job", f"was over before line {line.number}")
        return begun.report()

    async def _work(
        self, lines: LinesAfter, begun: Tally, progress: Progress, wait: Wait, caller: Principal
    ) -> Mapping[str, object]:
        report = await self.import_lines(
            lines(begun.line, begun.digest),
            wait=wait,
            actor=caller.name,
            within=caller.within,
            steps=progress,
        )
        return {**asdict(report), "errors": len(report.errors)}


@dataclass(frozen=True, kw_only=True)
class ExportAsJob:
    """Stream an export that can be seen and cancelled while it runs."""

    run: RunJobs
    export: Export
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    async def __call__(
        self, scope: Scope, *, vectors: bool, caller: Principal, after: str | None = None
    ) -> AsyncIterator[ExportRecord]:
        """Yield records; a stream that breaks off ends the job as failed."""
        parameters = {"scope": scope.kind.value, "vectors": vectors}
        job = _attached(JobKind.EXPORT, self.new_id(), parameters, caller.name, self.now())
        progress = await self.run.begin(replace(job, namespace=scope.namespace))
        state, error = JobState.FAILED, INTERRUPTED
        beating = asyncio.create_task(_beat(progress))
        steps = _NowAndThen(progress, self.now)
        records = self.export(
            scope, vectors=vectors, after=after, within=caller.within, steps=steps
        )
        try:
            async for record in records:
                yield record
            state, error = JobState.SUCCEEDED, ""
        except JobCancelled:
            state, error = JobState.CANCELLED, ""
            raise
        except SomaError as failure:
            error = str(failure)
            raise
        finally:
            beating.cancel()
            result = {"exported": steps.done}
            with suppress(SomaError):
                await progress.end(
                    lambda job: replace(
                        job.ended(state, self.now(), error=error or None),
                        done=steps.done,
                        result=result if state is JobState.SUCCEEDED else None,
                    )
                )


class _NowAndThen:
    """The steps of an export: too many to note each of them."""

    place: str | None = None

    def __init__(self, progress: Progress, now: Callable[[], datetime]) -> None:
        self._progress = progress
        self._now = now
        self._noted_at = now()
        self.done = 0

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        """Note a step when the last one was a while ago."""
        self.done = done
        if self._now() - self._noted_at >= NOTED_EVERY:
            self._noted_at = self._now()
            await self._progress.keep(place, done=done, total=total)

    async def renew(self) -> None:
        """Say that the work goes on."""
        await self._progress.renew()


async def _beat(progress: Progress) -> None:
    """Say now and then that the export goes on: a slow reader is not a dead one."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        with suppress(Unavailable):
            try:
                await progress.renew()
            except (JobCancelled, LockLost):
                return  # The next step of the export hears of it.


def _own(id: str, caller: Principal) -> str:
    """Return an id that no caller with another key can name; `_ID` has no `@`."""
    return id if caller.key_id is None else f"{id}@{caller.key_id}"


def _attached(
    kind: JobKind, id: str, parameters: Mapping[str, object], actor: str, now: datetime
) -> Job:
    return Job(
        id=id,
        kind=kind,
        parameters=parameters,
        requested_by=actor,
        attached=True,
        created_at=now,
        not_before=now,
    )
