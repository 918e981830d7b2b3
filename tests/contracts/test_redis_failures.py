"""Redis killed, restarted, emptied, paused or swallowed: speed changes, answers do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from adapters.inprocess.limits import InProcessRateLimiter
from adapters.redis.cache import RedisCache
from adapters.redis.client import client_of
from adapters.redis.limits import RedisRateLimiter
from adapters.redis.locks import RedisLocks
from adapters.redis.server import RedisServer
from domain.errors import CacheUnavailable, SomaError
from tests.servers.proxy import Mode, Proxy
from tests.servers.redis import PATIENT_SECONDS
from tests.servers.server import Server, free_port

_QUICK_SECONDS = 0.5


class Outage:
    """A server behind a proxy, and one way in which it can be away."""

    def __init__(self, server: Server, proxy: Proxy, kind: str) -> None:
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        self.begin, self.end = {
            "killed": (server.kill, server.start),
            "paused": (server.pause, server.resume),
            "black hole": (
                lambda: proxy.set(Mode.BLACK_HOLE),
                lambda: proxy.set(Mode.FORWARD),
            ),
            "refused": (lambda: proxy.set(Mode.REFUSE), lambda: proxy.set(Mode.FORWARD)),
        }[kind]


@pytest.fixture(params=["killed", "paused", "black hole", "refused"])
def outage(request: pytest.FixtureRequest, own_redis: Server) -> Iterator[Outage]:
    """An outage that has not begun."""
    port = urlsplit(own_redis.url).port
    assert port is not None
    with Proxy(port).running() as proxy:
        yield Outage(own_redis, proxy, request.param)


@asynccontextmanager
async def _connected(
    url: str, reports: list[SomaError], *, timeout_seconds: float = _QUICK_SECONDS
) -> AsyncIterator[RedisServer]:
    server = RedisServer(
        url, timeout_seconds=timeout_seconds, pause_seconds=0.05, report=reports.append
    )
    await server.open()
    try:
        yield server
    finally:
        await server.close()


async def test_without_the_server_nothing_is_kept_and_everything_goes_on(outage: Outage) -> None:
    reports: list[SomaError] = []
    async with _connected(outage.url, reports) as server:
        cache, locks = RedisCache(server), RedisLocks(server)
        limiter = RedisRateLimiter(server, InProcessRateLimiter(lambda: 1_000.0))
        await _until_kept(cache)
        reports.clear()
        outage.begin()

        assert {} == await cache.get_many(["key", "other"])
        assert await cache.get("key") is None
        await cache.put("key", b"value")
        assert not await cache.drop(["key"])
        assert await locks.acquire("job", "a", ttl_seconds=60)
        assert await locks.acquire("job", "b", ttl_seconds=60)
        await locks.release("job", "a")
        counted = [await limiter.take("key", limit=2, window_seconds=60) for _ in range(3)]
        assert [True, True, False] == [answer.granted for answer in counted]

        assert [CacheUnavailable] == [type(error) for error in reports]


async def test_the_same_client_goes_on_when_the_server_is_back(outage: Outage) -> None:
    reports: list[SomaError] = []
    async with _connected(outage.url, reports) as server:
        cache, locks = RedisCache(server), RedisLocks(server)
        limiter = RedisRateLimiter(server, InProcessRateLimiter(lambda: 1_000.0))
        await _until_kept(cache)
        reports.clear()
        outage.begin()
        await cache.get("key")

        outage.end()
        await _until_kept(cache)

        assert await cache.drop(["key"])
        assert await locks.acquire("job", "a", ttl_seconds=60)
        assert not await locks.acquire("job", "b", ttl_seconds=60)
        assert 4 == (await limiter.take("key", limit=5, window_seconds=60)).remaining
        assert [CacheUnavailable] == [type(error) for error in reports]


async def test_silence_is_asked_once_and_then_once_per_pause() -> None:
    now = 0.0
    asked_at: list[float] = []

    async def question(client: object) -> None:
        asked_at.append(now)
        await asyncio.Event().wait()

    server = RedisServer(
        "redis://nobody.is.asked",
        timeout_seconds=0.01,
        report=lambda error: None,
        clock=lambda: now,
    )
    await server.open()

    async def ask_often() -> None:
        for _ in range(20):
            with pytest.raises(CacheUnavailable):
                await server.ask(question)
        await asyncio.gather(*(server.ask(question) for _ in range(20)), return_exceptions=True)

    while now < 3.0:
        await ask_often()
        now += 0.25

    assert [0.0, 1.0, 2.0] == asked_at


async def test_a_server_that_comes_back_empty_is_used_at_once(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports, timeout_seconds=PATIENT_SECONDS) as server:
        cache = RedisCache(server)
        limiter = RedisRateLimiter(server, InProcessRateLimiter(lambda: 1_000.0))
        await cache.put("key", b"value")
        await limiter.take("key", limit=5, window_seconds=60)

        own_redis.kill()
        own_redis.start()

        assert await cache.get("key") is None
        await cache.put("key", b"value")
        assert b"value" == await cache.get("key")
        assert 4 == (await limiter.take("key", limit=5, window_seconds=60)).remaining
        assert [] == reports


async def test_a_server_that_was_not_opened_is_a_mistake_and_no_outage() -> None:
    server = RedisServer("redis://nobody.is.asked", report=lambda error: None)

    with pytest.raises(RuntimeError):
        await RedisCache(server).get("key")


async def test_an_emptied_server_is_filled_again(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports, timeout_seconds=PATIENT_SECONDS) as server:
        cache, locks = RedisCache(server), RedisLocks(server)
        await cache.put("key", b"value")
        await locks.acquire("job", "a", ttl_seconds=60)

        await _administer(own_redis.url, "FLUSHALL")
        await _administer(own_redis.url, "SCRIPT", "FLUSH")

        assert await cache.get("key") is None
        await cache.put("key", b"value")
        assert b"value" == await cache.get("key")
        assert await locks.acquire("job", "b", ttl_seconds=60)
        assert not await locks.acquire("job", "a", ttl_seconds=60)
        assert [] == reports


async def test_an_answer_that_comes_too_late_is_not_taken_for_another(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports) as server:
        await _until(lambda: _echo(server, "warm"), "warm")
        own_redis.pause()
        given_up = asyncio.create_task(_echo(server, "given up"))
        cancelled = [asyncio.create_task(_echo(server, f"cancelled {n}")) for n in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, given_up, return_exceptions=True)

        own_redis.resume()
        await _until(lambda: _echo(server, "first"), "first")
        answers = await asyncio.gather(*(_echo(server, str(n)) for n in range(20)))

        assert given_up.result() is None
        assert [str(n) for n in range(20)] == answers


async def test_questions_given_up_do_not_use_up_the_connections(own_redis: Server) -> None:
    server = RedisServer(
        own_redis.url, timeout_seconds=0.005, pause_seconds=0.0, report=lambda error: None
    )
    await server.open()
    cache = RedisCache(server)
    own_redis.pause()

    for _ in range(150):
        await cache.get("key")

    own_redis.resume()
    await _until_kept(cache)
    await server.close()


async def test_a_full_server_still_reads_and_is_reported_once(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports, timeout_seconds=PATIENT_SECONDS) as server:
        cache = RedisCache(server)
        await cache.put("before", b"value")
        await _administer(own_redis.url, "CONFIG", "SET", "maxmemory", "1")

        for number in range(5):
            await cache.put(f"key {number}", b"value")

        assert b"value" == await cache.get("before")
        assert ["Redis refuses"] == [str(error)[:13] for error in reports]


async def test_a_demoted_server_is_left_and_used_when_it_is_promoted(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports, timeout_seconds=PATIENT_SECONDS) as server:
        cache = RedisCache(server)
        await _administer(own_redis.url, "REPLICAOF", "127.0.0.1", str(free_port()))
        await cache.put("key", b"value")
        await cache.put("key", b"value")

        await _administer(own_redis.url, "REPLICAOF", "NO", "ONE")
        await _until_kept(cache)

        assert [CacheUnavailable] == [type(error) for error in reports]


async def test_a_server_that_was_never_there_is_found_when_it_comes(own_redis: Server) -> None:
    own_redis.stop()
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports) as server:
        cache = RedisCache(server)
        await cache.put("key", b"value")

        own_redis.start()
        await _until_kept(cache)

        assert [CacheUnavailable] == [type(error) for error in reports]


async def test_a_value_of_another_type_is_not_there(own_redis: Server) -> None:
    reports: list[SomaError] = []
    async with _connected(own_redis.url, reports, timeout_seconds=PATIENT_SECONDS) as server:
        cache = RedisCache(server)
        await _administer(own_redis.url, "HSET", server.key("value", "key"), "field", "x")

        assert await cache.get("key") is None
        assert 1 == len(reports)


async def _echo(server: RedisServer, text: str) -> str | None:
    try:
        answer = await server.ask(lambda client: client.execute_command("ECHO", text))
    except CacheUnavailable:
        return None
    return str(answer, "utf-8")


async def _until_kept(cache: RedisCache) -> None:
    async def kept() -> bytes | None:
        await cache.put("key", b"value")
        return await cache.get("key")

    await _until(kept, b"value")


async def _until(state: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(20):
        while True:
            if await state() == wanted:
                return
            await asyncio.sleep(0.01)  # polls a condition


async def _administer(url: str, *command: str) -> None:
    async with client_of(url) as client:
        await client.execute_command(*command)
