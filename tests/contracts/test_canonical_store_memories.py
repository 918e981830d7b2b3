"""Memories in a canonical store: kept faithfully, found, revised, forgotten, erased."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.filter import Filter
from domain.memory import Kind, Life, Memory, MemoryId, MemoryVersion, Source
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Cursor, SessionPlace
from tests.contracts.store_fixtures import (
    HOME,
    START,
    a_link,
    a_memory,
    add,
    below,
    exactly,
    ids,
    new_id,
    revised,
    stored,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN = MemoryId("00000000-0000-7000-8000-000000000000")

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
_microseconds = st.integers(-62_000_000_000_000_000, 253_000_000_000_000_000)
moments = _microseconds.map(lambda number: EPOCH + timedelta(microseconds=number))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
memories = st.builds(
    Memory,
    id=st.builds(new_id),
    namespace=st.sampled_from([Namespace("a"), Namespace("a/b-c"), Namespace("@:+=.-_")]),
    kind=st.sampled_from(Kind),
    content=text,
    content_hash=text,
    created_at=moments,
    updated_at=moments,
    version=st.integers(1, 2**40),
    seq=st.integers(1, 2**40),
    level=st.integers(0, 9),
    payload=st.dictionaries(text, values, max_size=3),
    tags=st.lists(text, max_size=3).map(tuple),
    importance=st.floats(0, allow_infinity=False),
    pinned=st.booleans(),
    occurred_at=st.none() | moments,
    valid_from=st.none() | moments,
    valid_to=st.none() | moments,
    expires_at=st.none() | moments,
    source=st.builds(Source, actor=st.none() | text, session=st.none() | text),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(memory=memories, axes=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3))
async def test_returns_a_memory_exactly_as_it_was_given(
    store: CanonicalStore, memory: Memory, axes: list[float]
) -> None:
    # The first axis keeps the places of all examples apart.
    place = (float(int(memory.id.replace("-", ""), 16) % 2**32), *(axis + 0.0 for axis in axes))
    memory = dataclasses.replace(memory, coordinate=place)
    async with store.writing() as tx:
        await tx.memories.add([memory], actor="tester")
        again = dataclasses.replace(memory, version=memory.version + 1, content="new")
        await tx.memories.replace([again], actor="tester")

    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {memory.id: again}
        history = await tx.memories.history(memory.id)
        places = await tx.memories.by_coordinate(memory.namespace, [place])
    assert [version.memory for version in history] == [again, memory]
    assert repr(history[1].memory.payload) == repr(memory.payload)
    assert places == {place: again}


async def test_answers_empty_input_with_nothing(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.memories.add([], actor="tester")
        await tx.memories.replace([], actor="tester")
        await tx.memories.forget([], at=START, actor="tester")
        await tx.memories.erase([], at=START, actor="tester")
        await tx.versions.add([])

        assert await tx.memories.get([]) == {}
        assert await tx.memories.session_places([]) == {}
        assert await tx.memories.by_content(HOME, []) == {}
        assert await tx.memories.by_coordinate(HOME, []) == {}
        assert (await tx.memories.verify([], exactly(), Filter())).memories == {}
        assert await tx.memories.find(exactly(), Filter(), limit=10) == []
        assert await tx.memories.find_ids(below("acme"), Filter()) == []
        assert await tx.memories.not_erased(HOME, limit=10) == []


@pytest.mark.parametrize("id", [UNKNOWN, "", "'; DROP TABLE memories; --", "\x00", "\ud800", "%"])
async def test_knows_nothing_of_an_unknown_id(store: CanonicalStore, id: str) -> None:
    await stored(store, a_memory())

    async with store.reading() as tx:
        assert await tx.memories.get([MemoryId(id)]) == {}
        assert await tx.memories.history(MemoryId(id)) == []
        assert await tx.memories.life(MemoryId(id)) == (Life.UNKNOWN, None)
        assert await tx.memories.session_places([MemoryId(id)]) == {}


async def test_does_not_take_an_id_with_something_after_a_nul_for_the_id(
    store: CanonicalStore,
) -> None:
    memory = a_memory()
    await stored(store, memory)

    async with store.reading() as tx:
        assert await tx.memories.get([MemoryId(f"{memory.id}\x00x")]) == {}


async def test_lists_newest_first_and_goes_on_after_a_cursor(store: CanonicalStore) -> None:
    # Three at the same moment: the id decides.
    listed = [a_memory(f"m{number}", minutes=number // 3) for number in range(12)]
    await stored(store, *listed)
    listed.reverse()

    pages: list[Memory] = []
    cursor = None
    async with store.reading() as tx:
        while page := await tx.memories.find(exactly(), Filter(), limit=5, after=cursor):
            assert len(page) <= 5
            pages += page
            cursor = Cursor(page[-1].happened_at, page[-1].id)

    assert pages == listed


async def test_keeps_a_scope_to_itself(store: CanonicalStore) -> None:
    inside = [a_memory(namespace=Namespace(path)) for path in ("a/b", "a/b/c", "a/b/c/d")]
    outside = [
        a_memory(namespace=Namespace(path))
        for path in ("a", "a/b-c", "a/b.c", "a/b0", "a/B", "a/c", "x/a/b")
    ]
    await stored(store, *inside, *outside)
    everything = ids([*inside, *outside])

    async with store.reading() as tx:
        found = await tx.memories.find(below("a/b"), Filter(), limit=100)
        verified = await tx.memories.verify(everything, below("a/b"), Filter())
        exact = await tx.memories.find_ids(exactly(Namespace("a/b")), Filter())

    assert {memory.id for memory in found} == set(ids(inside))
    assert set(verified.memories) == set(ids(inside))
    assert exact == [inside[0].id]


async def test_verifies_against_filter_and_feed(store: CanonicalStore) -> None:
    good, expired, gone = a_memory(), a_memory(valid_to=START + timedelta(minutes=1)), a_memory()
    await stored(store, good, expired, gone)
    async with store.writing() as tx:
        await tx.memories.forget([gone.id], at=START, actor="tester")

    async with store.reading() as tx:
        verified = await tx.memories.verify(
            [good.id, expired.id, gone.id, UNKNOWN],
            exactly(),
            Filter(valid_at=START + timedelta(minutes=1)),
        )
        position = await tx.feed.position(exactly())

    assert verified.memories == {good.id: good}
    assert verified.position == position


async def test_keeps_every_version_with_its_author(store: CanonicalStore) -> None:
    first = a_memory("first")
    second = revised(first, "second")
    third = revised(second, "third")
    async with store.writing() as tx:
        await tx.memories.add([first], actor="alice")
        await tx.memories.replace([second, third], actor="bob")

    async with store.reading() as tx:
        assert await tx.memories.history(first.id) == [
            MemoryVersion(
                version=version.version,
                recorded_at=version.updated_at,
                recorded_by=author,
                memory=version,
            )
            for version, author in ((third, "bob"), (second, "bob"), (first, "alice"))
        ]


async def test_takes_imported_history(store: CanonicalStore) -> None:
    first = a_memory("first")
    second = revised(first, "second")
    entry = MemoryVersion(version=1, recorded_at=START, recorded_by="elsewhere", memory=first)
    async with store.writing() as tx:
        await tx.memories.add([second], actor="importer")
        await tx.versions.add([entry])

    async with store.reading() as tx:
        history = await tx.memories.history(first.id)
    assert [version.memory for version in history] == [second, first]
    assert history[1] == entry


async def test_refuses_to_replace_what_is_not_live(store: CanonicalStore) -> None:
    memory = a_memory()
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.memories.forget([memory.id], at=START, actor="tester")

    with pytest.raises(AssertionError, match="not live"):
        async with store.writing() as tx:
            await tx.memories.replace([revised(memory, "back again")], actor="tester")


async def test_lets_memories_swap_their_coordinates(store: CanonicalStore) -> None:
    left, right = a_memory(coordinate=(0.0,)), a_memory(coordinate=(1.0,))
    await stored(store, left, right)
    moved_left = dataclasses.replace(left, coordinate=(1.0,), version=2)
    moved_right = dataclasses.replace(right, coordinate=(0.0,), version=2)

    async with store.writing() as tx:
        await tx.memories.replace([moved_left, moved_right], actor="tester")
        places = await tx.memories.by_coordinate(HOME, [(0.0,), (1.0,), (2.0,)])

    assert places == {(0.0,): moved_right, (1.0,): moved_left}


async def test_finds_a_coordinate_exactly_and_only_where_it_is(store: CanonicalStore) -> None:
    near = a_memory(coordinate=(0.1 + 0.2, 5e-324, 1.7976931348623157e308))
    await stored(store, near)
    place = near.coordinate
    assert place is not None

    async with store.reading() as tx:
        assert await tx.memories.by_coordinate(HOME, [place]) == {place: near}
        assert await tx.memories.by_coordinate(HOME, [(0.3, 5e-324, 1.7976931348623157e308)]) == {}
        assert await tx.memories.by_coordinate(HOME, [place[:2]]) == {}
        assert await tx.memories.by_coordinate(Namespace("acme"), [place]) == {}


async def test_frees_the_coordinate_of_a_forgotten_memory(store: CanonicalStore) -> None:
    memory = a_memory(coordinate=(1.0,))
    successor = a_memory(coordinate=(1.0,))
    await stored(store, memory)

    async with store.writing() as tx:
        await tx.memories.forget([memory.id], at=START, actor="tester")
        await add(tx, successor)

        assert await tx.memories.by_coordinate(HOME, [(1.0,)]) == {(1.0,): successor}


async def test_finds_the_oldest_live_memory_with_the_same_content(store: CanonicalStore) -> None:
    younger, older = a_memory("same", minutes=1), a_memory("same")
    elsewhere = a_memory("same", minutes=-5, namespace=Namespace("acme"))
    await stored(store, younger, older, elsewhere)

    async with store.writing() as tx:
        assert await tx.memories.by_content(HOME, ["hash of same", "x"]) == {"hash of same": older}
        await tx.memories.forget([older.id], at=START, actor="tester")
        assert await tx.memories.by_content(HOME, ["hash of same"]) == {"hash of same": younger}


async def test_knows_who_stands_beside_whom_in_a_session(store: CanonicalStore) -> None:
    talk = [a_memory(f"turn {number}", minutes=number // 2, session="talk") for number in range(4)]
    other = a_memory(session="other", minutes=0.5)
    silent = a_memory(minutes=0.5)
    foreign = a_memory(session="talk", minutes=0.5, namespace=Namespace("acme"))
    await stored(store, *talk, other, silent, foreign)
    first, second, third, fourth = ids(talk)

    async with store.writing() as tx:
        assert await tx.memories.session_places([*ids(talk), other.id, silent.id, UNKNOWN]) == {
            first: SessionPlace(None, second),
            second: SessionPlace(first, third),
            third: SessionPlace(second, fourth),
            fourth: SessionPlace(third, None),
            other.id: SessionPlace(None, None),
        }
        await tx.memories.forget([second], at=START, actor="tester")
        assert await tx.memories.session_places([first, second]) == {
            first: SessionPlace(None, third)
        }


async def test_hides_a_forgotten_memory_from_every_read_but_history(store: CanonicalStore) -> None:
    memory, friend = a_memory("kettle", coordinate=(1.0,), session="talk"), a_memory("friend")
    await stored(store, memory, friend)
    async with store.writing() as tx:
        await tx.links.put([a_link(memory, friend), a_link(friend, memory)])
        await tx.memories.replace([revised(memory, "kettle on")], actor="tester")
        await tx.memories.forget([memory.id], at=START, actor="tester")
        await tx.memories.forget([memory.id, UNKNOWN], at=START, actor="again")

    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {}
        assert (await tx.memories.verify([memory.id], exactly(), Filter())).memories == {}
        assert await tx.memories.find_ids(exactly(), Filter()) == [friend.id]
        assert await tx.lexicon.nominate(["kettle"], exactly(), Filter(), limit=10) == []
        assert (await tx.lexicon.evidence([memory.id], ["kettle"], exactly())).documents == {}
        assert await tx.links.page(exactly(), limit=10) == []
        assert await tx.memories.life(memory.id) == (Life.FORGOTTEN, HOME)
        history = await tx.memories.history(memory.id)
        (stats,) = await tx.namespaces.stats(exactly(), limit=10)
        assert set(await tx.memories.not_erased(HOME, limit=10)) == {memory.id, friend.id}
    assert [(version.version, version.forgotten_at) for version in history] == [
        (2, START),
        (1, None),
    ]
    assert (stats.memories, stats.links) == (1, 0)
    assert await store.check() == []


@pytest.mark.parametrize("forgotten_before", [True, False])
async def test_erases_all_but_the_id(store: CanonicalStore, forgotten_before: bool) -> None:
    memory = a_memory("kettle")
    await stored(store, memory)
    async with store.writing() as tx:
        await tx.memories.replace([revised(memory, "kettle on")], actor="tester")
        if forgotten_before:
            await tx.memories.forget([memory.id], at=START, actor="tester")
        await tx.memories.erase([memory.id, UNKNOWN], at=START, actor="tester")
        await tx.memories.erase([memory.id], at=START, actor="again")

    async with store.writing() as tx:
        assert await tx.memories.history(memory.id) == []
        assert await tx.memories.get([memory.id]) == {}
        assert await tx.memories.life(memory.id) == (Life.ERASED, HOME)
        assert await tx.memories.not_erased(HOME, limit=10) == []
        assert (await tx.namespaces.stats(exactly(), limit=1))[0].memories == 0
        await tx.memories.forget([memory.id], at=START, actor="tester")
    assert await store.check() == []


async def test_handles_a_thousand_in_one_call(store: CanonicalStore) -> None:
    many = [a_memory(f"memory {number} of many", minutes=number) for number in range(1000)]

    await stored(store, *many)

    async with store.writing() as tx:
        assert await tx.memories.get(ids(many)) == {memory.id: memory for memory in many}
        assert len(await tx.memories.find(exactly(), Filter(), limit=700)) == 700
        assert len(await tx.lexicon.nominate(["many"], exactly(), Filter(), limit=600)) == 600
        await tx.memories.erase(ids(many), at=START, actor="tester")
    assert await store.check() == []
