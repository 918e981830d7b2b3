"""What every event log must do: publishing, reading in groups, and keeping dead letters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import msgspec
import pytest

from domain.delivery import REASON_LENGTH_MAX
from domain.messaging import (
    DEAD_LETTER_TOPIC,
    EVENTS_TOPIC,
    INGEST_TOPIC,
    Message,
    Subscription,
)
from tests.contracts.event_logs import EventLog, an_event, in_process_log, kafka_log, read


@pytest.fixture(params=["inprocess", "kafka"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    """Give an empty log."""
    if request.param == "inprocess":
        yield in_process_log()
    else:
        async with kafka_log(request.getfixturevalue("kafka_server")) as opened:
            yield opened


async def test_keeps_the_order_of_each_namespace(log: EventLog) -> None:
    events = [an_event(name, seq) for seq in range(1, 101) for name in ("a", "b/c", "d")]

    await log.publisher.publish(events[:150], epoch="e")
    await log.publisher.publish(events[150:], epoch="e")

    async with log.source.subscribe(EVENTS_TOPIC, "order") as subscription:
        messages = await read(subscription, len(events))
    order = defaultdict(list)
    for message in messages:
        order[message.key].append(msgspec.json.decode(message.body or b"")["seq"])
    assert {key: list(range(1, 101)) for key in ("a", "b/c", "d")} == order


async def test_says_in_headers_what_an_event_is(log: EventLog) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced, plain = an_event(seq=1, trace=trace), an_event(seq=2)

    await log.publisher.publish([traced, plain], epoch="e")

    async with log.source.subscribe(EVENTS_TOPIC, "headers") as subscription:
        first, second = await read(subscription, 2)
    named = {"event-type": "memory.revised", "schema-version": "1"}
    assert {"event-id": traced.id, "traceparent": trace, **named} == first.headers
    assert {"event-id": plain.id, **named} == second.headers
    assert EVENTS_TOPIC == first.topic


async def test_hands_out_again_what_comes_after_the_first_that_was_not_done(log: EventLog) -> None:
    await log.publisher.publish([an_event(seq=seq) for seq in range(1, 11)], epoch="e")

    async with log.source.subscribe(EVENTS_TOPIC, "again") as subscription:
        messages = await read(subscription, 10, done=False)
        await subscription.done(messages[2:4])
        await subscription.done(messages[:2])
        await subscription.done(messages[7:8])
    async with log.source.subscribe(EVENTS_TOPIC, "again") as subscription:
        rest = await read(subscription, 6)

    assert messages[4:] == rest


async def test_every_group_reads_for_itself_and_remembers_what_is_done(log: EventLog) -> None:
    await log.send(INGEST_TOPIC, key="acme", body=b"1")
    async with (
        log.source.subscribe(INGEST_TOPIC, "one") as one,
        log.source.subscribe(INGEST_TOPIC, "other") as other,
    ):
        assert b"1" == (await read(one, 1))[0].body
        assert b"1" == (await read(other, 1, done=False))[0].body

    await log.send(INGEST_TOPIC, key="acme", body=b"2")

    async with (
        log.source.subscribe(INGEST_TOPIC, "one") as one,
        log.source.subscribe(INGEST_TOPIC, "other") as other,
    ):
        assert [b"2"] == [message.body for message in await read(one, 1)]
        assert [b"1", b"2"] == [message.body for message in await read(other, 2)]


async def test_members_of_a_group_share_the_messages(log: EventLog) -> None:
    got: dict[str, list[Message]] = {"one": [], "other": []}
    sent = 0

    async def keep_reading(name: str, subscription: Subscription) -> None:
        async for batch in subscription.batches():
            got[name] += batch
            await subscription.done(batch)

    async with (
        log.source.subscribe(INGEST_TOPIC, "shared") as one,
        log.source.subscribe(INGEST_TOPIC, "shared") as other,
    ):
        reading = [
            asyncio.create_task(keep_reading("one", one)),
            asyncio.create_task(keep_reading("other", other)),
        ]
        async with asyncio.timeout(30):
            while not all(got.values()) or len(got["one"]) + len(got["other"]) < sent:
                if not all(got.values()):
                    await log.send(INGEST_TOPIC, key=f"key {sent}", body=b"%d" % sent)
                    sent += 1
                await asyncio.sleep(0.01)  # polls a condition
        for task in reading:
            task.cancel()

    bodies = {int(message.body or b"") for message in got["one"] + got["other"]}
    assert set(range(sent)) == bodies


async def test_another_member_gets_what_one_who_left_did_not_finish(log: EventLog) -> None:
    async with log.source.subscribe(INGEST_TOPIC, "left") as staying:
        async with log.source.subscribe(INGEST_TOPIC, "left") as leaving:
            for number in range(40):
                await log.send(INGEST_TOPIC, key=f"key {number}", body=b"%d" % number)
            begun = await read(leaving, 1, done=False)
        rest = await read(staying, 40)
        await leaving.done(begun)

        assert {message.body for message in begun} <= {message.body for message in rest}


async def test_reads_on_where_partitions_went_to_another_and_came_back(log: EventLog) -> None:
    sent = {b"%d" % number for number in range(80)}
    async with log.source.subscribe(INGEST_TOPIC, "back") as staying:
        for number in range(40):
            await log.send(INGEST_TOPIC, key=f"key {number}", body=b"%d" % number)
        seen = {message.body for message in await read(staying, 40)}
        async with log.source.subscribe(INGEST_TOPIC, "back") as leaving:
            for number in range(40, 80):
                await log.send(INGEST_TOPIC, key=f"key {number}", body=b"%d" % number)
            await read(leaving, 1, done=False)

        while not sent <= seen:
            seen |= {message.body for message in await read(staying, 1)}

    assert seen == sent


async def test_whoever_stops_waiting_loses_nothing(log: EventLog) -> None:
    async with log.source.subscribe(INGEST_TOPIC, "patient") as subscription:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(subscription.batches())
        await log.send(INGEST_TOPIC, key=None, body=b"late")

        (message,) = await read(subscription, 1)

    assert b"late" == message.body
    assert message.key is None


async def test_a_message_without_a_body_is_a_message(log: EventLog) -> None:
    await log.send(INGEST_TOPIC, key="acme", body=None, headers={"idempotency-key": "k"})

    async with log.source.subscribe(INGEST_TOPIC, "empty") as subscription:
        (message,) = await read(subscription, 1)

    assert message.body is None
    assert {"idempotency-key": "k"} == message.headers


async def test_parks_the_reason_of_a_message_that_is_too_large_to_be_kept(log: EventLog) -> None:
    huge = Message(
        topic=INGEST_TOPIC,
        partition=0,
        offset=1,
        key="k",
        body=b"x" * 3_000_000,
        headers={"a": "b"},
    )

    await log.dead_letters.park(huge, "too large")

    async with log.source.subscribe(DEAD_LETTER_TOPIC, "look") as subscription:
        (parked,) = await read(subscription, 1)
    assert parked.body is None
    assert parked.headers["dlq-body-left-out"] == "3000000"
    assert parked.headers["dlq-reason"] == "too large"


async def test_parks_a_message_as_it_is_with_the_reason(log: EventLog) -> None:
    headers = {"idempotency-key": "k", "own": "\udcff"}
    poison = Message(
        topic=INGEST_TOPIC, partition=3, offset=14, key="\udcfe", body=b"{", headers=headers
    )

    await log.dead_letters.park(poison, "r" * 5000)

    async with log.source.subscribe(DEAD_LETTER_TOPIC, "look") as subscription:
        (parked,) = await read(subscription, 1)
    assert ("\udcfe", b"{") == (parked.key, parked.body)
    assert {
        **headers,
        "dlq-reason": "r" * REASON_LENGTH_MAX,
        "dlq-topic": INGEST_TOPIC,
        "dlq-partition": "3",
        "dlq-offset": "14",
        "dlq-at": "2026-03-04T05:06:07Z",
    } == parked.headers


async def test_replays_each_topic_for_itself_and_each_message_once(log: EventLog) -> None:
    for number in range(5):
        topic = EVENTS_TOPIC if number == 2 else INGEST_TOPIC
        await log.dead_letters.park(
            Message(
                topic=topic,
                partition=0,
                offset=number,
                key=f"key {number}",
                body=b"%d" % number,
                headers={"idempotency-key": str(number)},
            ),
            "because",
        )

    counts = [
        await log.dead_letters.replay(INGEST_TOPIC, limit=3),
        await log.dead_letters.replay(INGEST_TOPIC, limit=3),
        await log.dead_letters.replay(INGEST_TOPIC, limit=3),
        await log.dead_letters.replay(EVENTS_TOPIC, limit=3),
    ]

    assert [3, 1, 0, 1] == counts
    async with log.source.subscribe(INGEST_TOPIC, "after") as subscription:
        back = await read(subscription, 4)
    assert {(f"key {number}", b"%d" % number, str(number), "1") for number in (0, 1, 3, 4)} == {
        (m.key, m.body, m.headers["idempotency-key"], m.headers["replayed"]) for m in back
    }
    assert {"idempotency-key", "replayed"} == set(back[0].headers)


async def test_a_replay_ends_at_what_lay_there_when_it_began(log: EventLog) -> None:
    poison = Message(topic=INGEST_TOPIC, partition=0, offset=0, key="k", body=b"x")

    assert 0 == await log.dead_letters.replay(INGEST_TOPIC, limit=10)
    await log.dead_letters.park(poison, "because")
    assert 1 == await log.dead_letters.replay(INGEST_TOPIC, limit=10)


async def test_answers_when_asked(log: EventLog) -> None:
    await log.publisher.ping()
    await log.publisher.publish([], epoch="e")
