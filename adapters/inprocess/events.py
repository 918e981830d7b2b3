"""An event log within this process: what the embedded profile and tests use for Kafka."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from domain.delivery import (
    Delivered,
    EventEncoder,
    dead_letter_headers,
    event_headers,
    parked_body,
    replay_headers,
)
from domain.events import Event
from domain.messaging import DEAD_LETTER_TOPIC, EVENTS_TOPIC, Message


class InProcessLog:
    """Implements `EventPublisher`, `MessageSource` and `DeadLetters` of `domain.messaging`.

    Every topic has the same number of partitions, and each keeps its newest messages; those that
    fall out are gone for every group. Nothing survives the process.
    """

    def __init__(
        self,
        *,
        encode: EventEncoder,
        now: Callable[[], datetime],
        partitions: int = 4,
        messages_max: int = 10_000,
        batch_max: int = 500,
    ) -> None:
        self._encode = encode
        self._now = now
        self._partitions = partitions
        self._messages_max = messages_max
        self._batch_max = batch_max
        self._topics: dict[str, list[_Partition]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}

    async def publish(self, events: Sequence[Event], /, *, epoch: str) -> None:
        """Append every event."""
        for event in events:
            body = self._encode(event, epoch)
            self._append(EVENTS_TOPIC, event.namespace, body, event_headers(event))

    async def ping(self) -> None:
        """Always answers."""

    async def send(
        self,
        topic: str,
        /,
        *,
        key: str | None,
        body: bytes | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Append a message of any topic, as a producer outside Soma would."""
        self._append(topic, key, body, headers or {})

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str, /) -> AsyncGenerator[_Member]:
        """Become a member until the block ends."""
        shared = self._group(topic, group)
        member = _Member(shared, self._batch_max)
        shared.join(member)
        try:
            yield member
        finally:
            shared.leave(member)

    async def park(self, message: Message, reason: str, /) -> None:
        """Keep a message with the reason."""
        headers = dead_letter_headers(message, reason, self._now())
        self._append(DEAD_LETTER_TOPIC, message.key, parked_body(message)[0], headers)

    async def replay(self, topic: str, /, *, limit: int) -> int:
        """Send parked messages of a topic back to it, once each."""
        group = self._group(DEAD_LETTER_TOPIC, f"replay.{topic}")
        sent = 0
        for number, partition in enumerate(group.partitions):
            for message in partition.after(group.committed.get(number, 0)):
                if sent == limit:
                    return sent
                if message.headers.get("dlq-topic") == topic:
                    self._append(topic, message.key, message.body, replay_headers(message.headers))
                    sent += 1
                group.committed[number] = message.offset + 1
        return sent

    def _append(
        self, topic: str, key: str | None, body: bytes | None, headers: Mapping[str, str]
    ) -> None:
        partitions = self._opened(topic)
        place = zlib.crc32((key or "").encode(errors="surrogateescape")) % len(partitions)
        message = Message(
            topic=topic,
            partition=place,
            offset=partitions[place].end,
            key=key,
            body=body,
            headers=dict(headers),
        )
        partitions[place].append(message)
        for (name, _), group in self._groups.items():
            if name == topic:
                group.wake()

    def _group(self, topic: str, name: str) -> _Group:
        return self._groups.setdefault((topic, name), _Group(self._opened(topic)))

    def _opened(self, topic: str) -> list[_Partition]:
        if topic not in self._topics:
            self._topics[topic] = [_Partition(self._messages_max) for _ in range(self._partitions)]
        return self._topics[topic]


class _Partition:
    """A list that only grows at its end, and forgets its beginning when it is long."""

    def __init__(self, messages_max: int) -> None:
        self._messages: deque[Message] = deque(maxlen=messages_max)
        self.end = 0

    def append(self, message: Message) -> None:
        self._messages.append(message)
        self.end += 1

    def after(self, offset: int, limit: int | None = None) -> list[Message]:
        """Return what lies from `offset` on and is still there."""
        first = self.end - len(self._messages)
        begin = max(0, offset - first)
        end = len(self._messages) if limit is None else min(len(self._messages), begin + limit)
        return [self._messages[index] for index in range(begin, end)]


class _Group:
    """The members that share a topic, and how far they have come together."""

    def __init__(self, partitions: list[_Partition]) -> None:
        self.partitions = partitions
        self.committed: dict[int, int] = {}
        self._members: list[_Member] = []

    def join(self, member: _Member) -> None:
        self._members.append(member)
        self._share()

    def leave(self, member: _Member) -> None:
        self._members.remove(member)
        member.assign(frozenset())
        self._share()

    def wake(self) -> None:
        for member in self._members:
            member.wake()

    def _share(self) -> None:
        count = len(self._members)
        for index, member in enumerate(self._members):
            member.assign(frozenset(range(index, len(self.partitions), count)))


class _Member:
    """Implements `Subscription`: reads its share of the partitions from where the group stands."""

    def __init__(self, group: _Group, batch_max: int) -> None:
        self._group = group
        self._batch_max = batch_max
        self._next: dict[int, int] = {}
        self._delivered: dict[int, Delivered] = {}
        self._moved = asyncio.Event()

    def assign(self, partitions: frozenset[int]) -> None:
        """Take over a share; what is kept goes on where it was."""
        for gone in self._next.keys() - partitions:
            del self._next[gone]
            del self._delivered[gone]
        for come in partitions - self._next.keys():
            self._next[come] = self._group.committed.get(come, 0)
            self._delivered[come] = Delivered()
        self.wake()

    def wake(self) -> None:
        self._moved.set()

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Iterate over what arrives, as long as the membership lasts."""
        while True:
            self._moved.clear()
            batch = self._taken()
            if batch:
                yield batch
            else:
                await self._moved.wait()

    async def done(self, messages: Sequence[Message], /) -> None:
        """Let the group go on after these messages; those of others' partitions mean nothing."""
        for message in messages:
            delivered = self._delivered.get(message.partition)
            if delivered is not None:
                delivered.done(message.offset)
                if delivered.settled is not None:
                    self._group.committed[message.partition] = delivered.settled

    def _taken(self) -> list[Message]:
        batch: list[Message] = []
        # What was served longest ago comes first, so that no partition waits for another.
        for number in list(self._next):
            room = self._batch_max - len(batch)
            taken = self._group.partitions[number].after(self._next[number], room) if room else []
            if taken:
                del self._next[number]
                self._next[number] = taken[-1].offset + 1
                batch += taken
                for message in taken:
                    self._delivered[number].hand_out(message.offset)
        return batch
