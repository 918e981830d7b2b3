"""What every canonical store says when a claim about candidates is held against it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from domain.events import FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace, NamespacePolicy, Scope
from domain.ports import CanonicalStore, Claim, Standing
from tests.contracts.store_fixtures import (
    HOME,
    START,
    a_memory,
    below,
    events,
    exactly,
    new_id,
    revised,
    stored,
)


def nothing_known(*ids: MemoryId) -> Claim:
    """Claim nothing of candidates."""
    return Claim(sure={}, others=dict.fromkeys(ids, 0), seen_at=None)


async def standing(store: CanonicalStore, claim: Claim, scope: Scope | None = None) -> Standing:
    """Hold a claim against the store."""
    where = scope or exactly()
    return await store.glance(lambda tx: tx.memories.standing(where, claim, fact="model"))


async def test_gives_all_of_what_nobody_holds(store: CanonicalStore) -> None:
    one, other, unknown = a_memory("one"), a_memory("other"), new_id()
    await stored(store, one, other)

    found = await standing(store, nothing_known(one.id, other.id, unknown))

    assert found.versions == {one.id: 1, other.id: 1}
    assert found.changed == {one.id: one, other.id: other}


async def test_gives_all_of_a_memory_only_where_its_version_is_another(
    store: CanonicalStore,
) -> None:
    same, older = a_memory("same"), a_memory("older")
    newer = revised(older, "newer")
    await stored(store, same, older)
    async with store.writing() as tx:
        await tx.memories.replace([newer], actor="tester")

    found = await standing(
        store, Claim(sure={}, others={same.id: 1, older.id: 1}, seen_at=FeedPosition("", 0))
    )

    assert found.versions == {same.id: 1, older.id: 2}
    assert found.changed == {older.id: newer}


async def test_leaves_out_what_is_forgotten_or_elsewhere(store: CanonicalStore) -> None:
    here, gone = a_memory("here"), a_memory("gone")
    elsewhere = a_memory("elsewhere", namespace=Namespace("acme/bob"))
    deeper = a_memory("deeper", namespace=Namespace("acme/alice/notes"))
    await stored(store, here, gone, elsewhere, deeper)
    async with store.writing() as tx:
        await tx.memories.forget([gone.id], at=START, actor="tester")
    everything = nothing_known(here.id, gone.id, elsewhere.id, deeper.id)

    assert set((await standing(store, everything)).versions) == {here.id}
    within = await standing(store, everything, below(HOME))
    assert set(within.versions) == set(within.changed) == {here.id, deeper.id}


async def test_takes_the_sure_ones_as_read_while_the_feeds_stand(store: CanonicalStore) -> None:
    sure, other = a_memory("sure"), a_memory("other")
    await stored(store, sure, other)
    seen_at = (await standing(store, nothing_known())).position

    claim = Claim(sure={sure.id: 1}, others={other.id: 0}, seen_at=seen_at)
    found = await standing(store, claim)

    assert found.position == seen_at
    assert found.versions == {other.id: 1}
    assert found.changed == {other.id: other}


@pytest.mark.parametrize("scope", [exactly(), below("acme")])
async def test_asks_for_the_sure_ones_again_when_a_feed_has_moved(
    store: CanonicalStore, scope: Scope
) -> None:
    sure, gone = a_memory("sure"), a_memory("gone")
    await stored(store, sure, gone)
    seen_at = (await standing(store, nothing_known(), scope)).position
    async with store.writing() as tx:
        await tx.feed.lock([HOME])
        await tx.memories.forget([gone.id], at=START + timedelta(hours=1), actor="tester")
        await tx.feed.append(events(HOME, 1, 1))

    claim = Claim(sure={sure.id: 1, gone.id: 1}, others={}, seen_at=seen_at)
    found = await standing(store, claim, scope)

    assert found.position.seq == seen_at.seq + 1
    assert found.versions == {sure.id: 1}
    assert found.changed == {}


async def test_asks_for_the_sure_ones_again_in_another_epoch(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    seen_at = (await standing(store, nothing_known())).position

    claim = Claim(sure={memory.id: 1}, others={}, seen_at=FeedPosition("before", seen_at.seq))

    assert (await standing(store, claim)).versions == {memory.id: 1}


async def test_tells_policy_and_setting_together_with_the_heads(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.namespaces.set_policy(Namespace("acme"), NamespacePolicy(half_life_days=3))
        await tx.namespaces.set_policy(HOME, NamespacePolicy(weights={"lexical": 0.5}))
        await tx.feed.lock([HOME])
        await tx.feed.append(events(HOME, 1, 2))

    before = await standing(store, nothing_known())
    async with store.writing() as tx:
        await tx.settings.set("model", "a model")
    after = await standing(store, nothing_known(new_id()))

    assert before.policy == NamespacePolicy(half_life_days=3, weights={"lexical": 0.5})
    assert before.position.seq == 2
    assert (before.fact, after.fact) == (None, "a model")


async def test_is_not_confused_by_unusual_ids(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    odd = [MemoryId(text) for text in ("", "a'b", 'a"b', "a,b", "{}", "\\", "a\x00b", "\ud800")]

    found = await standing(store, nothing_known(*odd, memory.id))

    assert set(found.versions) == {memory.id}


async def test_answers_glances_side_by_side_and_after_one_was_cancelled(
    store: CanonicalStore,
) -> None:
    memory = a_memory()
    await stored(store, memory)
    cancelled = asyncio.create_task(standing(store, nothing_known(memory.id)))
    await asyncio.sleep(0)
    cancelled.cancel()

    answers = await asyncio.gather(
        *(store.glance(lambda tx: tx.memories.get([memory.id])) for _ in range(20))
    )

    assert answers == [{memory.id: memory}] * 20


async def test_raises_what_a_glance_failed_with_and_goes_on(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)

    with pytest.raises(ZeroDivisionError):
        await store.glance(lambda tx: 1 / 0)  # type: ignore[arg-type,return-value]

    assert await store.glance(lambda tx: tx.memories.get([memory.id])) == {memory.id: memory}
