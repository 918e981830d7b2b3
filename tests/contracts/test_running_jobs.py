"""Jobs on either store: one at a time, resumed, taken over, cancelled, and fenced off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.inprocess.locks import InProcessLocks
from adapters.store_locks import StoreLocks
from application.jobs.control import CancelJob, CountJobs, ListJobs, ShowJob, StartJob
from application.jobs.progress import Handler, Progress
from application.jobs.running import RunJobs
from application.jobs.scheduling import Bell, ReviveJobs, ScheduleJobs
from domain.errors import (
    InvalidInput,
    JobCancelled,
    JobNotFound,
    LockLost,
    StoreUnavailable,
)
from domain.job import ATTEMPTS_MAX, STUCK_AFTER, Job, JobCount, JobKind, JobState
from domain.ports import CanonicalStore, Locks
from tests.contracts.store_fixtures import START, new_id
from tests.end_to_end.embedded import Clock

HOURLY = timedelta(hours=1)


class Counting:
    """A job of three steps that may be interrupted before one of them."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.fails: Exception | None = None
        self.fails_at = 2

    async def __call__(self, job: Job, progress: Progress) -> Mapping[str, object]:
        """Do what is left."""
        for step in range(int(progress.place or 0), 3):
            if step == self.fails_at and self.fails is not None:
                failure, self.fails = self.fails, None
                raise failure
            self.steps.append(step)
            await progress.keep(str(step + 1), done=step + 1, total=3)
        return {"steps": len(self.steps)}


