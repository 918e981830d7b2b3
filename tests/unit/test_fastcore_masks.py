"""Masks of filters that are kept as long as a view is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from adapters.fastcore.facts import Columns, Mask
from adapters.fastcore.masks import Masks
from domain.filter import Filter, parse_where
from domain.ports import NO_FACTS

PAYLOADS: list[dict[str, object]] = [{"n": 1}, {"n": True}, {"n": 2}, {"n": 1.0}]


@pytest.fixture
def columns() -> Columns:
    made = Columns()
    made.extend(0, [replace(NO_FACTS, payload=json.dumps(payload)) for payload in PAYLOADS])
    return made


def asked(masks: Masks, columns: Columns, n: object) -> list[int]:
    mask: Mask = masks.of(columns, Filter(where=parse_where({"n": n})), len(PAYLOADS))
    return [int(row) for row in mask.nonzero()[0]]


def test_a_number_and_a_truth_value_are_filters_of_their_own(columns: Columns) -> None:
    masks = Masks()

    assert [0, 3] == asked(masks, columns, 1)
    assert [1] == asked(masks, columns, True)
    assert [0, 3] == asked(masks, columns, 1.0)


def test_the_same_filter_is_worked_out_once_whatever_the_time(
    columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = Masks()
    filter = Filter(where=parse_where({"n": 2}), valid_at=datetime(2026, 1, 1, tzinfo=UTC))
    first = masks.of(columns, filter, len(PAYLOADS))
    later = replace(filter, valid_at=datetime(2026, 1, 2, tzinfo=UTC))
    monkeypatch.setattr(Columns, "mask", None)

    assert masks.has(later)
    assert masks.of(columns, later, len(PAYLOADS)) is first


def test_only_the_last_few_are_kept(columns: Columns) -> None:
    masks = Masks()
    for n in range(10):
        asked(masks, columns, n)

    kept = [n for n in range(10) if masks.has(Filter(where=parse_where({"n": n})))]

    assert [6, 7, 8, 9] == kept
