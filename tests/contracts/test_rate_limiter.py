"""What every rate limiter must do: a window that really closes, and opens again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.drawn_limits import DrawnRateLimiter
from adapters.inprocess.limits import InProcessRateLimiter
from adapters.redis.limits import RedisRateLimiter
from adapters.redis.server import RedisServer
from domain.ports import Allowance, RateLimiter

_LIMIT = 3
_MINUTE = 60.0


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Subject:
    """A limiter, and how a moment of its time passes."""

    limiter: RateLimiter
    moment: Callable[[], Awaitable[None]]
    short_window_seconds: float


@pytest.fixture(params=["inprocess", "drawn", "redis"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """A limiter that has counted nothing."""
    if request.param != "redis":
        clock = Clock()

        async def pass_on() -> None:
            clock.now += 1.0

        near = InProcessRateLimiter(clock)
        limiter = near if request.param == "inprocess" else DrawnRateLimiter(near, clock)
        return Subject(limiter, pass_on, _MINUTE)
    server = cast(RedisServer, request.getfixturevalue("redis_connection"))
    fallback = InProcessRateLimiter(lambda: pytest.fail("the server was not asked"))
    return Subject(RedisRateLimiter(server, fallback), lambda: asyncio.sleep(0.01), 0.5)


async def test_grants_as_many_calls_as_the_limit_and_says_what_is_left(subject: Subject) -> None:
    answers = [await _take(subject) for _ in range(_LIMIT + 2)]

    assert [True, True, True, False, False] == [answer.granted for answer in answers]
    assert [2, 1, 0, 0, 0] == [answer.remaining for answer in answers]
    assert {_LIMIT} == {answer.limit for answer in answers}


async def test_says_when_there_will_be_room(subject: Subject) -> None:
    for _ in range(_LIMIT):
        await _take(subject)

    refused = await _take(subject)

    assert 0.9 * _MINUTE < refused.reset_seconds <= _MINUTE * 17 / 16


async def test_keys_do_not_touch_each_other(subject: Subject) -> None:
    for _ in range(_LIMIT):
        await _take(subject, "one")

    other = await _take(subject, "another")

    assert other.granted
    assert _LIMIT - 1 == other.remaining


async def test_there_is_room_again_after_the_window(subject: Subject) -> None:
    window = subject.short_window_seconds
    for _ in range(_LIMIT):
        await subject.limiter.take("key", limit=_LIMIT, window_seconds=window)

    async with asyncio.timeout(20):
        while not (await subject.limiter.take("key", limit=1, window_seconds=window)).granted:
            await subject.moment()


async def test_refused_calls_do_not_count(subject: Subject) -> None:
    for _ in range(_LIMIT):
        await _take(subject)
    for _ in range(10):
        await _take(subject)

    with_more_room = await subject.limiter.take("key", limit=_LIMIT + 1, window_seconds=_MINUTE)

    assert with_more_room.granted


async def test_a_lower_limit_holds_for_what_was_taken_before(subject: Subject) -> None:
    for _ in range(_LIMIT):
        await _take(subject)

    answer = await subject.limiter.take("key", limit=1, window_seconds=_MINUTE)

    assert Allowance(False, 1, 0, answer.reset_seconds) == answer


async def test_calls_at_the_same_time_get_no_more_than_the_limit(subject: Subject) -> None:
    answers = await asyncio.gather(*(_take(subject) for _ in range(40)))

    assert _LIMIT == sum(answer.granted for answer in answers)


async def test_no_window_of_the_server_holds_more_than_the_limit(
    redis_connection: RedisServer,
) -> None:
    fallback = InProcessRateLimiter(lambda: pytest.fail("the server was not asked"))
    replicas = [RedisRateLimiter(redis_connection, fallback) for _ in range(2)]
    window, limit = 0.05, 5
    granted: list[tuple[float, float]] = []

    async def call(limiter: RateLimiter) -> None:
        while len(granted) < 10 * limit:
            asked = time.monotonic()
            if (await limiter.take("key", limit=limit, window_seconds=window)).granted:
                granted.append((asked, time.monotonic()))

    async with asyncio.timeout(30):
        await asyncio.gather(*(call(limiter) for limiter in replicas))

    # The server decided between question and answer, so the windows are at most this long.
    asked_at = sorted(asked for asked, _ in granted)
    answered_at = sorted(answered for _, answered in granted)
    assert all(
        answered_at[later] - asked_at[later - limit] >= window
        for later in range(limit, len(granted))
    )


async def test_the_server_forgets_keys_that_are_not_used(redis_connection: RedisServer) -> None:
    limiter = RedisRateLimiter(redis_connection, InProcessRateLimiter(time.monotonic))

    await limiter.take("key", limit=1, window_seconds=0.16)

    name = redis_connection.key("limit", "10000:key")
    assert 0 < await redis_connection.ask(lambda client: client.pttl(name)) <= 170


@given(
    limit=st.integers(1, 4),
    window_ms=st.integers(1, 1_000),
    pauses_ms=st.lists(st.integers(0, 400), min_size=1, max_size=80),
)
async def test_no_window_holds_more_than_the_limit_and_each_opens_in_time(
    limit: int, window_ms: int, pauses_ms: list[int]
) -> None:
    clock = Clock()
    limiter = InProcessRateLimiter(clock)
    granted_ms: list[int] = []
    now_ms = 1_000_000

    for pause_ms in pauses_ms:
        now_ms += pause_ms
        clock.now = now_ms / 1000
        answer = await limiter.take("key", limit=limit, window_seconds=window_ms / 1000)

        recent = [then for then in granted_ms if now_ms - then < window_ms]
        late = [then for then in granted_ms if (now_ms - then) * 16 <= window_ms * 17 + 32]
        assert not answer.granted or len(recent) < limit
        assert answer.granted or len(late) >= limit
        if answer.granted:
            granted_ms.append(now_ms)


@given(
    limit=st.integers(1, 4),
    pauses=st.lists(st.floats(0, 30), max_size=12),
)
async def test_there_is_room_exactly_when_it_was_promised(limit: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = InProcessRateLimiter(clock)
    for pause in pauses:
        clock.now += pause
        await limiter.take("key", limit=limit, window_seconds=_MINUTE)
    refused = await limiter.take("key", limit=limit, window_seconds=_MINUTE)
    while refused.granted:
        refused = await limiter.take("key", limit=limit, window_seconds=_MINUTE)

    clock.now += refused.reset_seconds - 0.001
    early = await limiter.take("key", limit=limit, window_seconds=_MINUTE)
    clock.now += 0.002
    in_time = await limiter.take("key", limit=limit, window_seconds=_MINUTE)

    assert not early.granted
    assert in_time.granted


async def test_forgets_the_least_recently_used_keys_beyond_its_room() -> None:
    limiter = InProcessRateLimiter(Clock(), keys_max=2)
    for key in ("a", "b", "a", "c"):
        await limiter.take(key, limit=2, window_seconds=_MINUTE)

    remembered = await limiter.take("a", limit=2, window_seconds=_MINUTE)
    forgotten = await limiter.take("b", limit=2, window_seconds=_MINUTE)

    assert not remembered.granted
    assert 1 == forgotten.remaining


async def _take(subject: Subject, key: str = "key") -> Allowance:
    return await subject.limiter.take(key, limit=_LIMIT, window_seconds=_MINUTE)


class Counted:
    """A limiter that tells how often it was asked."""

    def __init__(self, limiter: RateLimiter) -> None:
        self.limiter = limiter
        self.asked = 0

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Ask the limiter."""
        self.asked += 1
        return await self.limiter.take(key, limit=limit, window_seconds=window_seconds, calls=calls)


