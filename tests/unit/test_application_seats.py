"""How many requests are answered at a time, and how many of one key."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from application.access.seats import Kind, Seats
from domain.errors import Overloaded


def test_lets_in_as_many_of_a_kind_as_there_is_room_for() -> None:
    seats = Seats(reading_max=2, writing_max=1)

    with ExitStack() as inside:
        for kind in (Kind.READING, Kind.READING, Kind.WRITING):
            inside.enter_context(seats.entered(kind))
        for kind in Kind:
            with pytest.raises(Overloaded), seats.entered(kind):
                pass

    assert {Kind.READING: 0, Kind.WRITING: 0} == seats.inside


def test_one_key_leaves_a_quarter_to_others() -> None:
    seats = Seats(reading_max=8, writing_max=8)

    with ExitStack() as inside:
        for _ in range(6):
            inside.enter_context(seats.entered(Kind.READING)).of("greedy")
        with pytest.raises(Overloaded, match="of this key"), seats.entered(Kind.READING) as seat:
            seat.of("greedy")
        for key_id in ("modest", None):
            inside.enter_context(seats.entered(Kind.READING)).of(key_id)
        with seats.entered(Kind.WRITING) as seat:
            seat.of("greedy")

    for _ in range(6):
        with seats.entered(Kind.READING) as seat:
            seat.of("greedy")


def test_a_single_seat_is_for_everybody() -> None:
    with Seats(reading_max=1, writing_max=1).entered(Kind.READING) as seat:
        seat.of("only")
