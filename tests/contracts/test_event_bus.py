"""What every event bus must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from adapters.event_json import encode_event
from adapters.inprocess.bus import InProcessBus
from adapters.kafka.bus import KafkaBus
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.publisher import KafkaPublisher
from adapters.kafka.topics import KafkaTopics
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import EventBus
from tests.contracts.event_logs import an_event, kafka_connection

ACME, CHILD, OTHER = Namespace("acme"), Namespace("acme/a"), Namespace("other")


@pytest.fixture(params=["inprocess", "kafka"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[EventBus]:
    """A bus without subscribers."""
    if request.param == "inprocess":
        yield InProcessBus()
        return
    connection = kafka_connection(request.getfixturevalue("kafka_server"))
    await KafkaTopics(connection, partitions=2).create_topics()
    async with listening(connection) as listener:
        yield listener


@asynccontextmanager
async def listening(connection: KafkaConnection) -> AsyncIterator[KafkaBus]:
    """Give the bus of one process that hears what others publish."""
    bus = KafkaBus(InProcessBus(), connection, report=print)
    task = asyncio.create_task(bus.listen())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.wait([task])


async def woken(wakeups: AsyncIterator[None]) -> bool:
    """Tell whether a wake-up is due."""
    try:
        async with asyncio.timeout(0.05):
            await anext(wakeups)
    except TimeoutError:
        return False
    return True


async def test_wakes_those_whose_scope_moved(bus: EventBus) -> None:
    async with (
        bus.subscribe(Scope(ACME)) as exact,
        bus.subscribe(Scope(ACME, ScopeKind.SUBTREE)) as subtree,
        bus.subscribe(Scope(OTHER)) as elsewhere,
        bus.subscribe(None) as everywhere,
    ):
        await bus.publish([CHILD])

        assert (False, True, False, True) == (
            await woken(exact),
            await woken(subtree),
            await woken(elsewhere),
            await woken(everywhere),
        )


async def test_wakes_one_who_is_already_waiting(bus: EventBus) -> None:
    async with bus.subscribe(Scope(ACME)) as wakeups:
        waiting = asyncio.ensure_future(woken(wakeups))
        await asyncio.sleep(0)

        await bus.publish([ACME])

        assert await waiting


async def test_keeps_wakeups_for_a_slow_subscriber_without_growing(bus: EventBus) -> None:
    async with bus.subscribe(None) as wakeups:
        for _ in range(10_000):
            await bus.publish([ACME, OTHER])

        assert await woken(wakeups)
        count = 1
        while await woken(wakeups):
            count += 1
        assert count <= 3


async def test_what_was_published_before_subscribing_is_not_heard(bus: EventBus) -> None:
    await bus.publish([ACME])

    async with bus.subscribe(None) as wakeups:
        assert not await woken(wakeups)


async def test_a_subscription_ends_with_its_block(bus: EventBus) -> None:
    async with bus.subscribe(None) as wakeups:
        pass

    await bus.publish([ACME])

    assert [] == [wakeup async for wakeup in wakeups]


async def test_publishing_to_nobody_is_harmless(bus: EventBus) -> None:
    await bus.publish([ACME])
    await bus.publish([])


async def test_what_a_relay_publishes_wakes_every_process(kafka_server: str) -> None:
    connection = kafka_connection(kafka_server)
    await KafkaTopics(connection, partitions=2).create_topics()
    publisher = KafkaPublisher(connection, encode=encode_event)
    heard: list[str] = []

    async def follow(bus: EventBus, name: str, scope: Scope) -> None:
        async with bus.subscribe(scope) as wakeups:
            await anext(wakeups)
            heard.append(name)

    async with listening(connection) as one, listening(connection) as other:
        elsewhere = asyncio.create_task(follow(one, "elsewhere", Scope(OTHER)))
        followers = asyncio.gather(
            follow(one, "one", Scope(CHILD)),
            follow(other, "other", Scope(ACME, ScopeKind.SUBTREE)),
        )
        async with asyncio.timeout(20):
            seq = 0
            while not followers.done():
                seq += 1
                await publisher.publish([an_event(CHILD, seq)], epoch="e")
                await asyncio.wait([followers], timeout=0.05)
        elsewhere.cancel()
        with suppress(asyncio.CancelledError):
            await elsewhere

    assert ["one", "other"] == sorted(heard)
    await publisher.close()
