"""Events as JSON, schema version 1: the contract with consumers (docs/events.schema.json)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from domain.delivery import EVENT_SCHEMA_VERSION
from domain.events import Event


class _Link(msgspec.Struct, frozen=True):
    target: str
    type: str


class _Body(msgspec.Struct, frozen=True, omit_defaults=True):
    schema: int
    id: str
    type: str
    namespace: str
    seq: int
    epoch: str
    memory_id: str
    version: int
    at: datetime
    changed: tuple[str, ...]
    link: _Link | None = None


_encoder = msgspec.json.Encoder()


def encode_event(event: Event, epoch: str) -> bytes:
    """Return the body of an event; it holds ids and names of fields, never content."""
    link = None
    if event.link_target is not None and event.link_type is not None:
        link = _Link(event.link_target, event.link_type)
    return _encoder.encode(
        _Body(
            schema=EVENT_SCHEMA_VERSION,
            id=event.id,
            type=event.type.value,
            namespace=event.namespace,
            seq=event.seq,
            epoch=epoch,
            memory_id=event.memory_id,
            version=event.version,
            at=event.at.astimezone(UTC),
            changed=event.changed,
            link=link,
        )
    )
