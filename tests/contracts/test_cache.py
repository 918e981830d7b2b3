"""What every cache must do."""

from __future__ import annotations

from typing import cast

import pytest

from adapters.inprocess.cache import InProcessCache
from adapters.layered_cache import LayeredCache
from adapters.redis.cache import RedisCache
from adapters.redis.server import RedisServer
from domain.ports import Cache


@pytest.fixture(params=["inprocess", "redis", "layered"])
def cache(request: pytest.FixtureRequest) -> Cache:
    """A cache with room for what a test stores."""
    if request.param == "inprocess":
        return InProcessCache(1_000_000)
    far = RedisCache(cast(RedisServer, request.getfixturevalue("redis_connection")))
    return far if request.param == "redis" else LayeredCache(InProcessCache(1_000_000), far)


async def test_gives_back_what_was_put(cache: Cache) -> None:
    await cache.put("key", b"\x00value")
    await cache.put("empty", b"")

    assert b"\x00value" == await cache.get("key")
    assert b"" == await cache.get("empty")


async def test_an_unknown_key_gives_nothing(cache: Cache) -> None:
    assert await cache.get("unknown") is None


async def test_a_later_value_replaces_an_earlier_one(cache: Cache) -> None:
    await cache.put("key", b"earlier")
    await cache.put("key", b"later")

    assert b"later" == await cache.get("key")


async def test_gives_of_many_those_that_are_there(cache: Cache) -> None:
    await cache.put_many({"a": b"1", "b": b"", "naïve key\n": b"3"})

    found = await cache.get_many(["a", "b", "naïve key\n", "unknown", "a"])

    assert {"a": b"1", "b": b"", "naïve key\n": b"3"} == found


async def test_many_of_none_is_nothing(cache: Cache) -> None:
    await cache.put_many({})

    assert {} == await cache.get_many([])
    assert await cache.drop([])


async def test_keeps_more_than_one_question_carries(cache: Cache) -> None:
    values = {f"key {number}": bytes([number % 256]) * 2_000 for number in range(250)}

    await cache.put_many(values)

    assert values == await cache.get_many(list(values))


async def test_what_is_dropped_is_gone(cache: Cache) -> None:
    await cache.put_many({"a": b"1", "b": b"2", "c": b"3"})

    done = await cache.drop(["a", "c", "unknown"])

    assert done
    assert {"b": b"2"} == await cache.get_many(["a", "b", "c"])


async def test_what_was_dropped_can_be_put_again(cache: Cache) -> None:
    await cache.put("key", b"value")
    await cache.drop(["key"])

    await cache.put("key", b"value")

    assert b"value" == await cache.get("key")


async def test_the_least_recently_used_values_go_first() -> None:
    cache = InProcessCache(3 * 1300)
    for key in ("a", "b", "c"):
        await cache.put(key, bytes(1000))
    await cache.get("a")

    await cache.put("d", bytes(1000))

    kept = [key for key in ("a", "b", "c", "d") if await cache.get(key) is not None]
    assert ["a", "c", "d"] == kept


async def test_a_value_beyond_the_budget_is_not_kept_and_drives_nothing_out() -> None:
    cache = InProcessCache(1000)
    await cache.put("small", b"x")

    await cache.put("large", bytes(2000))

    assert await cache.get("large") is None
    assert b"x" == await cache.get("small")


async def test_a_budget_of_nothing_keeps_nothing() -> None:
    cache = InProcessCache(0)

    await cache.put("key", b"value")

    assert await cache.get("key") is None


async def test_what_is_dropped_gives_its_room_back() -> None:
    cache = InProcessCache(2 * 1300)
    await cache.put_many({"a": bytes(1000), "b": bytes(1000)})

    await cache.drop(["a"])
    await cache.put("c", bytes(1000))

    assert {"b", "c"} == set(await cache.get_many(["a", "b", "c"]))


async def test_a_value_from_afar_is_near_the_next_time() -> None:
    near, far = InProcessCache(10_000), InProcessCache(10_000)
    await far.put("key", b"value")

    found = await LayeredCache(near, far).get("key")

    assert b"value" == found
    assert b"value" == await near.get("key")


async def test_what_is_put_and_dropped_is_so_in_both_layers() -> None:
    near, far = InProcessCache(10_000), InProcessCache(10_000)
    cache = LayeredCache(near, far)
    await cache.put_many({"kept": b"1", "dropped": b"2"})

    await cache.drop(["dropped"])

    assert {"kept": b"1"} == await near.get_many(["kept", "dropped"])
    assert {"kept": b"1"} == await far.get_many(["kept", "dropped"])


async def test_what_is_dropped_while_it_is_fetched_does_not_stay_near() -> None:
    near = InProcessCache(10_000)

    class DroppingMeanwhile(InProcessCache):
        async def get_many(self, keys: object, /) -> dict[str, bytes]:
            await layered.drop(["key"])
            return {"key": b"value"}

    layered = LayeredCache(near, DroppingMeanwhile(10_000))

    await layered.get("key")

    assert await near.get("key") is None
