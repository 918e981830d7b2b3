"""Ids that sort by time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from adapters.identifiers import Uuid7Source

_MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond() -> None:
    identifier = UUID(Uuid7Source(lambda: _MOMENT)())

    assert (7, RFC_4122) == (identifier.version, identifier.variant)
    assert int(_MOMENT.timestamp() * 1000) == identifier.int >> 80


def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    moments = [_MOMENT] * 1000 + [_MOMENT - timedelta(hours=1)] * 1000 + [_MOMENT] * 10
    source = Uuid7Source(iter(moments).__next__)

    identifiers = [source() for _ in moments]

    assert sorted(set(identifiers)) == identifiers


def test_ids_of_several_threads_never_repeat() -> None:
    source = Uuid7Source(lambda: _MOMENT)

    with ThreadPoolExecutor(4) as threads:
        identifiers = list(threads.map(lambda _: source(), range(2000)))

    assert len(set(identifiers)) == len(identifiers)


def test_ids_of_two_processes_differ() -> None:
    first, second = Uuid7Source(lambda: _MOMENT), Uuid7Source(lambda: _MOMENT)

    assert first() != second()
