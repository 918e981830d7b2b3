"""Links, change feed, namespaces and idempotency keys in a canonical store."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from domain.events import Event, EventType
from domain.link import Direction
from domain.memory import MemoryId
from domain.namespace import Namespace, NamespacePolicy
from domain.ports import CanonicalStore, IdempotencyRecord
from tests.contracts.store_fixtures import (
    HOME,
    START,
    a_link,
    a_memory,
    below,
    events,
    exactly,
    new_id,
    stored,
)

UNKNOWN = MemoryId("00000000-0000-7000-8000-000000000000")


async def test_keeps_links_in_order_and_both_directions(store: CanonicalStore) -> None:
    first, second, third = a_memory(), a_memory(), a_memory()
    await stored(store, first, second, third)
    expected = [
        a_link(first, second, "a"),
        dataclasses.replace(a_link(first, second, "b"), properties={"wie": "schön", "n": [1]}),
        a_link(second, first, "a"),
        a_link(third, third, "self", weight=0.1),
    ]
    async with store.writing() as tx:
        await tx.links.put(expected[::-1])

    async with store.reading() as tx:
        at_first = [first.id, UNKNOWN]
        assert await tx.links.of(at_first, direction=Direction.OUT, limit=9) == expected[:2]
        assert await tx.links.of(at_first, direction=Direction.IN, limit=9) == [expected[2]]
        assert await tx.links.of(at_first, direction=Direction.BOTH, limit=9) == expected[:3]
        assert await tx.links.of(at_first, direction=Direction.BOTH, limit=2) == expected[:2]
        assert await tx.links.of([third.id], direction=Direction.BOTH, limit=9) == expected[3:]
        assert await tx.links.of([], direction=Direction.BOTH, limit=9) == []


async def test_pages_the_links_of_a_scope(store: CanonicalStore) -> None:
    home, bob = a_memory(), a_memory(namespace=Namespace("acme/bob"))
    foreign = a_memory(namespace=Namespace("acme2"))
    await stored(store, home, bob, foreign)
    links = sorted(
        [a_link(home, bob, f"t{number}") for number in range(3)]
        + [a_link(bob, home, f"t{number}") for number in range(3)],
        key=lambda link: (link.source, link.target, link.type),
    )
    async with store.writing() as tx:
        await tx.links.put([*links, a_link(foreign, foreign)])

    async with store.reading() as tx:
        pages, after = [], None
        while page := await tx.links.page(below("acme"), limit=4, after=after):
            pages += page
            after = (page[-1].source, page[-1].target, page[-1].type)
        assert pages == links
        only_home = await tx.links.page(exactly(HOME), limit=100)
        assert only_home == [link for link in links if link.source == home.id]


async def test_replaces_a_link_but_not_its_birthday(store: CanonicalStore) -> None:
    source, target = a_memory(), a_memory()
    await stored(store, source, target)
    link = a_link(source, target)
    again = dataclasses.replace(
        link, weight=5.0, properties={"x": 1}, seq=7, created_at=START + timedelta(days=1)
    )
    async with store.writing() as tx:
        await tx.links.put([link])
        await tx.links.put([again])

        (kept,) = await tx.links.of([source.id], direction=Direction.OUT, limit=9)
        (stats,) = await tx.namespaces.stats(exactly(), limit=1)
    assert kept == dataclasses.replace(again, created_at=START)
    assert stats.links == 1


async def test_removes_a_link_once(store: CanonicalStore) -> None:
    source, target = a_memory(), a_memory()
    await stored(store, source, target)
    async with store.writing() as tx:
        await tx.links.put([a_link(source, target)])

        assert await tx.links.remove(source.id, target.id, "about")
        assert not await tx.links.remove(source.id, target.id, "about")
        assert not await tx.links.remove(source.id, UNKNOWN, "' OR 1=1 --")
        (stats,) = await tx.namespaces.stats(exactly(), limit=1)
    assert stats.links == 0
    assert await store.check() == []


async def test_refuses_a_link_to_what_is_not_live(store: CanonicalStore) -> None:
    source, target = a_memory(), a_memory()
    await stored(store, source, target)
    async with store.writing() as tx:
        await tx.memories.forget([target.id], at=START, actor="tester")

    with pytest.raises(AssertionError, match="not live"):
        async with store.writing() as tx:
            await tx.links.put([a_link(source, target)])


async def test_numbers_events_without_gaps(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        assert await tx.feed.lock([Namespace("b"), HOME]) == {HOME: 0, Namespace("b"): 0}
        await tx.feed.append([*events(HOME, 1, 3), *events(Namespace("b"), 1, 1)])
        await tx.feed.append([])
        assert list(await tx.feed.lock([Namespace("b"), HOME])) == [HOME, Namespace("b")]

    for wrong in (events(HOME, 3, 3), events(HOME, 5, 5), events(HOME, 4, 6)[::2]):
        with pytest.raises(AssertionError, match="does not continue"):
            async with store.writing() as tx:
                await tx.feed.append(wrong)

    async with store.reading() as tx:
        assert [event.seq for event in await tx.feed.after(HOME, 1, limit=9)] == [2, 3]
        assert [event.seq for event in await tx.feed.after(HOME, 0, limit=2)] == [1, 2]
        assert await tx.feed.after(Namespace("unknown"), 0, limit=9) == []
    assert await store.check() == []


async def test_refuses_an_event_of_an_unknown_namespace(store: CanonicalStore) -> None:
    with pytest.raises(AssertionError, match="does not continue"):
        async with store.writing() as tx:
            await tx.feed.append(events(HOME, 1, 1))


async def test_returns_an_event_as_it_was_given(store: CanonicalStore) -> None:
    event = Event(
        id="event",
        namespace=HOME,
        seq=1,
        type=EventType.LINKED,
        memory_id=new_id(),
        version=3,
        at=START,
        changed=("content", "tags"),
        link_target=new_id(),
        link_type="about",
    )
    async with store.writing() as tx:
        await tx.feed.lock([HOME])
        await tx.feed.append([event])

        assert await tx.feed.after(HOME, 0, limit=1) == [event]


async def test_sums_the_heads_of_a_scope(store: CanonicalStore) -> None:
    paths = [Namespace(path) for path in ("a", "a/b", "a/b/c", "a-b", "ab")]
    async with store.writing() as tx:
        await tx.feed.lock(paths)
        for length, path in enumerate(paths, start=1):
            await tx.feed.append(events(path, 1, length))

    async with store.reading() as tx:
        whole = await tx.feed.position(below("a"))
        assert whole.seq == 6
        assert (await tx.feed.position(exactly(Namespace("a")))).seq == 1
        assert (await tx.feed.position(below("nothing"))).seq == 0
        assert whole.epoch == (await tx.feed.position(below("nothing"))).epoch
        first = await tx.feed.heads(below("a"), limit=2)
        rest = await tx.feed.heads(below("a"), limit=2, after=Namespace("a/b"))
    assert list(first.items()) == [("a", 1), ("a/b", 2)]
    assert rest == {"a/b/c": 3}


async def test_tells_what_namespaces_hold(store: CanonicalStore) -> None:
    source, target = a_memory(), a_memory()
    await stored(store, source, target, a_memory(namespace=Namespace("zoo")))
    async with store.writing() as tx:
        await tx.links.put([a_link(source, target)])
        await tx.feed.lock([Namespace("acme")])

    async with store.reading() as tx:
        everything = await tx.namespaces.stats(None, limit=10)
        page = await tx.namespaces.stats(None, limit=1, after=Namespace("acme"))
        inside = await tx.namespaces.stats(below("acme"), limit=10)
        nothing = await tx.namespaces.stats(exactly(Namespace("acme/nobody")), limit=10)

    assert [(one.path, one.head, one.memories, one.links) for one in everything] == [
        ("acme", 0, 0, 0),
        ("acme/alice", 0, 2, 1),
        ("zoo", 0, 1, 0),
    ]
    assert page == [everything[1]]
    assert inside == everything[:2]
    assert nothing == []


async def test_inherits_policies_from_above(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.namespaces.set_policy(
            Namespace("acme"),
            NamespacePolicy(half_life_days=10, weights={"a": 1.5, "b": 2}, signals={"x": False}),
        )
        await tx.namespaces.set_policy(
            HOME, NamespacePolicy(default_ttl_seconds=0.1, weights={"b": 3})
        )

        assert await tx.namespaces.policy(Namespace(f"{HOME}/deep/down")) == NamespacePolicy(
            half_life_days=10,
            default_ttl_seconds=0.1,
            weights={"a": 1.5, "b": 3},
            signals={"x": False},
        )
        assert await tx.namespaces.policy(Namespace("acme2")) == NamespacePolicy()
        (stats,) = await tx.namespaces.stats(exactly(), limit=1)
        assert stats.policy == NamespacePolicy(default_ttl_seconds=0.1, weights={"b": 3})

        await tx.namespaces.set_policy(HOME, NamespacePolicy())
        assert (await tx.namespaces.policy(HOME)).default_ttl_seconds is None


async def test_remembers_idempotency_keys_for_a_day(store: CanonicalStore) -> None:
    record = IdempotencyRecord("hash", (new_id(), new_id()), (1, 4))
    async with store.writing() as tx:
        await tx.idempotency.add("alice", "key ' ☕", record, at=START)

        assert await tx.idempotency.find("alice", "key ' ☕") == record
        assert await tx.idempotency.find("bob", "key ' ☕") is None
        await tx.idempotency.add("bob", "other", record, at=START + timedelta(hours=23))
        assert await tx.idempotency.find("alice", "key ' ☕") == record
        await tx.idempotency.add("alice", "key ' ☕ 2", record, at=START + timedelta(hours=25))
        assert await tx.idempotency.find("bob", "other") == record
