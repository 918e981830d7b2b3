"""What Redis holds for Soma: whole values, for a time, on one server or many."""

from __future__ import annotations

import pytest

from adapters.cached_embedder import CachedEmbedder
from adapters.inprocess.limits import InProcessRateLimiter
from adapters.redis.cache import RedisCache
from adapters.redis.limits import RedisRateLimiter
from adapters.redis.locks import RedisLocks
from adapters.redis.server import RedisServer
from domain.errors import ConfigurationError
from domain.vector import EmbeddingModel, Vector, unit_vector
from tests.servers.redis import PATIENT_SECONDS, unexpected


@pytest.mark.parametrize(
    "foreign",
    [b"", b"x", bytes(16), b"\x7f" * 1552, b"\xff" * 1552],
    ids=["empty", "short", "no value", "foreign", "not a number"],
)
async def test_what_soma_did_not_store_is_not_there(
    redis_connection: RedisServer, foreign: bytes
) -> None:
    cache = RedisCache(redis_connection)
    name = redis_connection.key("value", "key")

    await redis_connection.ask(lambda client: client.execute_command("SET", name, foreign))

    assert await cache.get("key") is None


async def test_a_value_that_is_cut_changed_or_moved_is_not_there(
    redis_connection: RedisServer,
) -> None:
    cache = RedisCache(redis_connection)
    await cache.put("key", b"value")
    key, other = (redis_connection.key("value", name) for name in ("key", "other"))

    await redis_connection.ask(lambda client: client.execute_command("COPY", key, other))
    moved = await cache.get("other")
    whole = await cache.get("key")
    await redis_connection.ask(lambda client: client.execute_command("SETRANGE", key, 18, b"L"))
    changed = await cache.get("key")
    await cache.put("key", b"value")
    raw = await redis_connection.ask(lambda client: client.execute_command("GET", key))
    await redis_connection.ask(lambda client: client.execute_command("SET", key, raw[:-1]))
    cut = await cache.get("key")

    assert b"value" == whole
    assert [None, None, None] == [moved, changed, cut]


async def test_values_end_with_their_time_and_large_ones_are_not_kept(
    redis_connection: RedisServer,
) -> None:
    cache = RedisCache(redis_connection, ttl_seconds=90.0, value_bytes_max=100)

    await cache.put_many({"small": bytes(100), "large": bytes(101)})

    assert {"small": bytes(100)} == await cache.get_many(["small", "large"])
    name = redis_connection.key("value", "small")
    assert 80_000 < await redis_connection.ask(lambda client: client.pttl(name)) <= 90_000


async def test_a_query_vector_is_computed_again_when_the_kept_one_is_damaged(
    redis_connection: RedisServer,
) -> None:
    embedder = CountingEmbedder()
    cached = CachedEmbedder(embedder, RedisCache(redis_connection))
    await cached.embed_query("question")
    again = await cached.embed_query("question")
    once = embedder.calls

    names = await redis_connection.ask(
        lambda client: client.execute_command("KEYS", redis_connection.key("value", "query:*"))
    )
    await redis_connection.ask(
        lambda client: client.execute_command("SETRANGE", names[0], 16, b"\xff" * 8)
    )
    repaired = await cached.embed_query("question")

    assert 1 == once
    assert 2 == embedder.calls
    assert embedder.vector == again == repaired


async def test_a_cluster_holds_values_limits_and_locks(redis_cluster: str) -> None:
    server = RedisServer(redis_cluster, timeout_seconds=PATIENT_SECONDS, report=unexpected)
    await server.open()
    try:
        cache, locks = RedisCache(server), RedisLocks(server)
        limiter = RedisRateLimiter(server, InProcessRateLimiter(lambda: 1_000.0))
        values = {f"key {number}": f"{number}".encode() for number in range(50)}

        await cache.put_many(values)
        found = await cache.get_many(list(values))
        dropped = await cache.drop(list(values)[:25])
        left = await cache.get_many(list(values))
        locked = [
            await locks.acquire(f"job {number}", owner, ttl_seconds=60)
            for number in range(5)
            for owner in ("a", "b")
        ]
        taken = [await limiter.take(f"{n}", limit=2, window_seconds=60) for n in range(5)]

        assert values == found
        assert dropped
        assert 25 == len(left)
        assert [True, False] * 5 == locked
        assert [1] * 5 == [answer.remaining for answer in taken]
    finally:
        await server.close()


async def test_a_url_that_cannot_be_used_is_refused_without_its_password() -> None:
    server = RedisServer("http://:secret@host", report=lambda error: None)

    with pytest.raises(ConfigurationError) as refused:
        await server.open()

    assert "secret" not in str(refused.value)


class CountingEmbedder:
    """Knows one vector, and how often it was asked."""

    model = EmbeddingModel("test", 4)
    vector = unit_vector([1.0, 2.0, 3.0, 4.0])

    def __init__(self) -> None:
        self.calls = 0

    async def embed_passages(self, texts: object, /) -> list[Vector]:
        raise NotImplementedError

    async def embed_query(self, text: str, /) -> Vector:
        self.calls += 1
        return self.vector
