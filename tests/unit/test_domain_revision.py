"""From a draft to a memory, and from version to version."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from domain.draft import Changes, Draft
from domain.errors import InvalidInput
from domain.memory import Kind, Limits, Memory, MemoryId, Source
from domain.namespace import NamespacePolicy
from domain.revision import (
    Checks,
    changed_fields,
    new_memory,
    revised,
    stored_again,
    text_changed,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
NOW = Checks(Limits(), NOON)
THEN = Checks(Limits(), LATER)
PLAIN = NamespacePolicy()
SHORT = NamespacePolicy(default_ttl_seconds=60)


def fresh(draft: Draft, policy: NamespacePolicy = PLAIN) -> Memory:
    return new_memory(draft, id=MemoryId("m"), checks=NOW, policy=policy)


def test_a_draft_becomes_version_one_with_the_documented_defaults() -> None:
    memory = fresh(Draft(content="tea"))
    assert (memory.namespace, memory.kind, memory.version, memory.level) == (
        "default",
        Kind.EPISODIC,
        1,
        0,
    )
    assert (memory.importance, memory.pinned, memory.tags, memory.payload) == (1.0, False, (), {})
    assert memory.created_at == memory.updated_at == NOON
    assert memory.expires_at is None


def test_the_life_of_a_memory_comes_from_the_caller_before_the_policy() -> None:
    assert fresh(Draft(content="a", ttl_seconds=5)).expires_at == NOON + timedelta(seconds=5)
    assert fresh(Draft(content="a"), SHORT).expires_at == NOON + timedelta(seconds=60)
    assert fresh(Draft(content="a", ttl_seconds=5), SHORT).expires_at == NOON + timedelta(seconds=5)
    assert fresh(Draft(content="a", expires_at=LATER), SHORT).expires_at == LATER


@pytest.mark.parametrize("ttl", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_a_life_without_an_end_in_sight_is_refused(ttl: float) -> None:
    with pytest.raises(InvalidInput, match=r"^ttl_seconds: "):
        fresh(Draft(content="a", ttl_seconds=ttl))


def test_two_ways_to_say_the_end_at_once_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^ttl_seconds: .*expires_at"):
        fresh(Draft(content="a", ttl_seconds=5, expires_at=LATER))
    with pytest.raises(InvalidInput, match=r"^ttl_seconds: "):
        revised(fresh(Draft(content="a")), Changes(ttl_seconds=5, expires_at=LATER), checks=NOW)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft(content=" "), "content"),
        (Draft(content="a", namespace="a//b"), "namespace"),
        (Draft(content="a", occurred_at=NOON.replace(tzinfo=None)), "occurred_at"),
        (Draft(content="a", valid_from=LATER, valid_to=NOON), "valid_to"),
        (Draft(content="a", tags=["\x00"]), "tags[0]"),
        (Draft(content="a", coordinate=[math.nan]), "coordinate[0]"),
        (Draft(content="a", importance=-1), "importance"),
        (Draft(content="a", payload={"a": math.nan}), "payload"),
        (Draft(content="a", source=Source(actor="")), "source.actor"),
        (Draft(content="a", source=Source(session="x" * 513)), "source.session"),
    ],
)
def test_a_bad_draft_is_refused_by_the_name_of_its_field(draft: Draft, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        fresh(draft)
    assert refusal.value.field == field


def test_storing_the_same_again_changes_nothing() -> None:
    draft = Draft(content="tea", tags=["b", "a"], payload={"x": 1}, importance=2, source=Source())
    memory = fresh(draft)
    assert stored_again(memory, draft, checks=THEN, policy=PLAIN) is memory


def test_storing_again_with_other_fields_is_a_new_version() -> None:
    memory = fresh(Draft(content="tea", tags=["a"]))
    again = stored_again(memory, Draft(content="tea", pinned=True), checks=THEN, policy=PLAIN)
    assert (again.version, again.pinned, again.tags, again.updated_at) == (2, True, ("a",), LATER)
    assert again.created_at == NOON


def test_what_had_expired_lives_again_when_stored_again() -> None:
    draft = Draft(content="tea")
    memory = fresh(Draft(content="tea", ttl_seconds=60))
    assert stored_again(memory, draft, checks=NOW, policy=PLAIN) is memory
    assert stored_again(memory, draft, checks=THEN, policy=PLAIN).expires_at is None
    renewed = stored_again(memory, draft, checks=THEN, policy=SHORT)
    assert renewed.expires_at == LATER + timedelta(seconds=60)


def test_a_revision_names_what_changed_and_keeps_the_rest() -> None:
    memory = fresh(Draft(content="tea", tags=["a"], occurred_at=NOON))
    after = revised(memory, Changes(content="coffee", tags=None), checks=THEN)
    assert changed_fields(memory, after) == ("content", "tags")
    assert (after.version, after.occurred_at, after.tags) == (2, NOON, ())
    assert after.content_hash != memory.content_hash


def test_a_revision_to_the_same_values_is_no_revision() -> None:
    memory = fresh(Draft(content="tea", payload={"a": 1}, expires_at=LATER))
    same = Changes(content="tea", payload={"a": 1}, expires_at=LATER)
    assert revised(memory, same, checks=THEN) is memory
    assert revised(memory, Changes(), checks=THEN) is memory


def test_numbers_that_differ_in_json_differ_here() -> None:
    memory = fresh(Draft(content="tea", payload={"a": 1}))
    for value in (True, 1.0):
        assert revised(memory, Changes(payload={"a": value}), checks=THEN).version == 2


def test_null_clears_what_may_be_empty_and_nothing_else() -> None:
    memory = fresh(
        Draft(
            content="tea",
            importance=3,
            pinned=True,
            coordinate=[1],
            valid_to=LATER,
            ttl_seconds=60,
            source=Source(actor="ann"),
        )
    )
    after = revised(
        memory,
        Changes(
            importance=None,
            pinned=None,
            coordinate=None,
            valid_to=None,
            expires_at=None,
            source=None,
            payload=None,
        ),
        checks=NOW,
    )
    assert (after.importance, after.pinned, after.coordinate) == (1.0, False, None)
    assert (after.valid_to, after.expires_at, after.source) == (None, None, Source())
    for name in ("content", "kind"):
        with pytest.raises(InvalidInput, match=rf"^{name}: "):
            revised(memory, Changes(**cast("dict[str, str]", {name: None})), checks=NOW)  # type: ignore[arg-type]


def test_a_new_life_counts_from_the_revision() -> None:
    memory = fresh(Draft(content="tea", ttl_seconds=60))
    after = revised(memory, Changes(ttl_seconds=60), checks=THEN)
    assert after.expires_at == LATER + timedelta(seconds=60)
    assert revised(memory, Changes(ttl_seconds=None), checks=THEN).expires_at is None


def test_validity_is_checked_against_what_stays() -> None:
    memory = fresh(Draft(content="tea", valid_from=LATER))
    with pytest.raises(InvalidInput, match=r"^valid_to: "):
        revised(memory, Changes(valid_to=NOON), checks=NOW)


def test_only_content_time_and_source_change_the_indexed_texts() -> None:
    assert text_changed(("content",))
    assert text_changed(("occurred_at", "tags"))
    assert text_changed(("source",))
    assert not text_changed(("tags", "importance", "coordinate", "valid_to"))
