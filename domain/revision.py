"""From a draft to a memory, and from one version of a memory to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import cast

from domain.draft import Changes, Draft
from domain.errors import InvalidInput
from domain.memory import (
    Kind,
    Limits,
    Memory,
    MemoryId,
    Payload,
    Source,
    check_content,
    check_coordinate,
    check_importance,
    check_payload,
    check_tags,
    check_time,
    check_validity,
    checked_text,
    content_hash,
)
from domain.namespace import NamespacePolicy, parse_namespace

_TEXT_FIELDS = frozenset({"content", "occurred_at", "source"})
ID_LENGTH_MAX = 64
NUMBER_MAX = 2**31 - 1
SOURCE_LENGTH_MAX = 512
_NOBODY = Source()
_BOOKKEEPING = frozenset({"id", "version", "seq", "updated_at", "created_at", "content_hash"})


@dataclass(frozen=True, slots=True)
class Checks:
    """What a new value is measured against."""

    limits: Limits
    now: datetime


def new_memory(draft: Draft, *, id: MemoryId, checks: Checks, policy: NamespacePolicy) -> Memory:
    """Check a draft and make version 1 of a memory of it (`seq` is given at the commit)."""
    # Field by field, in the order of `_checked`: every import comes this way, and a memory built
    # once costs a fifth of one that is changed step by step.
    expires_at = _expiry(draft, checks.now)
    occurred_at = check_time(draft.occurred_at, "occurred_at")
    valid_from = check_time(draft.valid_from, "valid_from")
    valid_to = check_time(draft.valid_to, "valid_to")
    expires_at = check_time(expires_at, "expires_at") or _default_expiry(policy, checks.now)
    content = check_content(draft.content, checks.limits)
    payload = check_payload(draft.payload, checks.limits) if draft.payload else {}
    tags = check_tags(draft.tags) if draft.tags else ()
    coordinate = check_coordinate(draft.coordinate)
    importance = 1.0 if draft.importance is None else check_importance(draft.importance)
    source = _NOBODY if draft.source is None else _check_source(draft.source)
    kind = Kind.EPISODIC if draft.kind is None else draft.kind
    check_validity(valid_from, valid_to)
    return Memory(
        id=id,
        namespace=parse_namespace(draft.namespace),
        kind=kind,
        content=content,
        content_hash=content_hash(
            content=content,
            kind=kind,
            valid_from=valid_from,
            valid_to=valid_to,
            occurred_at=occurred_at,
            source=source,
        ),
        created_at=checks.now,
        updated_at=checks.now,
        version=1,
        seq=0,
        payload=payload,
        tags=tags,
        coordinate=coordinate,
        importance=importance,
        pinned=bool(draft.pinned),
        occurred_at=occurred_at,
        valid_from=valid_from,
        valid_to=valid_to,
        expires_at=expires_at,
        source=source,
    )


def stored_again(
    memory: Memory, draft: Draft, *, checks: Checks, policy: NamespacePolicy
) -> Memory:
    """Return `memory` with what the draft gives anew; the same object when nothing differs.

    A memory that had expired lives again: a caller who stores something expects to find it.
    """
    given = _checked(_given(draft), checks)
    if "expires_at" not in given and memory.expires_at and memory.expires_at <= checks.now:
        given["expires_at"] = _default_expiry(policy, checks.now)
    return next_version(memory, given, now=checks.now)


def revised(memory: Memory, changes: Changes, *, checks: Checks) -> Memory:
    """Return the next version of a memory; the same object when nothing differs."""
    given = changes.given()
    given.pop("vector", None)
    for name in ("content", "kind"):
        if name in given and given[name] is None:
            raise InvalidInput(name, "cannot be null")
    return next_version(memory, _checked(given, checks), now=checks.now)


def imported_memory(memory: Memory, limits: Limits) -> Memory:
    """Check an exported memory as strictly as a new one: the file may come from anywhere."""
    if not 1 <= len(memory.id) <= ID_LENGTH_MAX or not memory.id.replace("-", "").isalnum():
        raise InvalidInput("memory.id", "is not an id")
    for name, number, least in (
        ("memory.version", memory.version, 1),
        ("memory.level", memory.level, 0),
    ):
        if not least <= number <= NUMBER_MAX:
            raise InvalidInput(name, f"must be {least} to {NUMBER_MAX}")
    check_content(memory.content, limits)
    return _completed(
        replace(
            memory,
            namespace=parse_namespace(memory.namespace, "memory.namespace"),
            payload=check_payload(memory.payload, limits, "memory.payload"),
            tags=check_tags(memory.tags),
            coordinate=check_coordinate(memory.coordinate, "memory.coordinate"),
            importance=check_importance(memory.importance),
            source=_check_source(memory.source),
        )
    )


def next_version(memory: Memory, given: Mapping[str, object], *, now: datetime) -> Memory:
    """Return a copy with the fields given, one version on, unless all of them are the same."""
    candidate = _completed(replace(memory, **given))  # type: ignore[arg-type]
    if not changed_fields(memory, candidate):
        return memory
    return replace(candidate, version=memory.version + 1, updated_at=now)


def changed_fields(before: Memory, after: Memory) -> tuple[str, ...]:
    """Name the fields that differ, bookkeeping aside."""
    names = (f.name for f in fields(Memory) if f.name not in _BOOKKEEPING)
    return tuple(sorted(n for n in names if not _same(getattr(before, n), getattr(after, n))))


def text_changed(changed: tuple[str, ...]) -> bool:
    """Tell whether the indexed texts must be made anew after these fields changed."""
    return not _TEXT_FIELDS.isdisjoint(changed)


def _same(before: object, after: object) -> bool:
    # 1 == True and 1 == 1.0 in Python, but not in JSON: compare what would be stored.
    return before == after and repr(before) == repr(after)


def _given(draft: Draft) -> dict[str, object]:
    skipped = {"namespace", "vector", "links", "deduplicate"}
    names = (f.name for f in fields(Draft) if f.name not in skipped)
    return {n: getattr(draft, n) for n in names if getattr(draft, n) is not None}


def _completed(memory: Memory) -> Memory:
    check_validity(memory.valid_from, memory.valid_to)
    identity = content_hash(
        content=memory.content,
        kind=memory.kind,
        valid_from=memory.valid_from,
        valid_to=memory.valid_to,
        occurred_at=memory.occurred_at,
        source=memory.source,
    )
    return replace(memory, content_hash=identity)


def _expiry(draft: Draft, now: datetime) -> datetime | None:
    if draft.ttl_seconds is None:
        return draft.expires_at
    if draft.expires_at is not None:
        raise InvalidInput("ttl_seconds", "cannot be given together with expires_at")
    return _after(now, draft.ttl_seconds, "ttl_seconds")


def _default_expiry(policy: NamespacePolicy, now: datetime) -> datetime | None:
    if policy.default_ttl_seconds is None:
        return None
    return _after(now, policy.default_ttl_seconds, "default_ttl_seconds")


def _checked(given: Mapping[str, object], checks: Checks) -> dict[str, object]:
    """Check each given value and return what a Memory keeps of it; None means its default."""
    values = dict(given)
    if "ttl_seconds" in values:
        _apply_ttl(values, checks.now)
    for name in ("occurred_at", "valid_from", "valid_to", "expires_at"):
        if name in values:
            values[name] = check_time(cast("datetime | None", values[name]), name)
    if "content" in values:
        check_content(cast(str, values["content"]), checks.limits)
    if "payload" in values:
        values["payload"] = check_payload(cast(Payload, values["payload"] or {}), checks.limits)
    if "tags" in values:
        values["tags"] = check_tags(cast("list[str]", values["tags"] or []))
    if "coordinate" in values:
        values["coordinate"] = check_coordinate(cast("list[float] | None", values["coordinate"]))
    if "importance" in values:
        importance = values["importance"]
        values["importance"] = check_importance(
            1.0 if importance is None else cast(float, importance)
        )
    if "pinned" in values:
        values["pinned"] = bool(values["pinned"])
    if "source" in values:
        values["source"] = _check_source(cast("Source | None", values["source"]))
    return values


def _check_source(source: Source | None) -> Source:
    source = source or Source()
    for name, text in (("source.actor", source.actor), ("source.session", source.session)):
        if text is not None and not 1 <= len(checked_text(text, name)) <= SOURCE_LENGTH_MAX:
            raise InvalidInput(name, f"must have 1 to {SOURCE_LENGTH_MAX} characters")
    return source


def _apply_ttl(values: dict[str, object], now: datetime) -> None:
    ttl = values.pop("ttl_seconds")
    if values.get("expires_at") is not None and ttl is not None:
        raise InvalidInput("ttl_seconds", "cannot be given together with expires_at")
    if ttl is not None:
        values["expires_at"] = _after(now, cast(float, ttl), "ttl_seconds")
    else:
        values.setdefault("expires_at", None)


def _after(now: datetime, seconds: float, field: str) -> datetime:
    if not math.isfinite(seconds) or seconds <= 0:
        raise InvalidInput(field, "must be a finite number above 0")
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError as error:
        raise InvalidInput(field, "is too large") from error
