"""Sequence numbers continue the locked heads, one feed at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from application.storing.sequencing import Sequencer
from domain.events import EventType
from domain.link import Link
from domain.memory import Kind, Memory, MemoryId
from domain.namespace import Namespace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def memory(id: str, namespace: str) -> Memory:
    return Memory(
        id=MemoryId(id),
        namespace=Namespace(namespace),
        kind=Kind.EPISODIC,
        content=id,
        content_hash=id,
        created_at=NOON,
        updated_at=NOON,
        version=3,
        seq=1,
    )


def sequencer(**heads: int) -> Sequencer:
    ids = count(1)
    return Sequencer(
        {Namespace(path): head for path, head in heads.items()}, NOON, lambda: f"e{next(ids)}"
    )


def test_numbers_continue_each_head_by_itself() -> None:
    numbers = sequencer(a=4, b=0)
    one, other = memory("m", "a"), memory("n", "b")
    assert numbers.note(one, EventType.REMEMBERED) == 5
    assert numbers.note(other, EventType.REMEMBERED) == 1
    assert numbers.note(one, EventType.REVISED, changed=("tags",)) == 6
    assert [(e.namespace, e.seq, e.id) for e in numbers.events] == [
        ("a", 5, "e1"),
        ("b", 1, "e2"),
        ("a", 6, "e3"),
    ]
    assert numbers.events[2].changed == ("tags",)
    assert {e.version for e in numbers.events} == {3}


def test_a_link_is_told_in_the_feeds_of_both_ends_and_once_where_they_are_one() -> None:
    numbers = sequencer(a=4, b=7)
    link = Link(source=MemoryId("m"), target=MemoryId("n"), type="t", created_at=NOON, seq=0)
    assert numbers.note_link(link, memory("m", "a"), memory("n", "b"), EventType.LINKED) == 5
    assert [(e.namespace, e.seq) for e in numbers.events] == [("a", 5), ("b", 8)]
    assert {(e.memory_id, e.link_target, e.link_type) for e in numbers.events} == {("m", "n", "t")}
    assert numbers.note_link(link, memory("m", "a"), memory("n", "a"), EventType.UNLINKED) == 6
    assert len(numbers.events) == 3


def test_the_heads_that_were_locked_are_left_as_they_are() -> None:
    heads = {Namespace("a"): 4}
    Sequencer(heads, NOON, lambda: "e").next(Namespace("a"))
    assert heads == {"a": 4}
