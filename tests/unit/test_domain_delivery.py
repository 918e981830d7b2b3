"""What a group may remember: never a place beyond a message that is not done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import Delivered, dead_letter_headers, replay_headers
from domain.messaging import INGEST_TOPIC, Message
from tests.contracts.event_logs import NOW


@given(offsets=st.lists(st.integers(0, 1000), unique=True, min_size=1).map(sorted), data=st.data())
def test_settled_is_what_follows_the_longest_stretch_that_is_done(
    offsets: list[int], data: st.DataObject
) -> None:
    delivered = Delivered()
    for offset in offsets:
        delivered.hand_out(offset)

    done: set[int] = set()
    for offset in data.draw(st.permutations(offsets)):
        delivered.done(offset)
        done.add(offset)
        missing = [each for each in offsets if each not in done]
        before = [each for each in offsets if not missing or each < missing[0]]
        assert (before[-1] + 1 if before else None) == delivered.settled


def test_what_comes_again_must_be_done_again() -> None:
    delivered = Delivered()
    for offset in (5, 6, 7):
        delivered.hand_out(offset)
    delivered.done(6)

    for offset in (5, 6):
        delivered.hand_out(offset)
    delivered.done(5)

    assert 6 == delivered.settled


def test_a_log_that_begins_anew_is_followed() -> None:
    delivered = Delivered()
    delivered.hand_out(41)
    delivered.done(41)

    delivered.hand_out(0)
    assert delivered.settled is None
    delivered.done(0)
    assert 1 == delivered.settled


def test_what_was_never_handed_out_means_nothing() -> None:
    delivered = Delivered()
    delivered.done(3)
    delivered.hand_out(5)
    delivered.done(4)
    delivered.done(6)

    assert delivered.settled is None


@given(headers=st.dictionaries(st.text().map("own-".__add__), st.text()))
def test_a_replayed_message_has_its_own_headers_again(headers: dict[str, str]) -> None:
    message = Message(
        topic=INGEST_TOPIC, partition=1, offset=2, key=None, body=None, headers=headers
    )

    parked = dead_letter_headers(message, "because", NOW)

    assert {**headers, "replayed": "1"} == replay_headers(parked)
