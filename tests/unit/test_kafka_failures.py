"""A Kafka that fails: what the core is told, and that the log goes on afterwards.

The broker keeps its messages in memory: pauses and black holes lose none, a kill loses all, so
what must survive is tested with the former.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from adapters.event_json import encode_event
from adapters.inprocess.bus import InProcessBus
from adapters.kafka.bus import KafkaBus
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.dead_letters import KafkaDeadLetters
from adapters.kafka.publisher import KafkaPublisher
from adapters.kafka.source import KafkaSource
from adapters.kafka.topics import KafkaTopics
from domain.errors import BrokerUnavailable, ConfigurationError, SomaError
from domain.events import Event
from domain.messaging import EVENTS_TOPIC, INGEST_TOPIC, Message
from domain.namespace import Namespace, Scope
from tests.contracts.event_logs import NOW, an_event, kafka_connection, membership, read
from tests.servers.kafka import kafka_of_ones_own
from tests.servers.proxy import Mode, Proxy
from tests.servers.server import ServerProcess, free_port

PATIENCE_SECONDS = 2.0
BACK_SECONDS = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Give a running broker that a test may do anything to."""
    server = kafka_of_ones_own(tmp_path)
    server.start()
    yield server
    server.kill()


async def publisher_to(connection: KafkaConnection) -> KafkaPublisher:
    """Return a publisher; its topics are there."""
    await KafkaTopics(connection, partitions=1).create_topics()
    return KafkaPublisher(connection, encode=encode_event)


