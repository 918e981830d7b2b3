"""What locks must do: one owner at a time, until the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from adapters.inprocess.locks import InProcessLocks
from adapters.redis.locks import RedisLocks
from adapters.redis.server import RedisServer
from adapters.sqlite.store import SqliteStore
from adapters.store_locks import StoreLocks
from domain.ports import Locks

_LONG = 60.0


@dataclass
class Subject:
    """Locks, and how a moment of their time passes."""

    locks: Locks
    moment: Callable[[], Awaitable[None]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store."""
    opened = SqliteStore(tmp_path / "soma.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(params=["inprocess", "redis", "store"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Locks that nobody holds."""
    if request.param == "store":
        store = cast(SqliteStore, request.getfixturevalue("store"))
        return Subject(StoreLocks(store, lambda: datetime.now(UTC)), lambda: asyncio.sleep(0.01))
    if request.param == "redis":
        server = cast(RedisServer, request.getfixturevalue("redis_connection"))
        return Subject(RedisLocks(server), lambda: asyncio.sleep(0.01))
    times = iter(range(1_000_000))
    now = 0.0

    async def pass_on() -> None:
        nonlocal now
        now = next(times) / 100

    return Subject(InProcessLocks(lambda: now), pass_on)


async def test_one_owner_at_a_time(subject: Subject) -> None:
    first = await subject.locks.acquire("job", "a", ttl_seconds=_LONG)
    second = await subject.locks.acquire("job", "b", ttl_seconds=_LONG)

    assert first
    assert not second


async def test_of_many_at_once_one_gets_it(subject: Subject) -> None:
    taken = await asyncio.gather(
        *(subject.locks.acquire("job", f"owner {n}", ttl_seconds=_LONG) for n in range(20))
    )

    assert 1 == sum(taken)


async def test_locks_of_other_names_are_free(subject: Subject) -> None:
    await subject.locks.acquire("job", "a", ttl_seconds=_LONG)

    assert await subject.locks.acquire("other job", "b", ttl_seconds=_LONG)


async def test_what_is_released_can_be_taken(subject: Subject) -> None:
    await subject.locks.acquire("job", "a", ttl_seconds=_LONG)

    await subject.locks.release("job", "a")

    assert await subject.locks.acquire("job", "b", ttl_seconds=_LONG)


async def test_only_the_owner_releases(subject: Subject) -> None:
    await subject.locks.acquire("job", "a", ttl_seconds=_LONG)

    await subject.locks.release("job", "b")
    await subject.locks.release("nobody's job", "b")

    assert not await subject.locks.acquire("job", "b", ttl_seconds=_LONG)


async def test_a_lock_ends_with_its_time(subject: Subject) -> None:
    await subject.locks.acquire("job", "a", ttl_seconds=0.05)

    async with asyncio.timeout(20):
        while not await subject.locks.acquire("job", "b", ttl_seconds=_LONG):
            await subject.moment()

    assert not await subject.locks.acquire("job", "a", ttl_seconds=_LONG)


async def test_the_owner_renews_it_for_longer(subject: Subject) -> None:
    await subject.locks.acquire("job", "a", ttl_seconds=0.2)
    await subject.locks.acquire("first", "a", ttl_seconds=0.2)

    renewed = await subject.locks.acquire("job", "a", ttl_seconds=_LONG)

    async with asyncio.timeout(20):
        while not await subject.locks.acquire("first", "b", ttl_seconds=_LONG):
            await subject.moment()
    assert renewed
    assert not await subject.locks.acquire("job", "b", ttl_seconds=_LONG)


_NAMES = st.sampled_from(["x", "y"])
_OWNERS = st.sampled_from(["a", "b", "c"])


class LockMachine(RuleBasedStateMachine):
    """The locks of a process beside a dictionary of who may hold what until when."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.held: dict[str, tuple[str, int]] = {}
        self.locks = InProcessLocks(lambda: self.now)

    @rule(name=_NAMES, owner=_OWNERS, ttl=st.integers(1, 5))
    def acquire(self, name: str, owner: str, ttl: int) -> None:
        holder, until = self.held.get(name, (owner, 0))
        expected = holder == owner or until <= self.now

        taken = asyncio.run(self.locks.acquire(name, owner, ttl_seconds=ttl))

        assert expected == taken
        if expected:
            self.held[name] = (owner, self.now + ttl)

    @rule(name=_NAMES, owner=_OWNERS)
    def release(self, name: str, owner: str) -> None:
        asyncio.run(self.locks.release(name, owner))
        if self.held.get(name, ("", 0))[0] == owner:
            del self.held[name]

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds


TestLockMachine = LockMachine.TestCase