async def test_several_calls_are_counted_all_or_none(subject: Subject) -> None:
    async def take(calls: int) -> Allowance:
        return await subject.limiter.take("key", limit=5, window_seconds=_MINUTE, calls=calls)

    answers = [await take(calls) for calls in (3, 3, 2, 1)]

    assert [True, False, True, False] == [answer.granted for answer in answers]
    assert [2, 2, 0, 0] == [answer.remaining for answer in answers]


async def test_whoever_draws_in_blocks_seldom_asks_and_gets_no_more_than_the_limit() -> None:
    clock = Clock()
    far = Counted(InProcessRateLimiter(clock))
    limiter = DrawnRateLimiter(far, clock)

    answers = [await limiter.take("key", limit=2000, window_seconds=_MINUTE) for _ in range(2500)]

    assert 2000 == sum(answer.granted for answer in answers)
    assert list(range(1999, 1899, -1)) == [answer.remaining for answer in answers[:100]]
    asked_while_granted = far.asked - 2 * 500
    assert asked_while_granted < 2000 / 10


@given(
    bursts=st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 120), st.floats(0, 20)), max_size=25
    )
)
async def test_no_window_of_replicas_that_draw_in_blocks_holds_more_than_the_limit(
    bursts: list[tuple[int, int, float]],
) -> None:
    clock = Clock()
    far = InProcessRateLimiter(clock)
    replicas = [DrawnRateLimiter(far, clock) for _ in range(2)]
    limit = 200
    granted: list[float] = []
    for replica, calls, pause in bursts:
        for _ in range(calls):
            answer = await replicas[replica].take("key", limit=limit, window_seconds=_MINUTE)
            if answer.granted:
                granted.append(clock.now)
            clock.now += 0.001
        clock.now += pause

    assert all(
        granted[later] - granted[later - limit] >= _MINUTE for later in range(limit, len(granted))
    )
