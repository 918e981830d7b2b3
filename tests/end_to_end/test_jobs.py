"""Scheduled jobs: one at a time, resumed where they stopped, and fenced off when overtaken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.inprocess.locks import InProcessLocks
from application.jobs import Job, Progress, RunJobs
from container import Container
from domain.errors import LockLost, StoreUnavailable
from tests.end_to_end.embedded import Clock, installation

HOURLY = timedelta(hours=1)


@pytest.fixture
async def soma(tmp_path: Path) -> AsyncIterator[Container]:
    """Give an installation."""
    async with installation(tmp_path, background_embedding=False) as container:
        yield container


class Counting:
    """A job of three steps that may be interrupted before one of them."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.fails_at: int | None = None

    async def __call__(self, progress: Progress) -> int:
        """Do what is left."""
        for step in range(int(await progress.read() or 0), 3):
            if step == self.fails_at:
                self.fails_at = None
                raise StoreUnavailable("gone")
            self.steps.append(step)
            await progress.keep(str(step + 1))
        return len(self.steps)


def runner(
    soma: Container, job: Job, *, locks: InProcessLocks, clock: Clock, owner: str
) -> RunJobs:
    """Return a worker's runner."""
    return RunJobs(store=soma.store(), locks=locks, jobs=[job], now=clock, owner=owner)


async def test_a_job_runs_when_it_is_due_and_not_before(soma: Container) -> None:
    clock, work = Clock(), Counting()
    job = Job(name="count", every=HOURLY, run=work)
    run = runner(soma, job, locks=InProcessLocks(lambda: 0.0), clock=clock, owner="a")

    assert await run() == 1
    assert await run() == 0
    clock.pass_by(minutes=61)
    assert await run() == 1

    assert work.steps == [0, 1, 2, 0, 1, 2]


async def test_an_interrupted_job_goes_on_where_it_stopped(soma: Container) -> None:
    clock, work = Clock(), Counting()
    work.fails_at = 2
    job = Job(name="count", every=HOURLY, run=work)
    run = runner(soma, job, locks=InProcessLocks(lambda: 0.0), clock=clock, owner="a")

    with pytest.raises(StoreUnavailable):
        await run()
    assert await run() == 1

    assert work.steps == [0, 1, 2]


async def test_a_job_that_another_worker_holds_is_left_to_it(soma: Container) -> None:
    clock, work, locks = Clock(), Counting(), InProcessLocks(lambda: 0.0)
    job = Job(name="count", every=HOURLY, run=work)
    await locks.acquire("job:count", "somebody", ttl_seconds=60)

    assert await runner(soma, job, locks=locks, clock=clock, owner="me")() == 0

    assert work.steps == []


async def test_whoever_was_overtaken_writes_nothing_any_more(soma: Container) -> None:
    """A worker that was paused for longer than its lock lasts must not undo its successor."""
    clock, locks = Clock(), InProcessLocks(lambda: 0.0)
    overtaken: list[str] = []

    async def slow(progress: Progress) -> int:
        await progress.keep("mine")
        async with soma.store().writing() as tx:
            await tx.fences.take("job:count")
        try:
            await progress.keep("mine again")
        except LockLost as error:
            overtaken.append(str(error))
            raise
        return 1

    job = Job(name="count", every=HOURLY, run=slow)
    run = runner(soma, job, locks=locks, clock=clock, owner="a")

    assert await run() == 0

    assert overtaken == ["the lock 'job:count' was taken over"]
    async with soma.store().reading() as tx:
        assert await tx.settings.get("job:count:after") == "mine"
        assert await tx.settings.get("job:count:finished") is None
