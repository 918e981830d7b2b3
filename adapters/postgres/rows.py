# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Memories as rows and back. Built for reading hundreds of rows per recall."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.postgres.arrays import texts
from domain.memory import Kind, Memory, MemoryId, Payload, Source
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import Facts, IndexedVector
from domain.vector import Vector

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = tuple[Any, ...]

#: What a memory consists of, but for its id and namespace, in the order of `values_of`.
COLUMNS = (
    "kind", "level", "version", "seq", "importance", "pinned", "created_at", "updated_at",
    "happened_at", "occurred_at", "valid_from", "valid_to", "expires_at", "actor", "session",
    "content_hash", "coordinate", "tags", "payload", "content",
)  # fmt: skip

#: Selects what `memory_of` reads; needs `memories m` and `namespaces n`.
SELECTED = "m.id, n.path, " + ", ".join(f"m.{column}" for column in COLUMNS)

#: Selects what `facts_of` reads; needs `memories m`.
FACTS = "m.kind, m.level, m.tags, m.actor, m.session, m.happened_at, m.coordinate, m.payload"

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_KINDS = {kind.value: kind for kind in Kind}
_NOBODY = Source()
# From here on floats are whole numbers, and their shortest spelling is not their value.
_WHOLE = 2.0**53
# Every such float is written with 16 digits or more, or with a positive exponent.
_LONG_NUMBER = re.compile(r"\d{16}|\de\+")
_TAGS = COLUMNS.index("tags")
_PAYLOAD = COLUMNS.index("payload")