class Held:
    """A job that goes on until it is let go."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.let_go = asyncio.Event()
        self.begun = 0

    async def __call__(self, job: Job, progress: Progress) -> Mapping[str, object]:
        """Note a step, wait, note another one."""
        self.begun += 1
        await progress.keep("half", done=1)
        self.running.set()
        await self.let_go.wait()
        await progress.keep("all", done=2)
        return {}


class Workers:
    """Processes that share a store, a clock and a service for locks."""

    def __init__(self, store: CanonicalStore) -> None:
        self.store = store
        self.clock = Clock(START)
        self.locks: Locks = StoreLocks(store, self.clock)
        self.defects: list[Exception] = []

    def one(
        self, work: Handler, *, owner: str = "a", patience: timedelta = timedelta(0)
    ) -> RunJobs:
        """Return what one process runs."""
        return RunJobs(
            store=self.store,
            locks=self.locks,
            handlers={JobKind.REINDEX: work},
            now=self.clock,
            owner=owner,
            defect=self.defects.append,
            patience=patience,
        )

    async def start(
        self, *, reserved: bool = False, wake: Callable[[], None] = lambda: None
    ) -> str:
        """Ask for a job."""
        start = StartJob(store=self.store, now=self.clock, new_id=new_id, wake=wake)
        job = await start(JobKind.REINDEX, {}, actor="tester", reserved=reserved)
        return job.id

    async def show(self, id: str) -> Job:
        """Return a job."""
        return await ShowJob(store=self.store)(id)

    async def cancel(self, id: str) -> Job:
        """Cancel a job."""
        return await CancelJob(store=self.store, now=self.clock)(id)


@pytest.fixture
def workers(store: CanonicalStore) -> Workers:
    """Some processes on one store."""
    return Workers(store)


async def test_a_job_is_run_once_and_shows_what_came_of_it(workers: Workers) -> None:
    work, bell = Counting(), Bell()
    id = await workers.start(wake=bell.ring)
    await bell.rest(60)  # Comes back at once: the bell was rung.

    assert await workers.one(work)() == 1
    assert await workers.one(work)() == 0

    job = await workers.show(id)
    assert (job.state, job.done, job.total, job.result) == (JobState.SUCCEEDED, 3, 3, {"steps": 3})
    assert job.owner == "a"
    assert job.finished_at == START


async def test_what_failed_for_now_is_tried_again_later_from_where_it_stopped(
    workers: Workers,
) -> None:
    work = Counting()
    work.fails = StoreUnavailable("gone")
    id, run = await workers.start(), workers.one(work)

    with pytest.raises(StoreUnavailable):
        await run()
    assert await run() == 0
    waiting = await workers.show(id)
    workers.clock.pass_by(seconds=5)
    assert await run() == 1

    assert (waiting.state, waiting.error, waiting.cursor) == (JobState.QUEUED, "gone", "2")
    assert work.steps == [0, 1, 2]
    assert (await workers.show(id)).error is None


async def test_what_fails_for_good_is_not_tried_again(workers: Workers) -> None:
    work = Counting()
    work.fails = InvalidInput("model", "is not known")
    id, run = await workers.start(), workers.one(work)

    assert await run() == 1
    workers.clock.pass_by(days=1)

    assert await run() == 0
    job = await workers.show(id)
    assert (job.state, job.error) == (JobState.FAILED, "model: is not known")


async def test_a_defect_in_a_job_is_told_of_and_the_next_job_runs(workers: Workers) -> None:
    work = Counting()
    work.fails = ZeroDivisionError("division by zero")
    id, run = await workers.start(), workers.one(work)

    assert await run() == 1
    after = await workers.start()
    assert await run() == 1

    assert [type(error) for error in workers.defects] == [ZeroDivisionError]
    states = [(await workers.show(one)).state for one in (id, after)]
    assert states == [JobState.FAILED, JobState.SUCCEEDED]


async def test_two_workers_never_run_jobs_of_one_kind_at_once(workers: Workers) -> None:
    work = Held()
    first, second = await workers.start(), await workers.start()
    running = asyncio.create_task(workers.one(work, owner="a")())
    await work.running.wait()

    assert await workers.one(work, owner="b")() == 0
    work.let_go.set()
    assert await running == 1
    assert await workers.one(work, owner="b")() == 1

    assert (await workers.show(first)).owner == "a"
    assert (await workers.show(second)).owner == "b"
    assert work.begun == 2


async def test_the_table_decides_where_the_locks_are_lost(workers: Workers) -> None:
    """Redis may have been emptied: then everybody is granted the lock."""
    work = Held()
    await workers.start()
    await workers.start()
    running = asyncio.create_task(workers.one(work, owner="a")())
    await work.running.wait()

    workers.locks = InProcessLocks(lambda: 0.0)
    assert await workers.one(work, owner="b")() == 0

    work.let_go.set()
    assert await running == 1


async def test_a_stuck_job_is_taken_over_and_its_old_owner_writes_nothing_any_more(
    workers: Workers,
) -> None:
    """A worker that was paused for longer than it may be silent must not undo its successor."""
    slow, quick = Held(), Counting()
    id = await workers.start()
    overtaken = asyncio.create_task(workers.one(slow, owner="paused")())
    await slow.running.wait()
    async with workers.store.writing() as tx:
        job = await tx.jobs.get(id)
        assert job is not None
        await tx.jobs.put(replace(job, cursor="1"))

    assert await workers.one(quick, owner="next")() == 0
    workers.clock.pass_by(seconds=STUCK_AFTER.total_seconds())
    assert await workers.one(quick, owner="next")() == 1
    slow.let_go.set()
    assert await overtaken == 1

    job = await workers.show(id)
    assert quick.steps == [1, 2]
    assert (job.owner, job.cursor, job.state) == ("next", "3", JobState.SUCCEEDED)
    assert job.attempts == 2


async def test_whoever_was_overtaken_hears_of_it(workers: Workers) -> None:
    heard: list[str] = []

    async def work(job: Job, progress: Progress) -> Mapping[str, object]:
        async with workers.store.writing() as tx:
            await tx.fences.take("job:reindex")
        try:
            await progress.keep("mine", done=1)
        except LockLost as error:
            heard.append(str(error))
            raise
        return {}

    id = await workers.start()
    await workers.one(work)()

    assert heard == ["the lock 'job:reindex' was taken over"]
    job = await workers.show(id)
    assert (job.state, job.cursor) == (JobState.RUNNING, None)


async def test_a_job_that_takes_its_processes_with_it_is_given_up(workers: Workers) -> None:
    id = await workers.start()
    for attempt in range(ATTEMPTS_MAX):
        async with workers.store.writing() as tx:
            job = await tx.jobs.get(id)
            assert job is not None
            await tx.jobs.put(job.claimed("dead", attempt + 1, workers.clock()))
        workers.clock.pass_by(seconds=STUCK_AFTER.total_seconds())

    work = Counting()
    assert await workers.one(work)() == 0

    job = await workers.show(id)
    assert (job.state, job.error) == (JobState.FAILED, "given up: its processes ended")
    assert work.steps == []


async def test_a_waiting_job_is_cancelled_at_once(workers: Workers) -> None:
    id = await workers.start()

    assert (await workers.cancel(id)).state is JobState.CANCELLED
    assert await workers.one(Counting())() == 0
    assert (await workers.cancel(id)).state is JobState.CANCELLED


async def test_a_running_job_is_cancelled_at_its_next_step(workers: Workers) -> None:
    work = Held()
    id = await workers.start()
    running = asyncio.create_task(workers.one(work)())
    await work.running.wait()

    asked = await workers.cancel(id)
    work.let_go.set()
    await running

    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    job = await workers.show(id)
    assert (job.state, job.cursor, job.done) == (JobState.CANCELLED, "half", 1)


async def test_a_job_without_steps_is_cancelled_by_its_heartbeat(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.jobs.running.BEAT_SECONDS", 0.01)
    work = Held()  # Nobody lets it go.
    id = await workers.start()
    running = asyncio.create_task(workers.one(work)())
    await work.running.wait()

    await workers.cancel(id)
    await running

    assert (await workers.show(id)).state is JobState.CANCELLED


async def test_a_long_step_is_not_taken_for_silence(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.jobs.running.BEAT_SECONDS", 0.01)
    work = Held()
    id = await workers.start()
    running = asyncio.create_task(workers.one(work)())
    await work.running.wait()

    workers.clock.pass_by(seconds=59)
    async with asyncio.timeout(20):
        while (await workers.show(id)).heartbeat_at != workers.clock():  # noqa: ASYNC110
            await asyncio.sleep(0)
    workers.clock.pass_by(seconds=59)
    assert await workers.one(Counting(), owner="b")() == 0

    work.let_go.set()
    await running
    assert (await workers.show(id)).state is JobState.SUCCEEDED


async def test_a_process_that_stops_hands_its_job_back(workers: Workers) -> None:
    work, after = Held(), Held()
    after.let_go.set()
    id = await workers.start()
    running = asyncio.create_task(workers.one(work)())
    await work.running.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    handed_back = await workers.show(id)

    assert (handed_back.state, handed_back.cursor) == (JobState.QUEUED, "half")
    assert handed_back.attempts == 0  # Many short-lived owners are not many failures.
    assert await workers.one(after, owner="b")() == 1


async def test_a_process_that_stops_ends_a_job_whose_end_was_asked_for(workers: Workers) -> None:
    work = Held()
    id = await workers.start()
    running = asyncio.create_task(workers.one(work)())
    await work.running.wait()
    await workers.cancel(id)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await workers.show(id)).state is JobState.CANCELLED


async def test_whoever_waits_for_a_job_runs_it_and_hears_its_errors(workers: Workers) -> None:
    work = Counting()
    run = workers.one(work)
    id = await workers.start(reserved=True)

    assert await run() == 0  # It is reserved for whoever asked.
    job = await run.here(id)
    work.fails, work.fails_at = StoreUnavailable("gone"), 0
    with pytest.raises(StoreUnavailable):
        await run.here(await workers.start(reserved=True))

    assert job.result == {"steps": 3}
    with pytest.raises(JobNotFound):
        await run.here("nobody")


async def test_whoever_waits_for_a_job_waits_for_its_turn(workers: Workers) -> None:
    work = Held()
    await workers.start()
    running = asyncio.create_task(workers.one(work, owner="a")())
    await work.running.wait()

    waiting = asyncio.create_task(
        workers.one(work, owner="b").here(await workers.start(reserved=True))
    )
    await asyncio.sleep(0)
    assert work.begun == 1
    work.let_go.set()

    assert await running == 1
    assert (await waiting).state is JobState.SUCCEEDED
    assert work.begun == 2


async def test_whoever_waits_for_a_job_hears_that_it_was_cancelled(workers: Workers) -> None:
    work = Held()
    id = await workers.start(reserved=True)
    waiting = asyncio.create_task(workers.one(work).here(id))
    await work.running.wait()

    await workers.cancel(id)
    work.let_go.set()

    with pytest.raises(JobCancelled):
        await waiting


async def test_workers_have_the_first_go(workers: Workers) -> None:
    """A server answers requests, but where there is no worker it runs what nobody else runs."""
    server = workers.one(Counting(), patience=timedelta(seconds=30))
    await workers.start()

    assert await server() == 0
    workers.clock.pass_by(seconds=30)
    assert await server() == 1


def attached_job(kind: JobKind = JobKind.IMPORT) -> Job:
    """Build a job that lives with its caller."""
    return Job(
        id=new_id(), kind=kind, requested_by="me", attached=True, created_at=START, not_before=START
    )


async def test_an_attached_job_is_resumed_by_its_caller_only(workers: Workers) -> None:
    run, job = workers.one(Counting()), attached_job()
    first = await run.begin(job)
    await first.keep("7", done=7)
    workers.clock.pass_by(minutes=5)

    assert await run() == 0  # Nobody else can go on with it: it has failed.
    assert (await workers.show(job.id)).state is JobState.FAILED
    second = await run.begin(job)
    with pytest.raises(LockLost):
        await first.keep("8", done=8)
    await second.keep("9", done=9)

    async def work() -> Mapping[str, object]:
        return {"imported": 9}

    await run.through(work(), second)
    assert (await workers.show(job.id)).state is JobState.SUCCEEDED
    again = await run.begin(job)
    assert again.job.result == {"imported": 9}


async def test_attached_jobs_of_one_kind_run_side_by_side(workers: Workers) -> None:
    run = workers.one(Counting())

    first, second = await run.begin(attached_job()), await run.begin(attached_job())
    await first.keep("1", done=1)
    await second.keep("1", done=1)


async def test_an_owner_that_is_alone_takes_up_at_once_what_a_dead_one_left(
    workers: Workers,
) -> None:
    id, attached = await workers.start(), attached_job()
    async with workers.store.writing() as tx:
        job = await tx.jobs.get(id)
        assert job is not None
        await tx.jobs.put(job.claimed("dead", await tx.fences.take("job:reindex"), START))
    await workers.one(Counting()).begin(attached)

    await ReviveJobs(store=workers.store, now=workers.clock)()

    assert (await workers.show(id)).state is JobState.QUEUED
    assert (await workers.show(attached.id)).state is JobState.FAILED
    assert await workers.one(Counting())() == 1


async def test_what_is_due_by_the_clock_is_queued_once_by_many(workers: Workers) -> None:
    work = Counting()
    schedule = ScheduleJobs(
        store=workers.store,
        every={JobKind.REINDEX: HOURLY},
        now=workers.clock,
        new_id=new_id,
        wake=lambda: None,
    )
    jobs = ListJobs(store=workers.store)

    await asyncio.gather(*(schedule() for _ in range(5)))
    assert len((await jobs()).items) == 1
    await workers.one(work)()
    workers.clock.pass_by(minutes=59)
    await schedule()
    assert len((await jobs()).items) == 1
    workers.clock.pass_by(minutes=1)
    await schedule()
    await schedule()

    page = await jobs()
    assert [job.requested_by for job in page.items] == ["clock", "clock"]
    overview = await CountJobs(store=workers.store, now=workers.clock)()
    assert list(overview.counts) == [
        JobCount(JobKind.REINDEX, JobState.QUEUED, 1),
        JobCount(JobKind.REINDEX, JobState.SUCCEEDED, 1),
    ]
    assert overview.stuck == 0


async def test_lists_page_by_page(workers: Workers) -> None:
    started = []
    for _ in range(5):
        started.append(await workers.start())
        workers.clock.pass_by(seconds=1)
    listing = ListJobs(store=workers.store)

    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await listing(limit=2, cursor=cursor)
        found += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == started[::-1]
    for wrong in ("", "x", "bnVsbA", "WyIyMDI2IiwgMV0"):
        with pytest.raises(InvalidInput, match="cursor"):
            await listing(cursor=wrong)
