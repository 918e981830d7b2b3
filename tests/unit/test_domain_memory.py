"""What a memory accepts, refuses, and is identified by."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput, TooLarge
from domain.memory import (
    Kind,
    Limits,
    Source,
    check_content,
    check_coordinate,
    check_importance,
    check_payload,
    check_tags,
    check_time,
    check_validity,
    content_hash,
)
from domain.namespace import NamespacePolicy, Scope, ScopeKind, ancestors, parse_namespace, root_of
from domain.vector import unit_vector

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(content_bytes=20, payload_bytes=40)


@pytest.mark.parametrize(
    "path",
    ["default", "acme/support/alice", "a@b.c:d+e=f-g_h", "/".join("x" * 16), "x" * 128, "..."],
)
def test_a_namespace_path_is_kept_as_written(path: str) -> None:
    assert parse_namespace(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "a/..",
        "a b",
        "a\n",
        "ä",
        "a\x00",
        "x" * 129,
        "/".join("x" * 17),
        "a*",
        "a%",
    ],
)
def test_a_bad_namespace_is_refused_under_the_name_of_its_field(path: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_namespace(path, "source.namespace")
    assert refusal.value.field == "source.namespace"


def test_a_subtree_holds_what_is_below_it_and_not_what_only_begins_alike() -> None:
    subtree = Scope(parse_namespace("acme"), ScopeKind.SUBTREE)
    inside = [
        path
        for path in ("acme", "acme/a", "acme2", "acmee/a", "x/acme")
        if subtree.contains(parse_namespace(path))
    ]
    assert inside == ["acme", "acme/a"]
    assert not Scope(parse_namespace("acme")).contains(parse_namespace("acme/a"))
    assert root_of(parse_namespace("a/b/c")) == "a"
    assert ancestors(parse_namespace("a/b/c")) == ("a/b/c", "a/b", "a")


def test_a_policy_inherits_only_what_it_does_not_set_itself() -> None:
    above = NamespacePolicy(
        half_life_days=30, default_ttl_seconds=60, weights={"date": 1.0}, signals={"date": False}
    )
    own = NamespacePolicy(half_life_days=2, weights={"session": 0.5})
    assert own.over(above) == NamespacePolicy(
        half_life_days=2,
        default_ttl_seconds=60,
        weights={"date": 1.0, "session": 0.5},
        signals={"date": False},
    )


def test_the_content_hash_is_the_sha256_of_what_makes_the_identity() -> None:
    text = json.dumps(["hi", "semantic", None, None, NOON.isoformat(), "ann", None])
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert expected == content_hash(
        content="hi",
        kind=Kind.SEMANTIC,
        valid_from=None,
        valid_to=None,
        occurred_at=NOON.astimezone(timezone(timedelta(hours=5))),
        source=Source(actor="ann"),
    )


def test_every_part_of_the_identity_changes_the_content_hash() -> None:
    later = NOON + timedelta(seconds=1)
    variants: list[tuple[str, Kind, datetime | None, datetime | None, datetime | None, Source]] = [
        ("a", Kind.EPISODIC, None, None, None, Source()),
        ("b", Kind.EPISODIC, None, None, None, Source()),
        ("a", Kind.PROCEDURAL, None, None, None, Source()),
        ("a", Kind.EPISODIC, NOON, None, None, Source()),
        ("a", Kind.EPISODIC, None, NOON, None, Source()),
        ("a", Kind.EPISODIC, None, None, NOON, Source()),
        ("a", Kind.EPISODIC, None, None, later, Source()),
        ("a", Kind.EPISODIC, None, None, None, Source(actor="x")),
        ("a", Kind.EPISODIC, None, None, None, Source(session="x")),
    ]
    hashes = {
        content_hash(
            content=content,
            kind=kind,
            valid_from=valid_from,
            valid_to=valid_to,
            occurred_at=occurred_at,
            source=source,
        )
        for content, kind, valid_from, valid_to, occurred_at, source in variants
    }
    assert len(hashes) == len(variants)


@pytest.mark.parametrize("content", ["", " \n\t", "a\x00b", "\ud800"])
def test_content_that_cannot_be_kept_is_refused(content: str) -> None:
    with pytest.raises(InvalidInput, match=r"^content: "):
        check_content(content, LIMITS)


def test_content_is_measured_in_bytes_and_may_fill_the_limit() -> None:
    assert check_content("ä" * 10, LIMITS) == "ä" * 10
    with pytest.raises(TooLarge, match=r"content: larger than the limit of 20 bytes"):
        check_content("ä" * 10 + "x", LIMITS)


@pytest.mark.parametrize(
    "payload",
    [
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": object()},
        {"a": "\x00"},
        {"a\x00": 1},
        {"a": "\ud800"},
        {"a": "\\\x00"},
    ],
)
def test_a_payload_that_is_not_json_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=r"^payload: "):
        check_payload(payload, Limits())


@pytest.mark.parametrize("text", [r"\u0000", r"\\u0000", "\\", r"a\\\u0000"])
def test_a_payload_may_spell_out_an_escape(text: str) -> None:
    assert check_payload({"a": text}, Limits()) == {"a": text}


def test_a_payload_nested_beyond_measure_is_refused() -> None:
    nested: dict[str, object] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    with pytest.raises(InvalidInput, match=r"^payload: "):
        check_payload(nested, Limits())
    while nested:  # taken apart by hand: the interpreter would recurse to free it
        nested = nested["a"]  # type: ignore[assignment]


def test_a_payload_beyond_the_limit_is_refused() -> None:
    assert check_payload({"a": "x" * 31}, LIMITS)
    with pytest.raises(TooLarge, match="payload"):
        check_payload({"a": "x" * 32}, LIMITS)


def test_tags_are_sorted_without_repetition_and_bad_ones_named_by_place() -> None:
    assert check_tags(["b", "a", "b"]) == ("a", "b")
    for tags, field in ((["a", ""], "tags[1]"), (["x" * 129], "tags[0]"), (["a"] * 65, "tags")):
        with pytest.raises(InvalidInput) as refusal:
            check_tags(tags)
        assert refusal.value.field == field


@pytest.mark.parametrize(
    ("coordinate", "field"),
    [
        ([], "box.min"),
        ([0.0] * 17, "box.min"),
        ([math.nan], "box.min[0]"),
        ([1.0, math.inf], "box.min[1]"),
    ],
)
def test_a_coordinate_needs_one_to_sixteen_finite_numbers(
    coordinate: list[float], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_coordinate(coordinate, "box.min")
    assert refusal.value.field == field


def test_minus_zero_is_the_same_place_as_zero() -> None:
    checked = check_coordinate([-0.0, 1])
    assert repr(checked) == "(0.0, 1.0)"


@pytest.mark.parametrize("importance", [-0.1, math.nan, math.inf])
def test_importance_is_finite_and_not_negative(importance: float) -> None:
    with pytest.raises(InvalidInput, match=r"^importance: "):
        check_importance(importance)


def test_times_are_kept_in_utc_and_need_an_offset() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    assert repr(check_time(east, "valid_to")) == repr(NOON)
    bad = (NOON.replace(tzinfo=None), datetime.min.replace(tzinfo=timezone(timedelta(hours=1))))
    for moment in bad:
        with pytest.raises(InvalidInput, match=r"^valid_to: "):
            check_time(moment, "valid_to")


def test_validity_must_end_after_it_begins() -> None:
    check_validity(NOON, NOON + timedelta(microseconds=1))
    for end in (NOON, NOON - timedelta(days=1)):
        with pytest.raises(InvalidInput, match=r"^valid_to: "):
            check_validity(NOON, end)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.nan], [math.inf, 1.0], [1e308] * 4])
def test_a_vector_without_a_direction_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match=r"^vector: "):
        unit_vector(values)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8).filter(lambda v: math.hypot(*v) > 0))
def test_a_given_vector_has_length_one_and_keeps_its_direction(values: list[float]) -> None:
    import array

    unit = array.array("f", unit_vector(values).data)
    assert math.hypot(*unit) == pytest.approx(1.0, abs=1e-5)
    norm = math.hypot(*values)
    assert list(unit) == pytest.approx([value / norm for value in values], abs=1e-6)


@pytest.mark.parametrize(
    ("check", "field"),
    [
        (lambda: InvalidInput("content", "is empty").within("memories[3]"), "memories[3].content"),
        (lambda: InvalidInput("vector", "x").within("a").within("b"), "b.a.vector"),
    ],
)
def test_a_refusal_seen_from_outside_has_a_longer_path(
    check: Callable[[], InvalidInput], field: str
) -> None:
    assert check().field == field