def micros(moment: datetime) -> int:
    """Return microseconds since the Unix epoch, exactly."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def optional_micros(moment: datetime | None) -> int | None:
    """Return microseconds since the Unix epoch, or None."""
    return None if moment is None else micros(moment)


def moment_of(value: int) -> datetime:
    """Return the UTC time of microseconds since the Unix epoch, exactly."""
    return EPOCH + timedelta(microseconds=value)


def optional_moment(value: int | None) -> datetime | None:
    """Return the UTC time, or None."""
    return None if value is None else EPOCH + timedelta(microseconds=value)


def to_json(value: object) -> str:
    """Return compact JSON; integers of any size and every float survive."""
    return _ENCODER.encode(value)


def exact_json(value: object) -> str:
    """Return JSON whose numbers, read as decimals, compare as the floats and integers given do.

    Below 2^53 the shortest spelling of a float keeps its place among all numbers; above, a float
    is a whole number and written out as one.
    """
    return to_json(_exact(value))


def _exact(value: object) -> object:
    if isinstance(value, float):
        return int(value) if abs(value) >= _WHOLE else value
    if isinstance(value, Mapping):
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(part) for part in value]
    return value


def storable(texts: Iterable[str]) -> list[str]:
    """Return the texts that can be sent: nothing stored holds a NUL or a lone surrogate."""
    return [text for text in texts if "\x00" not in text and _encodes(text)]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def values_of(memory: Memory) -> Row:
    """Return the values of `COLUMNS`."""
    return (
        memory.kind.value,
        memory.level,
        memory.version,
        memory.seq,
        memory.importance,
        memory.pinned,
        micros(memory.created_at),
        micros(memory.updated_at),
        micros(memory.happened_at),
        optional_micros(memory.occurred_at),
        optional_micros(memory.valid_from),
        optional_micros(memory.valid_to),
        optional_micros(memory.expires_at),
        memory.source.actor,
        memory.source.session,
        memory.content_hash,
        None if memory.coordinate is None else place_of(memory.coordinate),
        list(memory.tags),
        to_json(memory.payload) if memory.payload else "{}",
        memory.content,
    )


def sent_values_of(memory: Memory) -> Row:
    """Return `facts` and the values of `COLUMNS`, in the forms that are sent fastest."""
    values = values_of(memory)
    before, after = values[:_TAGS], values[_TAGS + 1 :]
    return (_facts(memory.payload, values[_PAYLOAD]), *before, texts(memory.tags), *after)


def place_of(coordinate: Sequence[float]) -> list[float]:
    """Return a coordinate with -0.0 read as 0.0: equal places are equal."""
    return [float(axis) + 0.0 for axis in coordinate]


def _facts(payload: Payload, encoded: str) -> str:
    """Return the payload in the form that filters look at: mostly as it is encoded anyway."""
    return exact_json(payload) if _LONG_NUMBER.search(encoded) else encoded


def memory_of(row: Row) -> Memory:
    """Build a memory from a row of `SELECTED`."""
    (
        id, path, kind, level, version, seq, importance, pinned, created_at, updated_at, _,
        occurred_at, valid_from, valid_to, expires_at, actor, session, content_hash, coordinate,
        tags, payload, content,
    ) = row  # fmt: skip
    return Memory(
        id=MemoryId(id),
        namespace=Namespace(path),
        kind=_KINDS[kind],
        content=content,
        content_hash=content_hash,
        created_at=moment_of(created_at),
        updated_at=moment_of(updated_at),
        version=version,
        seq=seq,
        level=level,
        payload={} if payload == "{}" else json.loads(payload),
        tags=tuple(tags),
        coordinate=None if coordinate is None else tuple(coordinate),
        importance=importance,
        pinned=pinned,
        occurred_at=optional_moment(occurred_at),
        valid_from=optional_moment(valid_from),
        valid_to=optional_moment(valid_to),
        expires_at=optional_moment(expires_at),
        source=_NOBODY
        if actor is None and session is None
        else Source(actor=actor, session=session),
    )


def facts_of(row: Row) -> Facts:
    """Build what filters look at from a row of `FACTS`."""
    kind, level, tags, actor, session, happened_at, coordinate, payload = row
    return Facts(
        kind=kind,
        level=level,
        tags=tuple(tags),
        actor=actor,
        session=session,
        happened_at=happened_at,
        coordinate=None if coordinate is None else tuple(coordinate),
        payload=payload,
    )


def body_of(values: Sequence[object]) -> str:
    """Return the values of `COLUMNS` as the body of a history entry, independent of their order."""
    return to_json(dict(zip(COLUMNS, values, strict=True)))


def memory_of_body(id: str, path: str, body: str) -> Memory:
    """Build an earlier version from its body."""
    values: Mapping[str, object] = json.loads(body)
    return memory_of((id, path, *(values[column] for column in COLUMNS)))


def indexed_of(row: Row) -> IndexedVector:
    """Build the vectors of a memory from its id, vectors, times and facts."""
    id, own, context, valid_from, valid_to, expires_at, *facts = row
    return IndexedVector(
        MemoryId(id),
        None if own is None else Vector(bytes(own)),
        None if context is None else Vector(bytes(context)),
        (
            _seconds(valid_from, -math.inf),
            _seconds(valid_to, math.inf),
            _seconds(expires_at, math.inf),
        ),
        facts_of(tuple(facts)),
    )


def _seconds(value: int | None, absent: float) -> float:
    return absent if value is None else value / 1_000_000


def scope_sql(scope: Scope, path: str = "path") -> tuple[str, list[object]]:
    """Return a condition on a namespace path column and its parameters.

    A subtree is a range of the index: `0` is the character after `/`.
    """
    if scope.kind is ScopeKind.EXACT:
        return f"{path} = %s", [scope.namespace]
    return (
        f"({path} = %s OR ({path} >= %s AND {path} < %s))",
        [scope.namespace, f"{scope.namespace}/", f"{scope.namespace}0"],
    )


def within_sql(scope: Scope, column: str = "m.namespace_id") -> tuple[str, list[object]]:
    """Return a condition on a namespace id column and its parameters."""
    condition, parameters = scope_sql(scope)
    operator = "=" if scope.kind is ScopeKind.EXACT else "IN"
    return f"{column} {operator} (SELECT id FROM namespaces WHERE {condition})", parameters
