"""The memory: one remembered thing, with its times, its version and where it came from."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

from domain.errors import InvalidInput, TooLarge
from domain.namespace import Namespace

MemoryId = NewType("MemoryId", str)
Payload = Mapping[str, object]

COORDINATE_AXES_MAX = 16
TAGS_MAX = 64
TAG_LENGTH_MAX = 128
#: Objects and lists inside one another, the payload itself being the first. Every library that a
#: payload passes on its way has a limit of its own; this is below all of them.
NESTING_MAX = 64
# A backslash that is itself escaped begins no escape: the text `\\u0000` holds no NUL.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_STRICT_JSON = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


class Kind(StrEnum):
    """What sort of thing is remembered."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who said or did it, and in which session."""

    actor: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The configured sizes above which a memory is refused, in bytes."""

    content_bytes: int = 64 * 1024
    payload_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One version of one remembered thing.

    `valid_from`/`valid_to` say when it is true (half-open); `expires_at` when it stops being
    returned; `occurred_at` when it happened; `seq` is its place in the namespace's change feed.
    """

    id: MemoryId
    namespace: Namespace
    kind: Kind
    content: str
    content_hash: str
    created_at: datetime
    updated_at: datetime
    version: int
    seq: int
    level: int = 0
    payload: Payload = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    coordinate: tuple[float, ...] | None = None
    importance: float = 1.0
    pinned: bool = False
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    source: Source = Source()

    @property
    def happened_at(self) -> datetime:
        """When it happened, or else when it was stored: the order within a session."""
        return self.occurred_at or self.created_at


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryVersion:
    """One entry of a memory's history: what Soma knew from `recorded_at` on, and from whom."""

    version: int
    recorded_at: datetime
    recorded_by: str
    memory: Memory
    forgotten_at: datetime | None = None


class Life(StrEnum):
    """What has become of a memory id."""

    UNKNOWN = "unknown"
    LIVE = "live"
    FORGOTTEN = "forgotten"
    ERASED = "erased"


def content_hash(
    *,
    content: str,
    kind: Kind,
    valid_from: datetime | None,
    valid_to: datetime | None,
    occurred_at: datetime | None,
    source: Source,
) -> str:
    """Return the identity of a memory's content: equal hashes mean the same memory."""
    times = [
        t.astimezone(UTC).isoformat() if t else None for t in (valid_from, valid_to, occurred_at)
    ]
    identity = [content, kind.value, *times, source.actor, source.session]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def check_content(content: str, limits: Limits) -> str:
    """Return `content`; raise `InvalidInput` or `TooLarge` when it cannot be remembered."""
    checked_text(content, "content")
    if not content.strip():
        raise InvalidInput("content", "is empty")
    if len(content.encode()) > limits.content_bytes:
        raise TooLarge("content", limit=limits.content_bytes, unit="bytes")
    return content


def check_payload(payload: Payload, limits: Limits, field_name: str = "payload") -> Payload:
    """Return `payload`; raise when it is not JSON or too large, naming `field_name`."""
    try:
        encoded = _STRICT_JSON.encode(payload).encode()
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise InvalidInput(field_name, "holds a value that is not JSON") from error
    except RecursionError as error:
        raise nested_too_deeply(field_name) from error
    # More brackets than levels are usual, fewer are proof: most payloads are not walked through.
    brackets = encoded.count(b"{") + encoded.count(b"[")
    if brackets > NESTING_MAX and is_nested_deeper(payload, NESTING_MAX):
        raise nested_too_deeply(field_name)
    if b"\\u0000" in encoded and _ESCAPED_NUL.search(encoded):
        raise InvalidInput(field_name, "holds a NUL character")
    if len(encoded) > limits.payload_bytes:
        raise TooLarge(field_name, limit=limits.payload_bytes, unit="bytes")
    return payload


def nested_too_deeply(field_name: str) -> InvalidInput:
    """Return the refusal of JSON with more levels than a memory may have."""
    return InvalidInput(field_name, f"is nested deeper than {NESTING_MAX} levels")


def is_nested_deeper(value: object, levels: int) -> bool:
    """Tell whether JSON has more than so many objects and lists inside one another."""
    waiting = [(value, levels)]
    while waiting:
        inside, left = waiting.pop()
        if not isinstance(inside, Mapping | list | tuple):
            continue
        if left == 0:
            return True
        parts = inside.values() if isinstance(inside, Mapping) else inside
        waiting += [(part, left - 1) for part in parts]
    return False


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags, sorted and without repetition."""
    if len(tags) > TAGS_MAX:
        raise InvalidInput("tags", f"holds {len(tags)} tags, at most {TAGS_MAX}")
    for index, tag in enumerate(tags):
        checked_text(tag, f"tags[{index}]")
        if not 1 <= len(tag) <= TAG_LENGTH_MAX:
            raise InvalidInput(f"tags[{index}]", f"must have 1 to {TAG_LENGTH_MAX} characters")
    return tuple(sorted(set(tags)))


def check_coordinate(
    coordinate: Sequence[float] | None, field_name: str = "coordinate"
) -> tuple[float, ...] | None:
    """Return 1 to 16 finite floats, with -0.0 read as 0.0 so that equal places are equal."""
    if coordinate is None:
        return None
    if not 1 <= len(coordinate) <= COORDINATE_AXES_MAX:
        raise InvalidInput(field_name, f"must have 1 to {COORDINATE_AXES_MAX} numbers")
    for index, axis in enumerate(coordinate):
        if not math.isfinite(axis):
            raise InvalidInput(f"{field_name}[{index}]", "must be a finite number")
    return tuple(float(axis) + 0.0 for axis in coordinate)


def check_importance(importance: float) -> float:
    """Return a finite number of at least 0."""
    if not math.isfinite(importance) or importance < 0:
        raise InvalidInput("importance", "must be a finite number of at least 0")
    return float(importance)


def check_time(value: datetime | None, field_name: str) -> datetime | None:
    """Return the time in UTC; a time without an offset is refused."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise InvalidInput(field_name, "has no UTC offset (write 2026-01-31T12:00:00Z)")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput(field_name, "is out of range") from error


def check_validity(valid_from: datetime | None, valid_to: datetime | None) -> None:
    """Refuse a validity that ends before it begins."""
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        raise InvalidInput("valid_to", "must be later than valid_from")


def checked_text(text: str, field_name: str) -> str:
    """Return `text`; refuse NUL and lone surrogates, which no store keeps faithfully."""
    if "\x00" in text:
        raise InvalidInput(field_name, "holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(field_name, "holds a lone surrogate") from error
    return text
