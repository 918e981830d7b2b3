"""What every cache must do."""

from __future__ import annotations

import pytest

from adapters.inprocess.cache import InProcessCache
from domain.ports import Cache


@pytest.fixture
def cache() -> Cache:
    """A cache with room for what a test stores."""
    return InProcessCache(1_000_000)


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
