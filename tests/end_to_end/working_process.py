"""A process that runs a reindex job and says what it has done, until it is killed.

Run as `python -m tests.end_to_end.working_process DATA_DIR STEPS`. It prints the id of the job,
then a line for each step; after so many steps it goes no further.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from application.jobs.progress import Progress
from container import Container
from domain.job import Job, JobKind
from tests.end_to_end.embedded import ACTOR, installation


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Stopping:
    """The steps of a job, of which only so many are gone."""

    def __init__(self, progress: Progress, left: int) -> None:
        self._progress = progress
        self._left = left
        self.place = progress.place
        self.done = progress.done

    async def keep(self, place: str | None, *, done: int, total: int | None = None) -> None:
        """Note a step, say so, and stand still when it was the last."""
        await self._progress.keep(place, done=done, total=total)
        tell(str(done))
        self._left -= 1
        if not self._left:
            await asyncio.Event().wait()

    async def renew(self) -> None:
        """Say that the work goes on."""
        await self._progress.renew()


async def main(soma: Container, steps: int) -> None:
    """Work until the process ends."""

    async def reindex(job: Job, progress: Progress) -> Mapping[str, object]:
        return {"queued": await soma.reindex()(steps=Stopping(progress, steps))}

    job = await soma.start_job()(JobKind.REINDEX, {}, actor=ACTOR, reserved=True)
    tell(job.id)
    await soma.run_jobs(handlers={JobKind.REINDEX: reindex}).here(job.id)


async def _run(data_dir: Path, steps: int) -> None:
    async with installation(data_dir, background_embedding=False) as soma:
        await main(soma, steps)


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), int(sys.argv[2])))
