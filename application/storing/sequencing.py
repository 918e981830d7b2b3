"""Give events their place in the change feeds that a transaction has locked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from application.tracing import current_trace
from domain.events import Event, EventType
from domain.link import Link
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace


class Sequencer:
    """Collects the events of one transaction, in order, with the next sequence numbers."""

    def __init__(
        self, heads: dict[Namespace, int], at: datetime, new_event_id: Callable[[], str]
    ) -> None:
        self._heads = dict(heads)
        self._at = at
        self._new_event_id = new_event_id
        self.events: list[Event] = []
        #: Which trace a memory belongs to, where it is not that of the present work.
        self.traces: Mapping[MemoryId, str | None] = {}

    def note(self, memory: Memory, type: EventType, *, changed: tuple[str, ...] = ()) -> int:
        """Record what happened to a memory and return its sequence number."""
        seq = self.next(memory.namespace)
        self.events.append(
            Event(
                id=self._new_event_id(),
                namespace=memory.namespace,
                seq=seq,
                type=type,
                memory_id=memory.id,
                version=memory.version,
                at=self._at,
                changed=changed,
                trace=self._trace(memory.id),
            )
        )
        return seq

    def note_link(self, link: Link, source: Memory, target: Memory, type: EventType) -> int:
        """Record a link in the feeds of both ends; return the number in the source's."""
        numbers = {}
        for namespace in dict.fromkeys((source.namespace, target.namespace)):
            numbers[namespace] = self.next(namespace)
            self.events.append(
                Event(
                    id=self._new_event_id(),
                    namespace=namespace,
                    seq=numbers[namespace],
                    type=type,
                    memory_id=link.source,
                    version=source.version,
                    at=self._at,
                    link_target=link.target,
                    link_type=link.type,
                    trace=self._trace(source.id),
                )
            )
        return numbers[source.namespace]

    def _trace(self, id: MemoryId) -> str | None:
        return self.traces[id] if id in self.traces else current_trace()

    def next(self, namespace: Namespace) -> int:
        """Take the next number of a namespace."""
        self._heads[namespace] += 1
        return self._heads[namespace]
