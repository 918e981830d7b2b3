"""What a canonical store keeps for projections outside of it: watermarks, shares and fences."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import suppress

import pytest

from adapters.postgres.store import PostgresStore
from domain.events import EventType, FeedPosition
from domain.namespace import Namespace
from domain.ports import CanonicalStore
from tests.contracts.projection_moves import (
    NAME,
    SPACES,
    advance,
    append,
    backlog,
    lag,
    outstanding,
)
from tests.contracts.store_fixtures import (
    HOME,
    below,
    events,
    new_id,
)


async def test_returns_what_lies_beyond_the_watermark_in_order(store: CanonicalStore) -> None:
    await append(store, SPACES[0], 3)
    await append(store, SPACES[2], 2)
    await advance(store, {SPACES[0]: 2})

    assert await outstanding(store) == {SPACES[0]: [3], SPACES[2]: [1, 2]}
    assert await backlog(store) == 3


async def test_knows_each_projection_by_its_own_name(store: CanonicalStore) -> None:
    await append(store, HOME, 2)

    await advance(store, {HOME: 2}, name="another")

    assert await outstanding(store) == {HOME: [1, 2]}


async def test_gives_every_namespace_to_one_share(store: CanonicalStore) -> None:
    for space in SPACES:
        await append(store, space, 2)

    shares = [await outstanding(store, shard=shard, shards=3) for shard in range(3)]

    everything = Counter(itertools.chain.from_iterable(shares))
    assert everything == Counter(SPACES)


async def test_lets_a_busy_namespace_have_only_what_others_leave(store: CanonicalStore) -> None:
    await append(store, SPACES[0], 50)
    await append(store, SPACES[1], 1)
    await append(store, SPACES[2], 3)

    found = await outstanding(store, limit=10)

    assert found == {SPACES[0]: list(range(1, 7)), SPACES[1]: [1], SPACES[2]: [1, 2, 3]}


async def test_serves_in_turn_those_for_whom_there_is_no_room(store: CanonicalStore) -> None:
    for space in SPACES:
        await append(store, space, 3)
    served: Counter[Namespace] = Counter()

    for _ in range(6):
        found = await outstanding(store, limit=2)
        served.update({space: len(seqs) for space, seqs in found.items()})
        await advance(store, {space: seqs[-1] for space, seqs in found.items()})

    assert served == Counter(dict.fromkeys(SPACES, 3))
    assert await backlog(store) == 0


async def test_returns_nothing_of_a_change_that_was_rolled_back(store: CanonicalStore) -> None:
    async def change() -> None:
        async with store.writing() as tx:
            await tx.feed.lock([HOME])
            await tx.feed.append(events(HOME, 1, 1))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change()

    assert await backlog(store) == 0
    assert await store.check() == []


async def test_sees_later_what_was_not_committed_when_it_looked(store: CanonicalStore) -> None:
    """A namespace that moves while others are brought up to date is not overlooked."""
    await append(store, SPACES[0])
    await append(store, SPACES[2])
    if isinstance(store, PostgresStore):
        async with store.writing() as slow:
            await slow.feed.lock([SPACES[0]])
            await slow.feed.append(events(SPACES[0], 2, 2))
            await advance(store, {SPACES[0]: 1, SPACES[2]: 1})
            await append(store, SPACES[2])
            await advance(store, {SPACES[2]: 2})
            assert await backlog(store) == 0
    else:
        await advance(store, {SPACES[0]: 1, SPACES[2]: 2})
        await append(store, SPACES[0])

    assert await outstanding(store) == {SPACES[0]: [2]}


async def test_never_moves_a_watermark_back_but_to_build_again(store: CanonicalStore) -> None:
    await append(store, SPACES[0], 3)
    await append(store, SPACES[2], 1)
    await advance(store, {SPACES[0]: 3, SPACES[2]: 1})
    await advance(store, {SPACES[0]: 1})
    assert await backlog(store) == 0

    async with store.writing() as tx:
        await tx.projections.discard(NAME, SPACES[0])
    assert await outstanding(store) == {SPACES[0]: [1, 2, 3]}

    async with store.writing() as tx:
        await tx.projections.discard(NAME)
    assert await backlog(store) == 4


async def test_counts_watermarks_of_another_epoch_as_none(store: CanonicalStore) -> None:
    await append(store, SPACES[0], 3)
    await advance(store, {SPACES[0]: 3})

    async with store.writing() as tx:
        await tx.settings.set("epoch", "after the restore")
    behind = await lag(store)
    waiting = await backlog(store)
    await advance(store, {SPACES[0]: 2})

    assert behind.position == FeedPosition("after the restore", 3)
    assert len(behind.touched) == 3 - 2
    assert waiting == 3
    assert await outstanding(store) == {SPACES[0]: [3]}


async def test_tells_which_memories_a_scope_lacks(store: CanonicalStore) -> None:
    kinds = {kind: new_id() for kind in EventType}
    for kind, id in kinds.items():
        await append(store, SPACES[1], type=kind, about=id)
    await append(store, SPACES[2])
    links = {EventType.LINKED, EventType.UNLINKED}
    expected = {id for kind, id in kinds.items() if kind not in links}

    found = await lag(store)

    assert set(found.touched) == expected
    assert found.complete
    async with store.reading() as tx:
        assert found.position == await tx.feed.position(below("a"))


async def test_says_when_it_names_only_some_of_the_memories(store: CanonicalStore) -> None:
    about = new_id()
    await append(store, SPACES[0], 5, about=about)
    await append(store, SPACES[1], 1)

    assert (await lag(store, limit=2)).complete
    assert len((await lag(store, limit=2)).touched) == 2
    assert not (await lag(store, limit=1)).complete
    assert len((await lag(store, limit=1)).touched) == 1


async def test_a_scope_without_events_lacks_nothing(store: CanonicalStore) -> None:
    found = await lag(store, "nowhere")

    assert (found.position.seq, found.touched, found.complete) == (0, (), True)


async def test_a_share_belongs_to_one_transaction_until_it_ends(store: CanonicalStore) -> None:
    if not isinstance(store, PostgresStore):
        async with store.writing() as tx:
            assert await tx.projections.lock_shard(NAME, 0)
            assert await tx.projections.lock_shard(NAME, 0)
        return

    async def holds(shard: int, name: str = NAME) -> bool:
        async with store.writing() as tx:
            return await tx.projections.lock_shard(name, shard)

    async with store.writing() as tx:
        assert await tx.projections.lock_shard(NAME, 0)
        assert not await holds(0)
        assert await holds(1)
        assert await holds(0, "another")
    assert await holds(0)

    with suppress(RuntimeError):
        async with store.writing() as tx:
            assert await tx.projections.lock_shard(NAME, 0)
            raise RuntimeError("gave up")
    assert await holds(0)


async def test_waits_for_the_shares_before_it_discards(store: CanonicalStore) -> None:
    """Or the holder of a share would say that what was just discarded is up to date."""
    await append(store, HOME, 2)
    working = asyncio.Event()

    async def work() -> None:
        async with store.writing() as tx:
            assert await tx.projections.lock_shard(NAME, 0)
            working.set()
            await tx.projections.advance(NAME, {HOME: 2})

    async def discard() -> None:
        await working.wait()
        async with store.writing() as tx:
            await tx.projections.discard(NAME)

    await asyncio.gather(work(), discard())

    assert await outstanding(store) == {HOME: [1, 2]}


async def test_reports_a_watermark_beyond_the_head(store: CanonicalStore) -> None:
    await append(store, HOME, 2)
    await advance(store, {HOME: 3})

    findings = await store.check()

    assert [finding.subject for finding in findings] == ["projections"]
    assert HOME in findings[0].detail