async def until_published(publisher: KafkaPublisher, events: list[Event]) -> None:
    """Publish as the relay does: again and again the same events."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                await publisher.publish(events, epoch="e")
            except BrokerUnavailable:
                continue
            return


def first_occurrences(messages: list[Message]) -> list[int]:
    """Return the sequence numbers in the order in which each was seen first."""
    seen = dict.fromkeys(msgspec.json.decode(message.body or b"")["seq"] for message in messages)
    return list(seen)


async def test_says_within_its_timeout_that_nobody_listens() -> None:
    connection = kafka_connection(f"127.0.0.1:{free_port()}", timeout_seconds=PATIENCE_SECONDS)
    publisher = KafkaPublisher(connection, encode=encode_event)
    letters = KafkaDeadLetters(connection, now=lambda: NOW)
    message = Message(topic=INGEST_TOPIC, partition=0, offset=0, key="k", body=b"x")

    begun = time.monotonic()
    answers = await asyncio.gather(
        publisher.publish([an_event()], epoch="e"),
        letters.replay(INGEST_TOPIC, limit=1),
        KafkaPublisher(connection, encode=encode_event).ping(),
        KafkaTopics(connection).create_topics(),
        letters.park(message, "because"),
        return_exceptions=True,
    )

    assert [BrokerUnavailable] * 5 == [type(answer) for answer in answers]
    assert time.monotonic() - begun < 5 * PATIENCE_SECONDS
    await publisher.close()
    await letters.close()


async def test_names_a_setting_that_kafka_does_not_know() -> None:
    connection = KafkaConnection(
        servers="127.0.0.1:1", options={"sasl.pasword": "secret"}, timeout_seconds=PATIENCE_SECONDS
    )
    publisher = KafkaPublisher(connection, encode=encode_event)

    with pytest.raises(ConfigurationError, match=r"sasl\.pasword") as refusal:
        await publisher.publish([an_event()], epoch="e")

    assert "secret" not in f"{refusal.value}{connection!r}"
    with pytest.raises(ConfigurationError):
        async with KafkaSource(connection, report=print).subscribe(INGEST_TOPIC, "g"):
            pass
    await publisher.close()


async def test_where_no_topic_is_nothing_is_parked(kafka_server: str) -> None:
    connection = kafka_connection(kafka_server)
    letters = KafkaDeadLetters(connection, now=lambda: NOW, group_prefix=connection.topic_prefix)

    assert 0 == await letters.replay(INGEST_TOPIC, limit=1)

    await letters.close()


async def test_a_replay_that_cannot_send_keeps_what_it_read(server: ServerProcess) -> None:
    connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
    await KafkaTopics(connection, partitions=2).create_topics()
    letters = KafkaDeadLetters(connection, now=lambda: NOW)
    message = Message(topic=INGEST_TOPIC, partition=0, offset=0, key="k", body=b"x")
    await letters.park(message, "because")

    server.pause()
    with pytest.raises(BrokerUnavailable):
        await letters.replay(INGEST_TOPIC, limit=1)
    server.resume()

    assert 1 == await letters.replay(INGEST_TOPIC, limit=1)
    assert 0 == await letters.replay(INGEST_TOPIC, limit=1)
    await letters.close()


async def test_a_publish_that_is_cut_off_is_repeated_in_order(server: ServerProcess) -> None:
    connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
    publisher = await publisher_to(connection)
    await publisher.publish([an_event(seq=1)], epoch="e")
    cut_off = [an_event(seq=seq) for seq in range(2, 3000)]

    server.pause()
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await publisher.publish(cut_off, epoch="e")
    assert time.monotonic() - begun < 5 * PATIENCE_SECONDS
    server.resume()
    await until_published(publisher, cut_off)
    await publisher.publish([an_event(seq=3000)], epoch="e")

    source = KafkaSource(connection, report=print, membership=membership(connection))
    async with source.subscribe(EVENTS_TOPIC, "all") as subscription:
        messages: list[Message] = []
        while len(set(first_occurrences(messages))) < 3000:
            messages += await read(subscription, 1)
    assert list(range(1, 3001)) == first_occurrences(messages)
    await publisher.close()


async def test_publishes_again_after_the_broker_was_killed(server: ServerProcess) -> None:
    connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
    publisher = await publisher_to(connection)
    await publisher.publish([an_event(seq=1)], epoch="e")

    publishing = asyncio.create_task(
        publisher.publish([an_event(seq=seq) for seq in range(2, 90_000)], epoch="e")
    )
    await asyncio.sleep(0)
    server.kill()
    with pytest.raises(BrokerUnavailable):
        await publishing
    with pytest.raises(BrokerUnavailable):
        await publisher.ping()
    server.start()
    await KafkaTopics(connection, partitions=1).create_topics()
    await until_published(publisher, [an_event(seq=2)])
    await publisher.ping()
    await publisher.close()


async def test_publishes_again_after_a_black_hole(tmp_path: Path) -> None:
    port = free_port()
    proxy = Proxy(port)
    server = kafka_of_ones_own(tmp_path, port=port, advertised_port=proxy.port)
    server.start()
    with proxy.running():
        connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
        publisher = await publisher_to(connection)
        await publisher.publish([an_event(seq=1)], epoch="e")

        proxy.set(Mode.BLACK_HOLE)
        with pytest.raises(BrokerUnavailable):
            await publisher.publish([an_event(seq=2)], epoch="e")
        proxy.set(Mode.FORWARD)

        await until_published(publisher, [an_event(seq=2)])
        await publisher.close()
    server.kill()


async def test_a_member_waits_an_interruption_out(server: ServerProcess) -> None:
    connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
    publisher = await publisher_to(connection)
    reports: list[SomaError] = []
    source = KafkaSource(connection, report=reports.append, membership=membership(connection))
    await publisher.publish([an_event(seq=1)], epoch="e")

    async with source.subscribe(EVENTS_TOPIC, "g") as subscription:
        before = await read(subscription, 1, done=False)
        server.kill()
        await subscription.done(before)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await anext(subscription.batches())
        server.start()
        await KafkaTopics(connection, partitions=1).create_topics()
        await until_published(publisher, [an_event(seq=2)])
        after = await read(subscription, 1)

    assert [1, 2] == first_occurrences(before + after)
    assert [BrokerUnavailable] == list({type(report) for report in reports})
    await publisher.close()


async def test_a_member_keeps_its_place_while_a_batch_takes_long(kafka_server: str) -> None:
    connection = kafka_connection(kafka_server)
    publisher = await publisher_to(connection)
    source = KafkaSource(connection, report=print, membership=membership(connection))
    await publisher.publish([an_event(seq=seq) for seq in range(1, 301)], epoch="e")

    async with source.subscribe(EVENTS_TOPIC, "slow") as subscription:
        first = await read(subscription, 1, done=False)
        await asyncio.sleep(2.5)  # the time itself is tested: fetching is paused meanwhile
        await subscription.done(first)
        rest = await read(subscription, 300 - len(first))

    assert list(range(1, 301)) == first_occurrences(first + rest)
    assert 300 == len(first + rest)
    await publisher.close()


async def test_local_wakeups_go_on_without_kafka() -> None:
    connection = kafka_connection(f"127.0.0.1:{free_port()}", timeout_seconds=PATIENCE_SECONDS)
    reports: list[SomaError] = []
    reported = asyncio.Event()

    def report(error: SomaError) -> None:
        reports.append(error)
        reported.set()

    bus = KafkaBus(InProcessBus(), connection, report=report)
    listening = asyncio.create_task(bus.listen())

    async with bus.subscribe(Scope(Namespace("acme"))) as wakeups, asyncio.timeout(BACK_SECONDS):
        await reported.wait()
        await bus.publish([Namespace("acme")])
        await anext(wakeups)

    assert not listening.done()
    assert isinstance(reports[0], BrokerUnavailable)
    listening.cancel()
    await asyncio.wait([listening])


async def test_leaves_within_its_deadline_when_nothing_answers(server: ServerProcess) -> None:
    connection = kafka_connection(server.url, timeout_seconds=PATIENCE_SECONDS)
    publisher = await publisher_to(connection)
    await publisher.publish([an_event(seq=1)], epoch="e")
    source = KafkaSource(
        connection,
        report=print,
        membership=membership(connection, close_timeout_seconds=1.0),
    )

    async with source.subscribe(EVENTS_TOPIC, "g") as subscription:
        await subscription.done(await read(subscription, 1))
        server.pause()
        begun = time.monotonic()
    assert time.monotonic() - begun < 4.0

    server.resume()
    await publisher.close()
