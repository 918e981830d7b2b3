"""One member of a consumer group: it reads, keeps its membership while others work, commits.

The client's asyncio consumer holds its thread until the event loop has run a callback, also when
the loop is gone. So this is its blocking consumer on one thread, whose callbacks only leave word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from adapters.kafka.connection import Configuration
from adapters.kafka.failures import Outage, Report, translated, unavailable
from adapters.kafka.messages import received
from domain.delivery import Delivered
from domain.errors import BrokerUnavailable
from domain.messaging import Message

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition
    from confluent_kafka import Message as KafkaMessage

T = TypeVar("T")

_POLL_SECONDS = 0.25
#: A batch that takes longer than this is worked on while fetching is paused.
_PATIENCE_SECONDS = 2.0
#: What a commit is answered whose partitions are about to go to others, or have gone.
_GROUP_CHANGED = ("ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS")
_RETRY_SECONDS = 1.0


class KafkaMember:
    """Implements `domain.messaging.Subscription`; `open`, use, `close`.

    The client's calls take turns: whoever commits knows which partitions are ours.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        topic: str,
        cluster_topic: str,
        batch_max: int,
        report: Report,
    ) -> None:
        self._configuration = configuration
        self._topic = topic
        self._cluster_topic = cluster_topic
        self._batch_max = batch_max
        self._outage = Outage(report)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer")
        self._turn = asyncio.Lock()
        self._consumer: Consumer | None = None
        self._delivered: dict[int, Delivered] = {}
        self._committed: dict[int, int] = {}
        self._held: list[KafkaMessage] = []
        self._paused = False
        self._fatal = False
        self._broken = False
        self._fetching: asyncio.Task[list[Message]] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Join the group; raises `ConfigurationError`, never because nothing answers."""
        with translated():
            self._consumer = await self._joined()
        self._keeping = asyncio.create_task(self._keep_membership())

    async def close(self, *, within_seconds: float) -> None:
        """Leave the group; what does not end in time is left to end alone."""
        for task in (self._keeping, self._fetching):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        try:
            async with asyncio.timeout(within_seconds):
                async with self._turn:
                    await self._commit()
                await self._leave()
        except TimeoutError:
            self._outage.noticed(BrokerUnavailable("Kafka did not let a consumer go in time"))
        self._thread.shutdown(wait=False)

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Iterate over what arrives, as long as the membership lasts."""
        while True:
            # Whoever stops waiting loses nothing: the next one to ask gets what was fetched.
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._fetch())
            batch = await asyncio.shield(self._fetching)
            self._fetching = None
            yield batch

    async def done(self, messages: Sequence[Message], /) -> None:
        """Commit what is settled, without waiting for the answer; leaving the block does."""
        for message in messages:
            delivered = self._delivered.get(message.partition)
            if delivered is not None:
                delivered.done(message.offset)
        async with self._turn:
            await self._commit()

    # --- Reading ---------------------------------------------------------------------------------

    async def _fetch(self) -> list[Message]:
        while True:
            async with self._turn:
                batch = await self._tried_batch()
            if batch:
                return batch
            if self._broken:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _tried_batch(self) -> list[Message]:
        """Return what has arrived; a client that gave up for good is replaced."""
        batch: list[Message] = []
        with self._waiting_out():
            if self._broken:
                await self._leave()
                self._consumer = await self._joined()
            self._broken = True
            batch = await self._next_batch()
            self._broken = self._fatal
        return batch

    async def _next_batch(self) -> list[Message]:
        consumer = self._opened()
        await self._commit()
        if self._paused:
            await self._run(lambda: consumer.resume(consumer.assignment()))
            self._paused = False
        held, self._held = self._held, []
        if not held:
            # The first as soon as it is there, then whatever came with it.
            first = await self._run(lambda: consumer.poll(_POLL_SECONDS))
            held = [] if first is None else [first]
        if held and len(held) < self._batch_max:
            room = self._batch_max - len(held)
            held += await self._run(lambda: consumer.consume(room, 0))
        await self._notice_assignment()
        return self._handed_out(self._sound(held))

    def _sound(self, messages: Sequence[KafkaMessage]) -> list[KafkaMessage]:
        for message in messages:
            error = message.error()
            if error is not None:
                self._outage.noticed(unavailable(error))
                self._fatal = self._fatal or error.fatal()
        return [message for message in messages if message.error() is None]

    def _handed_out(self, messages: Sequence[KafkaMessage]) -> list[Message]:
        """Note what is handed out; what belongs to another member by now is its concern."""
        batch = []
        for message in messages:
            mine = received(message, self._topic)
            delivered = self._delivered.get(mine.partition)
            if delivered is not None:
                delivered.hand_out(mine.offset)
                batch.append(mine)
        if batch:
            self._outage.over()
        return batch

    # --- Membership ------------------------------------------------------------------------------

    async def _keep_membership(self) -> None:
        """Let the client be heard of while a batch is worked on, without fetching more."""
        while True:
            await asyncio.sleep(_PATIENCE_SECONDS)
            if self._fetching is not None and not self._fetching.done():
                continue
            async with self._turn:
                if not self._broken:
                    with self._waiting_out():
                        await self._poll_paused()

    async def _poll_paused(self) -> None:
        consumer = self._opened()
        # Again each time: partitions that have come meanwhile are not paused.
        await self._run(lambda: consumer.pause(consumer.assignment()))
        self._paused = True
        message = await self._run(lambda: consumer.poll(0))
        if message is not None:
            self._held.append(message)
        await self._notice_assignment()
        await self._commit()

    async def _notice_assignment(self) -> None:
        """Forget what partitions that went to others had; their messages come again there."""
        consumer = self._opened()
        assignment = {place.partition: place for place in await self._run(consumer.assignment)}
        for partition in self._delivered.keys() - assignment.keys():
            del self._delivered[partition]
            self._committed.pop(partition, None)
        new = assignment.keys() - self._delivered.keys()
        for partition in new:
            self._delivered[partition] = Delivered()
        if new and not self._paused:
            # The client remembers a pause from before a partition went to another and came back.
            await self._run(lambda: consumer.resume([assignment[partition] for partition in new]))

    async def _joined(self) -> Consumer:
        from confluent_kafka import Consumer

        loop = asyncio.get_running_loop()

        def heard(error: KafkaError) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody is interested any more
                loop.call_soon_threadsafe(self._heard, error)

        def answered(error: KafkaError | None, places: list[TopicPartition]) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._answered, error, places)

        consumer = Consumer({**self._configuration, "error_cb": heard, "on_commit": answered})
        await self._run(lambda: consumer.subscribe([self._cluster_topic]))
        self._delivered.clear()
        self._committed.clear()
        self._held.clear()
        self._paused = False
        self._fatal = False
        return consumer

    async def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with self._waiting_out():
                await self._run(consumer.close)

    def _heard(self, error: KafkaError) -> None:
        self._outage.noticed(unavailable(error))

    # --- Commits ---------------------------------------------------------------------------------

    async def _commit(self) -> None:
        """Send off what is settled and not sent yet; needs the turn.

        Nobody waits for the answer: a client that waits for it does not poll, and while it does
        not poll a group that changes cannot give it one.
        """
        due = {
            partition: delivered.settled
            for partition, delivered in self._delivered.items()
            if delivered.settled is not None and delivered.settled != self._committed.get(partition)
        }
        if due and self._consumer is not None:
            commit, places = self._consumer.commit, self._places(due)
            with self._waiting_out():
                await self._run(lambda: commit(offsets=places, asynchronous=True))
                self._committed.update(due)

    def _answered(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Hear what became of a commit; one that failed is sent again at the next turn."""
        failed = [place for place in places if error is not None or place.error is not None]
        for place in failed:
            self._committed.pop(place.partition, None)
        reason = error or next((place.error for place in failed), None)
        if reason is not None and reason.name() not in _GROUP_CHANGED:
            self._outage.noticed(unavailable(reason))

    def _places(self, offsets: dict[int, int]) -> list[TopicPartition]:
        from confluent_kafka import TopicPartition

        return [
            TopicPartition(self._cluster_topic, partition, offset)
            for partition, offset in offsets.items()
        ]

    # --- Interruptions ---------------------------------------------------------------------------

    @contextmanager
    def _waiting_out(self) -> Iterator[None]:
        """Report what Kafka did not do; it is tried again at the next turn."""
        try:
            with translated():
                yield
        except BrokerUnavailable as error:
            self._outage.noticed(error)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _opened(self) -> Consumer:
        assert self._consumer is not None
        return self._consumer
