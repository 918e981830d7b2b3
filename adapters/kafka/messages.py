"""Messages of the core and their form in Kafka.

Keys and headers of others may be any bytes: what is no UTF-8 is carried as surrogates, so that a
message which is parked and replayed is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from adapters.kafka.producer import Record
from domain.messaging import Message

if TYPE_CHECKING:
    from confluent_kafka import Message as KafkaMessage

_HOW = "surrogateescape"


def received(message: KafkaMessage, topic: str) -> Message:
    """Return a message as the core knows it; of several headers with one name the last counts."""
    key, headers = message.key(), message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Message(
        topic=topic,
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=None if key is None else key.decode(errors=_HOW),
        body=message.value(),
        headers={name: _text(value) for name, value in pairs},
    )


def record(topic: str, key: str | None, body: bytes | None, headers: Mapping[str, str]) -> Record:
    """Return what is sent to a topic of the cluster."""
    return Record(
        topic,
        None if key is None else key.encode(errors=_HOW),
        body,
        [(name, value.encode(errors=_HOW)) for name, value in headers.items()],
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors=_HOW) if isinstance(value, bytes) else value or ""
