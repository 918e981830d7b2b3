"""What a transaction of a canonical store promises."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from domain.filter import Filter
from domain.lexical import AnalysedText
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Transaction
from tests.contracts.store_fixtures import (
    HOME,
    START,
    a_memory,
    add,
    events,
    exactly,
    ids,
    stored,
)


async def test_keeps_everything_of_a_block_that_ends_well(store: CanonicalStore) -> None:
    memory = a_memory()

    await stored(store, memory)

    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {memory.id: memory}


async def test_keeps_nothing_of_a_block_that_fails(store: CanonicalStore) -> None:
    memory = a_memory()

    async def change() -> None:
        async with store.writing() as tx:
            await tx.feed.lock([HOME])
            await add(tx, memory)
            await tx.feed.append(events(HOME, 1, 1))
            await tx.settings.set("colour", "blue")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change()

    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {}
        assert await tx.lexicon.nominate(["kettle"], exactly(), Filter(), limit=10) == []
        assert await tx.namespaces.stats(None, limit=10) == []
        assert await tx.settings.get("colour") is None
    assert await store.check() == []


async def test_keeps_nothing_of_a_block_in_which_a_call_failed(store: CanonicalStore) -> None:
    memory = a_memory()

    async def change() -> None:
        async with store.writing() as tx:
            await tx.feed.lock([HOME])
            await add(tx, memory)
            await tx.feed.append(events(HOME, 2, 2))

    with pytest.raises(AssertionError, match="does not continue"):
        await change()

    async with store.reading() as tx:
        assert await tx.memories.get([memory.id]) == {}


async def test_raises_what_the_last_write_failed_with(store: CanonicalStore) -> None:
    """A store may go on while it writes, but not past the end of the block."""
    known, fresh = a_memory(), a_memory("a lantern")
    await stored(store, known)

    async def change() -> None:
        async with store.writing() as tx:
            await tx.memories.add([fresh, known], actor="tester")

    with pytest.raises(Exception, match=r"(?i)unique"):
        await change()

    async with store.reading() as tx:
        assert await tx.memories.get([fresh.id]) == {}
    assert await store.check() == []


async def test_counts_what_one_block_adds_and_takes_away(store: CanonicalStore) -> None:
    kept, gone = a_memory(), a_memory("a lantern")

    async with store.writing() as tx:
        await tx.feed.lock([HOME])
        await add(tx, kept, gone)
        await tx.feed.append(events(HOME, 1, 2))
        before = await tx.namespaces.stats(None, limit=10)
        await tx.memories.forget([gone.id], at=START, actor="tester")
        await tx.feed.append(events(HOME, 3, 3))
        after = await tx.namespaces.stats(None, limit=10)

    assert [(one.memories, one.head) for one in (*before, *after)] == [(2, 2), (1, 3)]
    assert await store.check() == []


async def test_indexes_what_it_has_just_added_once_more(store: CanonicalStore) -> None:
    memory = a_memory()

    async with store.writing() as tx:
        await add(tx, memory)
        again = AnalysedText(("lantern",), ("lantern",))
        await tx.lexicon.put({memory.id: again})

    async with store.reading() as tx:
        assert await tx.lexicon.nominate(["kettle"], exactly(), Filter(), limit=10) == []
        assert await tx.lexicon.nominate(["lantern"], exactly(), Filter(), limit=10) == [memory.id]
    assert await store.check() == []


async def test_reads_its_own_changes_before_the_commit(store: CanonicalStore) -> None:
    memory = a_memory()

    async with store.writing() as tx:
        await add(tx, memory)

        assert await tx.memories.get([memory.id]) == {memory.id: memory}
        found = await tx.lexicon.nominate(["kettle"], exactly(), Filter(), limit=10)
        assert found == [memory.id]


async def test_hides_changes_from_readers_until_the_commit(store: CanonicalStore) -> None:
    memory = a_memory()

    async with store.writing() as writing:
        await add(writing, memory)
        async with store.reading() as reading:
            assert await reading.memories.get([memory.id]) == {}


async def test_shows_a_reader_one_moment_however_much_is_written_meanwhile(
    store: CanonicalStore,
) -> None:
    early, late = a_memory("early"), a_memory("late")
    await stored(store, early)

    async with store.reading() as tx:
        assert ids(await tx.memories.find(exactly(), Filter(), limit=10)) == [early.id]
        await stored(store, late)
        async with store.writing() as writing:
            await writing.memories.forget([early.id], at=START, actor="tester")

        assert ids(await tx.memories.find(exactly(), Filter(), limit=10)) == [early.id]
        assert (await tx.memories.verify([early.id, late.id], exactly(), Filter())).memories == {
            early.id: early
        }
        assert await tx.lexicon.nominate(["late"], exactly(), Filter(), limit=10) == []

    async with store.reading() as tx:
        assert ids(await tx.memories.find(exactly(), Filter(), limit=10)) == [late.id]


async def test_lets_writers_queue_so_that_events_have_no_gaps(store: CanonicalStore) -> None:
    spaces = [Namespace("left"), Namespace("right")]

    async def write(number: int) -> None:
        async with store.writing() as tx:
            heads = await tx.feed.lock(spaces)
            await asyncio.sleep(0)
            for space in spaces:
                await tx.feed.append(events(space, heads[space] + 1, heads[space] + 2))
            if number % 5 == 0:
                raise RuntimeError("this one is rolled back")

    outcomes = await asyncio.gather(*map(write, range(20)), return_exceptions=True)

    assert sum(outcome is None for outcome in outcomes) == 16
    async with store.reading() as tx:
        for space in spaces:
            feed = await tx.feed.after(space, 0, limit=100)
            assert [event.seq for event in feed] == list(range(1, 33))
            assert (await tx.feed.position(exactly(space))).seq == 32
    assert await store.check() == []


async def test_lets_the_second_of_two_writers_see_what_the_first_committed(
    store: CanonicalStore,
) -> None:
    entered = asyncio.Event()
    memory = a_memory(coordinate=(1.0, 2.0))

    async def first() -> None:
        async with store.writing() as tx:
            entered.set()
            await add(tx, memory)

    async def second() -> bool:
        await entered.wait()
        async with store.writing() as tx:
            return bool(await tx.memories.by_coordinate(HOME, [(1.0, 2.0)]))

    _, seen = await asyncio.gather(first(), second())

    assert seen


async def test_a_cancelled_writer_leaves_no_trace_and_the_store_goes_on(
    store: CanonicalStore,
) -> None:
    lost, kept = a_memory("lost"), a_memory("kept")
    written = asyncio.Event()

    async def write_for_ever() -> None:
        async with store.writing() as tx:
            await add(tx, lost)
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_for_ever())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stored(store, kept)

    async with store.reading() as tx:
        assert await tx.memories.get([lost.id, kept.id]) == {kept.id: kept}
    assert await store.check() == []


@pytest.mark.parametrize("size", [1, 3])
async def test_a_writer_cancelled_at_any_moment_is_whole_or_absent(
    store: CanonicalStore, size: int
) -> None:
    memories = [[a_memory(f"memory {number} {n}") for n in range(size)] for number in range(60)]

    async def write(tx: Transaction, head: int, number: int) -> None:
        await add(tx, *memories[number])
        await tx.feed.append(
            [
                event
                for place, memory in enumerate(memories[number], start=head + 1)
                for event in events(HOME, place, place, memory.id)
            ]
        )

    async def change(number: int) -> None:
        async with store.writing() as tx:
            heads = await tx.feed.lock([HOME])
            await write(tx, heads[HOME], number)

    for number in range(len(memories)):
        task = asyncio.create_task(change(number))
        for _ in range(number % 20):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async with store.reading() as tx:
        found = await tx.memories.find(exactly(), Filter(), limit=200)
        feed = await tx.feed.after(HOME, 0, limit=200)
    assert {event.memory_id for event in feed} == set(ids(found))
    assert await store.check() == []


async def test_cancelled_readers_give_their_places_back(store: CanonicalStore) -> None:
    async def read_for_ever(started: asyncio.Event) -> None:
        async with store.reading() as tx:
            await tx.settings.get("epoch")
            started.set()
            await asyncio.Event().wait()

    for _ in range(10):
        started = asyncio.Event()
        task = asyncio.create_task(read_for_ever(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await asyncio.gather(*(store.ping() for _ in range(20)))


async def test_refuses_a_transaction_that_is_over(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.settings.set("colour", "blue")

    with pytest.raises(RuntimeError, match="over"):
        await tx.settings.set("colour", "red")


async def test_remembers_facts_about_itself(store: CanonicalStore) -> None:
    async with store.writing() as tx:
        await tx.settings.set("model", "one")
        await tx.settings.set("model", "two ☕ 'quoted'")

    async with store.reading() as tx:
        assert await tx.settings.get("model") == "two ☕ 'quoted'"
        assert await tx.settings.get("unknown") is None
        assert await tx.settings.get("epoch")
