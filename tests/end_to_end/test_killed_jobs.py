"""SIGKILL in the middle of a job: the next owner of the data directory goes on with it."""

from __future__ import annotations

import asyncio
import select
import subprocess
import sys
from pathlib import Path

from application.indexing.models import REQUEUE_CHUNK
from container import Container
from domain.draft import Draft, Wait
from domain.job import Job, JobKind, JobState
from tests.end_to_end.embedded import ACTOR, installation

ROOT = Path(__file__).resolve().parents[2]
MEMORIES = 3 * REQUEUE_CHUNK + 17
BATCH = 1000


async def filled(data_dir: Path) -> None:
    """Store more memories than a reindex looks at in two steps."""
    async with installation(data_dir, background_embedding=False) as soma:
        drafts = [Draft(content=f"thought {number}") for number in range(MEMORIES)]
        for start in range(0, MEMORIES, BATCH):
            batch = drafts[start : start + BATCH]
            await soma.remember_batch()(batch, wait=Wait.STORED, actor=ACTOR)


def killed_after(data_dir: Path, steps: int) -> str:
    """Run a job for so many steps in a process of its own, kill that, and return the job's id."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.working_process", str(data_dir), str(steps)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told: list[str] = []
        while len(told) <= steps:
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready, told
            line = process.stdout.readline().strip()
            assert line, process.stderr and process.stderr.read()
            told.append(line)
        process.kill()
        process.wait()
    assert process.returncode == -9
    assert told[1:] == [str(REQUEUE_CHUNK * step) for step in range(1, steps + 1)]
    return told[0]


async def over(soma: Container, id: str) -> Job:
    """Return a job when it is over."""
    async with asyncio.timeout(60):
        while (job := await soma.show_job()(id)).is_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return job


async def test_a_killed_reindex_is_gone_on_with_at_once(tmp_path: Path) -> None:
    await filled(tmp_path)
    id = await asyncio.to_thread(killed_after, tmp_path, 2)

    async with installation(tmp_path, background_embedding=False) as soma:
        job = await over(soma, id)
        counts = await soma.count_jobs()()

    assert (job.state, job.attempts, job.done) == (JobState.SUCCEEDED, 2, MEMORIES)
    assert job.result == {"queued": MEMORIES}
    assert [(count.kind, count.state, count.count) for count in counts.counts] == [
        (JobKind.REINDEX, JobState.SUCCEEDED, 1)
    ]
