"""The rules every event log keeps: what is settled, and what the headers of a message say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime

from domain.events import Event
from domain.messaging import Message

#: Version of the JSON that an event is published as; docs/events.md describes it.
EVENT_SCHEMA_VERSION = 1
#: Turns an event and the store's epoch into the body that is published.
EventEncoder = Callable[[Event, str], bytes]

PARKED_BYTES_MAX = 800_000
PARKED_HEADERS_MAX = 50_000
REASON_LENGTH_MAX = 1000
_DEAD_LETTER_HEADERS = ("dlq-reason", "dlq-topic", "dlq-partition", "dlq-offset", "dlq-at")


class Delivered:
    """The messages of one partition that were handed out, and how far they are settled.

    A message counts as settled when it and all that were handed out before it are done: a group
    that remembers that place never skips one that is not.
    """

    def __init__(self) -> None:
        self._outstanding: deque[int] = deque()
        self._done: set[int] = set()
        self._settled: int | None = None

    @property
    def settled(self) -> int | None:
        """The offset to go on from; None before anything is settled."""
        return self._settled

    def hand_out(self, offset: int) -> None:
        """Note a message; one that is at or before an earlier one means that it comes again."""
        while self._outstanding and self._outstanding[-1] >= offset:
            self._done.discard(self._outstanding.pop())
        if self._settled is not None and offset < self._settled:
            self._settled = None
        self._outstanding.append(offset)

    def done(self, offset: int) -> None:
        """Note that the effect of a message is safe; unknown offsets mean nothing."""
        if not self._outstanding or not self._outstanding[0] <= offset <= self._outstanding[-1]:
            return
        self._done.add(offset)
        while self._outstanding and self._outstanding[0] in self._done:
            settled = self._outstanding.popleft()
            self._done.discard(settled)
            self._settled = settled + 1


def event_headers(event: Event) -> dict[str, str]:
    """Return what a consumer may want to know without reading the body."""
    headers = {
        "event-id": event.id,
        "event-type": event.type.value,
        "schema-version": str(EVENT_SCHEMA_VERSION),
    }
    if event.trace is not None:
        headers["traceparent"] = event.trace
    return headers


def dead_letter_headers(message: Message, reason: str, at: datetime) -> dict[str, str]:
    """Return the headers of a message that is parked: its own, and why it lies there."""
    return {
        **parked_body(message)[1],
        "dlq-reason": reason[:REASON_LENGTH_MAX],
        "dlq-topic": message.topic,
        "dlq-partition": str(message.partition),
        "dlq-offset": str(message.offset),
        "dlq-at": at.isoformat().replace("+00:00", "Z"),
    }


def parked_body(message: Message) -> tuple[bytes | None, dict[str, str]]:
    """Return what is kept of a message that is parked: its body and its own headers.

    What no topic with the usual limit of a megabyte would take is left out, and its size noted: a
    dead letter that cannot be kept would hold up everything behind it.
    """
    body, headers = message.body, dict(message.headers)
    if sum(len(name) + len(value) for name, value in headers.items()) > PARKED_HEADERS_MAX:
        headers = {"dlq-headers-left-out": str(len(headers))}
    if body is not None and len(body) > PARKED_BYTES_MAX:
        headers["dlq-body-left-out"] = str(len(body))
        body = None
    return body, headers


def replay_headers(parked: Mapping[str, str]) -> dict[str, str]:
    """Return the headers a parked message goes back with: its own, and that it was here before."""
    own = {name: value for name, value in parked.items() if name not in _DEAD_LETTER_HEADERS}
    return {**own, "replayed": "1"}
