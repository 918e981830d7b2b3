"""The event log within a process: how it is bounded."""

from __future__ import annotations

from adapters.event_json import encode_event
from adapters.inprocess.events import InProcessLog
from domain.messaging import EVENTS_TOPIC, INGEST_TOPIC
from tests.contracts.event_logs import NOW, an_event, read


async def test_a_full_partition_forgets_its_oldest_messages() -> None:
    log = InProcessLog(encode=encode_event, now=lambda: NOW, partitions=1, messages_max=3)

    await log.publish([an_event(seq=seq) for seq in range(1, 6)], epoch="e")

    async with log.subscribe(EVENTS_TOPIC, "late") as member:
        assert [2, 3, 4] == [message.offset for message in await read(member, 3)]


async def test_a_batch_is_bounded_and_takes_from_every_partition_in_turn() -> None:
    log = InProcessLog(encode=encode_event, now=lambda: NOW, partitions=2, batch_max=2)
    for number in range(40):
        await log.send(INGEST_TOPIC, key=f"key {number}", body=b"x")

    async with log.subscribe(INGEST_TOPIC, "g") as member:
        batches = member.batches()
        first, second = await anext(batches), await anext(batches)

    assert (2, 2) == (len(first), len(second))
    assert {0, 1} == {message.partition for message in first + second}
