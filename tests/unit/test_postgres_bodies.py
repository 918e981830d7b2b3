"""Bodies in a cache: the answers are the same, and nothing outlives an erasure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from adapters.inprocess.cache import InProcessCache
from adapters.postgres.store import PostgresStore
from domain.filter import Filter
from domain.memory import Memory
from tests.contracts.store_fixtures import START, a_memory, exactly, revised, stored

LARGE = "the kettle whistles ☕ " * 200


class WatchedCache(InProcessCache):
    """Notes what is asked for, and lets a test do something before values are put."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.asked: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.before_put = _nothing

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        self.asked += keys
        return {key: self.kept[key] for key in keys if key in self.kept}

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        await self.before_put()
        self.kept.update(values)

    async def drop(self, keys: Sequence[str], /) -> bool:
        for key in keys:
            self.kept.pop(key, None)
        return True


class DeadCache(WatchedCache):
    """Keeps nothing, as when nobody answers."""

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep nothing."""

    async def drop(self, keys: Sequence[str], /) -> bool:
        return False


async def _nothing() -> None:
    """Do nothing."""


@pytest.fixture
def cache() -> WatchedCache:
    """Give a cache to look into."""
    return WatchedCache()


@pytest.fixture
async def store(postgres_url: str, cache: WatchedCache) -> AsyncIterator[PostgresStore]:
    """Give a store with that cache."""
    opened = PostgresStore(postgres_url, bodies=cache)
    await opened.open()
    yield opened
    await opened.close()


async def read(store: PostgresStore, *memories: Memory) -> list[Memory]:
    """Read memories both ways and return what `verify` says."""
    ids = [memory.id for memory in memories]
    async with store.reading() as tx:
        verified = (await tx.memories.verify(ids, exactly(), Filter())).memories
        assert await tx.memories.get(ids) == verified
    return [verified[id] for id in ids if id in verified]


async def erase(store: PostgresStore, memory: Memory) -> None:
    """Erase one memory."""
    async with store.writing() as tx:
        await tx.memories.erase([memory.id], at=START, actor="tester")


async def test_answers_the_same_before_and_after_a_body_is_cached(
    store: PostgresStore, cache: WatchedCache
) -> None:
    large = a_memory(LARGE, payload={"ü": [1.5, "x" * 3000]}, tags=("a",))
    small = a_memory("short")
    await stored(store, large, small)

    assert await read(store, large, small) == [large, small]
    assert len(cache.kept) == 1
    assert await read(store, large, small) == [large, small]
    assert all(large.id in key for key in cache.asked)


async def test_takes_what_is_cached_for_that_version_only(
    store: PostgresStore, cache: WatchedCache
) -> None:
    first = a_memory(LARGE)
    await stored(store, first)
    await read(store, first)
    second = revised(first, f"another {LARGE}")
    async with store.writing() as tx:
        await tx.memories.replace([second], actor="tester")

    assert await read(store, second) == [second]
    assert len(cache.kept) == 2


async def test_reads_what_the_cache_has_spoilt_from_the_store(
    store: PostgresStore, cache: WatchedCache
) -> None:
    memory = a_memory(LARGE)
    await stored(store, memory)
    await read(store, memory)

    for spoilt in (b"", b"\x00\x00\xff\xff", b"\x00\x00\x00\x01\xff\xff"):
        cache.kept = dict.fromkeys(cache.kept, spoilt)
        assert await read(store, memory) == [memory]


async def test_does_without_a_cache_that_does_not_answer(postgres_url: str) -> None:
    store = PostgresStore(postgres_url, bodies=DeadCache())
    await store.open()
    memory = a_memory(LARGE)
    await stored(store, memory)

    assert await read(store, memory) == [memory]
    await erase(store, memory)
    assert await read(store, memory) == []
    await store.close()


async def test_keeps_nothing_that_a_change_has_not_committed(
    store: PostgresStore, cache: WatchedCache
) -> None:
    memory = a_memory(LARGE)
    await stored(store, memory)

    async with store.writing() as tx:
        await tx.memories.replace([revised(memory, LARGE * 2)], actor="tester")
        assert (await tx.memories.get([memory.id]))[memory.id].content == LARGE * 2

    assert cache.kept == {}


async def test_erasing_drops_every_version(store: PostgresStore, cache: WatchedCache) -> None:
    memory = a_memory(LARGE)
    await stored(store, memory)
    await read(store, memory)
    async with store.writing() as tx:
        await tx.memories.replace([revised(memory, LARGE * 2)], actor="tester")
    await read(store, memory)
    assert len(cache.kept) == 2

    await erase(store, memory)

    assert cache.kept == {}


async def test_a_reader_takes_back_what_was_erased_before_it_put(
    store: PostgresStore, cache: WatchedCache
) -> None:
    memory, other = a_memory(LARGE), a_memory(f"other {LARGE}")
    await stored(store, memory, other)

    async def erase_first() -> None:
        await erase(store, memory)

    cache.before_put = erase_first
    seen = await read(store, memory, other)

    assert seen == [memory, other]
    assert [other.id in key for key in cache.kept] == [True]


async def test_drops_again_what_an_interrupted_erasure_left(
    store: PostgresStore, cache: WatchedCache
) -> None:
    memory = a_memory(LARGE)
    await stored(store, memory)
    await read(store, memory)
    left = dict(cache.kept)
    await erase(store, memory)
    cache.kept = left

    assert await store.drop_bodies({memory.id: memory.version})

    assert cache.kept == {}
