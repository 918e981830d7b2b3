"""Jobs in a canonical store."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.job import ATTEMPTS_MAX, STUCK_AFTER, Job, JobCount, JobKind, JobState
from domain.namespace import Namespace
from domain.ports import CanonicalStore
from tests.contracts.store_fixtures import START

_numbers = itertools.count(1)


def a_job(
    kind: JobKind = JobKind.REINDEX, *, minutes: float = 0, state: JobState = JobState.QUEUED
) -> Job:
    """Build a job that was asked for some minutes after `START`."""
    at = START + timedelta(minutes=minutes)
    over = at if state not in {JobState.QUEUED, JobState.RUNNING} else None
    return Job(
        id=f"job {next(_numbers):04}",
        kind=kind,
        requested_by="tester",
        state=state,
        created_at=at,
        not_before=at,
        finished_at=over,
    )


async def add(store: CanonicalStore, *jobs: Job) -> None:
    """Insert jobs in a change of their own."""
    async with store.writing() as tx:
        for job in jobs:
            await tx.jobs.add(job)


async def test_keeps_a_job_as_it_is(store: CanonicalStore) -> None:
    bare = a_job()
    full = Job(
        id="job full",
        kind=JobKind.EXPORT,
        namespace=Namespace("acme/alice"),
        parameters={"scope": "subtree", "vectors": True, "größe": [1, 2.5, None]},
        requested_by="key 7",
        attached=True,
        state=JobState.FAILED,
        done=12,
        total=34,
        cursor="acme/alice",
        owner="worker 1",
        token=3,
        attempts=2,
        cancel_requested=True,
        error="the disk is full",
        result={"findings": [{"subject": "x", "detail": "y"}]},
        created_at=START,
        not_before=START + timedelta(seconds=1),
        started_at=START + timedelta(seconds=2),
        heartbeat_at=START + timedelta(seconds=3),
        finished_at=START + timedelta(seconds=4),
    )
    await add(store, bare, full)

    async with store.reading() as tx:
        assert await tx.jobs.get(bare.id) == bare
        assert await tx.jobs.get(full.id) == full
        assert await tx.jobs.get("nobody") is None
        assert await tx.jobs.get("nul\x00") is None


async def test_replaces_a_job(store: CanonicalStore) -> None:
    job = a_job()
    await add(store, job)
    claimed = job.claimed("me", 1, START)

    async with store.writing() as tx:
        await tx.jobs.put(claimed)

    async with store.reading() as tx:
        assert await tx.jobs.get(job.id) == claimed


async def test_lists_jobs_newest_first_filtered_and_goes_on_after_one(
    store: CanonicalStore,
) -> None:
    twins = [a_job(minutes=1), a_job(minutes=1)]
    done = a_job(JobKind.BACKUP, minutes=2, state=JobState.SUCCEEDED)
    oldest = a_job(minutes=0)
    await add(store, twins[0], done, oldest, twins[1])

    async with store.reading() as tx:
        everything = await tx.jobs.page(limit=10)
        first = await tx.jobs.page(limit=2)
        rest = await tx.jobs.page(limit=10, after=(first[-1].created_at, first[-1].id))
        backups = await tx.jobs.page(kind=JobKind.BACKUP, limit=10)
        queued = await tx.jobs.page(state=JobState.QUEUED, limit=10)
        latest = await tx.jobs.latest(JobKind.REINDEX)
        never = await tx.jobs.latest(JobKind.EXPORT)

    assert everything == [done, twins[1], twins[0], oldest]
    assert first + rest == everything
    assert backups == [done]
    assert queued == [twins[1], twins[0], oldest]
    assert latest == twins[1]
    assert never is None


async def test_hands_out_unfinished_jobs_of_some_kinds_oldest_first(
    store: CanonicalStore,
) -> None:
    running = a_job(minutes=2, state=JobState.RUNNING)
    queued = a_job(minutes=1)
    other = a_job(JobKind.BACKUP, minutes=0)
    over = a_job(minutes=0, state=JobState.CANCELLED)
    await add(store, running, queued, other, over)

    async with store.reading() as tx:
        found = await tx.jobs.unfinished([JobKind.REINDEX, JobKind.IMPORT], limit=10)
        first = await tx.jobs.unfinished(list(JobKind), limit=1)
        none = await tx.jobs.unfinished([], limit=10)

    assert found == [queued, running]
    assert first == [other]
    assert none == []


async def test_counts_jobs_by_kind_and_state(store: CanonicalStore) -> None:
    await add(store, a_job(), a_job(), a_job(JobKind.BACKUP, state=JobState.FAILED))

    async with store.reading() as tx:
        assert await tx.jobs.counts() == [
            JobCount(JobKind.BACKUP, JobState.FAILED, 1),
            JobCount(JobKind.REINDEX, JobState.QUEUED, 2),
        ]


async def test_prunes_what_is_over_but_the_newest_of_each_kind(store: CanonicalStore) -> None:
    old = a_job(minutes=0, state=JobState.SUCCEEDED)
    waiting = a_job(minutes=1)
    newest = a_job(minutes=2, state=JobState.FAILED)
    only = a_job(JobKind.BACKUP, minutes=0, state=JobState.SUCCEEDED)
    await add(store, old, waiting, newest, only)

    async with store.writing() as tx:
        await tx.jobs.prune(START + timedelta(days=1))

    async with store.reading() as tx:
        assert await tx.jobs.page(limit=10) == [newest, waiting, only]


async def test_a_job_read_in_a_change_is_changed_by_nobody_else(store: CanonicalStore) -> None:
    """Else whoever notes progress would undo a cancellation."""
    job = a_job()
    await add(store, job)
    read = asyncio.Event()

    async def note_progress() -> None:
        async with store.writing() as tx:
            found = await tx.jobs.get(job.id)
            assert found is not None
            read.set()
            await tx.settings.get("epoch")
            await tx.jobs.put(replace(found, done=found.done + 1))

    async def cancel() -> None:
        await read.wait()
        async with store.writing() as tx:
            found = await tx.jobs.get(job.id)
            assert found is not None
            await tx.jobs.put(replace(found, cancel_requested=True))

    await asyncio.gather(note_progress(), cancel())

    async with store.reading() as tx:
        found = await tx.jobs.get(job.id)
    assert found == replace(job, done=1, cancel_requested=True)


@pytest.mark.parametrize("state", list(JobState))
def test_only_a_silent_running_job_is_stuck(state: JobState) -> None:
    job = replace(a_job(state=state), heartbeat_at=START)

    assert not job.is_stuck(START + STUCK_AFTER - timedelta(seconds=1))
    assert job.is_stuck(START + STUCK_AFTER) == (state is JobState.RUNNING)


def test_a_job_is_tried_later_every_time_and_given_up_in_the_end() -> None:
    job, now = a_job(), START
    pauses = []
    while job.is_open:
        job = job.claimed("me", 1, now).postponed(now, "down")
        pauses.append(job.not_before - now)
        now = max(now, job.not_before)

    assert job.state is JobState.FAILED
    assert job.attempts == ATTEMPTS_MAX
    assert job.error == "down"
    assert pauses[:3] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(seconds=20)]
