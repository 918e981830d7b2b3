"""What the worker does with an event log: relay, ingest, dead letters. The log is in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.event_json import encode_event
from adapters.inprocess.events import InProcessLog
from application.ingest import Ingest
from application.projecting.following import Follower
from application.projecting.relay import Relay
from application.tracing import traced
from container import Container
from domain.draft import Draft, Wait
from domain.errors import BrokerUnavailable, SomaError
from domain.filter import Filter
from domain.messaging import DEAD_LETTER_TOPIC, EVENTS_TOPIC, INGEST_TOPIC, Message
from domain.namespace import Namespace, Scope
from entrypoints.worker.drafts import read_draft
from tests.end_to_end.embedded import ACTOR, installation

SPACE = Namespace("acme/alice")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Scene:
    """An installation with an event log, and what its ingest reported."""

    soma: Container
    log: InProcessLog
    failures: list[SomaError] = field(default_factory=list)
    handled: int = 0

    async def hand_in(self, body: object, *, key: str | None = "k", **headers: str) -> None:
        """Produce one message for ingest."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.log.send(INGEST_TOPIC, key=key, body=raw, headers=named)

    async def ingest(self, messages: int) -> None:
        """Let the ingest run until it has handled so many messages."""

        def count(done: int) -> None:
            self.handled += done
            if self.handled >= messages:
                finished.set()

        finished = asyncio.Event()
        work = Ingest(
            access=self.soma.access(),
            guarded=self.soma.guarded(),
            source=self.log,
            dead_letters=self.log,
            read=read_draft,
            report=self.failures.append,
            done=count,
            topic=INGEST_TOPIC,
            group="ingest",
        )
        task = asyncio.create_task(work())
        async with asyncio.timeout(20):
            await finished.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def lying_in(self, topic: str) -> list[Message]:
        """Return every message of a topic, up to those that are not there yet."""
        found: list[Message] = []
        async with self.log.subscribe(topic, f"reader of {len(self.failures)}") as subscription:
            batches = subscription.batches()
            while True:
                try:
                    async with asyncio.timeout(0.2):
                        batch = await anext(batches)
                except TimeoutError:
                    return found
                found += batch
                await subscription.done(batch)

    async def contents(self) -> list[str]:
        """Return what is stored."""
        page = await self.soma.list_memories()(scope=Scope(SPACE), filter=Filter(), limit=100)
        return sorted(memory.content for memory in page.items)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Give an installation and an empty log."""
    log = InProcessLog(encode=encode_event, now=lambda: datetime.now(UTC))
    async with installation(tmp_path, background_embedding=False) as soma:
        yield Scene(soma, log)


def draft(content: str, **fields: object) -> dict[str, object]:
    """Return the body of a message."""
    return {"namespace": SPACE, "content": content, **fields}


async def test_ingest_stores_what_a_message_holds(scene: Scene) -> None:
    await scene.hand_in(draft("the kettle whistles", kind="semantic", tags=["kitchen"]))

    await scene.ingest(1)

    page = await scene.soma.list_memories()(scope=Scope(SPACE), filter=Filter(), limit=10)
    assert [(m.content, m.kind.value, m.tags) for m in page.items] == [
        ("the kettle whistles", "semantic", ("kitchen",))
    ]


async def test_a_message_that_comes_twice_is_stored_once(scene: Scene) -> None:
    body = draft("the same again", deduplicate=False)
    for _ in range(3):
        await scene.hand_in(body, idempotency_key="order-66")

    await scene.ingest(3)

    assert await scene.contents() == ["the same again"]
    assert await scene.lying_in(DEAD_LETTER_TOPIC) == []


async def test_messages_of_their_own_place_are_separate(scene: Scene) -> None:
    for _ in range(2):
        await scene.hand_in(draft("said twice", deduplicate=False))

    await scene.ingest(2)

    assert await scene.contents() == ["said twice", "said twice"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "body: is not valid JSON"),
        (None, "body: is empty"),
        ({"namespace": SPACE}, "content"),
        ({"namespace": "a//b", "content": "x"}, "namespace"),
        (draft("x", links=[{"target": "01999999-0000-7000-8000-000000000000", "type": "t"}]), "no"),
        (draft("x", surprise=1), "surprise"),
        (draft("x" * 70_000), "content: larger than the limit"),
    ],
)
async def test_poison_is_parked_with_the_reason_and_does_not_block(
    scene: Scene, body: Any, reason: str
) -> None:
    await scene.hand_in(body, origin="shop")
    await scene.hand_in(draft("the next one"))

    await scene.ingest(2)

    parked = await scene.lying_in(DEAD_LETTER_TOPIC)
    assert await scene.contents() == ["the next one"]
    assert [message.headers["origin"] for message in parked] == ["shop"]
    assert parked[0].headers["dlq-topic"] == INGEST_TOPIC
    assert reason in parked[0].headers["dlq-reason"]


async def test_the_same_key_with_another_body_is_parked(scene: Scene) -> None:
    await scene.hand_in(draft("one thing"), idempotency_key="k1")
    await scene.hand_in(draft("another thing"), idempotency_key="k1")

    await scene.ingest(2)

    parked = await scene.lying_in(DEAD_LETTER_TOPIC)
    assert await scene.contents() == ["one thing"]
    assert "k1" in parked[0].headers["dlq-reason"]


async def test_what_was_parked_can_be_replayed(scene: Scene) -> None:
    await scene.hand_in(b"poison")
    await scene.ingest(1)

    sent = await scene.log.replay(INGEST_TOPIC, limit=10)
    await scene.ingest(2)

    parked = await scene.lying_in(DEAD_LETTER_TOPIC)
    assert sent == 1
    assert [message.headers.get("replayed") for message in parked] == [None, "1"]


async def test_the_relay_publishes_every_event_in_order_and_once(scene: Scene) -> None:
    relay = relay_of(scene.soma, scene.log)
    for number in range(5):
        drafts = [
            Draft(content=f"{number}/{space}", namespace=f"acme/{space}") for space in range(4)
        ]
        await scene.soma.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)

    first = await relay()
    again = await relay()

    published = await scene.lying_in(EVENTS_TOPIC)
    assert (first, again) == (20, 0)
    for space in range(4):
        seqs = [
            json.loads(message.body or b"")["seq"]
            for message in published
            if message.key == f"acme/{space}"
        ]
        assert seqs == [1, 2, 3, 4, 5]


async def test_a_relay_that_fails_sends_again_and_loses_nothing(scene: Scene) -> None:
    class Broken(InProcessLog):
        """Takes half of a batch and then goes away, the first time."""

        broken = True

        async def publish(self, events: Any, /, *, epoch: str) -> None:
            if self.broken:
                self.broken = False
                await super().publish(events[: len(events) // 2], epoch=epoch)
                raise BrokerUnavailable("gone")
            await super().publish(events, epoch=epoch)

    log = Broken(encode=encode_event, now=lambda: datetime.now(UTC))
    drafts = [Draft(content=f"note {n}", namespace=SPACE) for n in range(10)]
    await scene.soma.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)
    relay = relay_of(scene.soma, log)

    with pytest.raises(BrokerUnavailable):
        await relay()
    await relay()

    seqs = [
        json.loads(m.body or b"")["seq"]
        for m in await Scene(scene.soma, log).lying_in(EVENTS_TOPIC)
    ]
    assert list(dict.fromkeys(seqs)) == list(range(1, 11))


async def test_events_carry_the_trace_of_the_request_and_never_content(scene: Scene) -> None:
    with traced(TRACE):
        await scene.soma.remember()(
            Draft(content="top secret words", namespace=SPACE), wait=Wait.STORED, actor=ACTOR
        )
    await scene.soma.remember()(
        Draft(content="without a trace", namespace=SPACE), wait=Wait.STORED, actor=ACTOR
    )

    await relay_of(scene.soma, scene.log)()

    published = await scene.lying_in(EVENTS_TOPIC)
    assert [m.headers.get("traceparent") for m in published] == [TRACE, None]
    assert all(b"secret" not in (m.body or b"") for m in published)


def relay_of(soma: Container, log: InProcessLog) -> Relay:
    """Return a relay from an installation to a log."""
    return Relay(follower=Follower(store=soma.store(), events_at_once=1000), publisher=log)
