"""The days that a text names, seen from the day it was said."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dates import Days, days_named, month_days

WEDNESDAY = date(2023, 5, 10)


def named(text: str, today: date = WEDNESDAY) -> list[tuple[str, str]]:
    return [(str(days.first), str(days.last)) for days in days_named(text, today)]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today we moved", "2023-05-10", "2023-05-10"),
        ("See you tonight!", "2023-05-10", "2023-05-10"),
        ("I went there Yesterday.", "2023-05-09", "2023-05-09"),
        ("last night was fun", "2023-05-09", "2023-05-09"),
        ("the day before yesterday", "2023-05-08", "2023-05-08"),
        ("tomorrow", "2023-05-11", "2023-05-11"),
        ("two days ago", "2023-05-08", "2023-05-08"),
        ("a couple of days ago", "2023-05-08", "2023-05-08"),
        ("in 3 days", "2023-05-13", "2023-05-13"),
        ("two weeks ago", "2023-04-23", "2023-04-29"),
        ("a month ago", "2023-04-01", "2023-04-30"),
        ("in eight months", "2024-01-01", "2024-01-31"),
        ("10 years ago", "2013-01-01", "2013-12-31"),
        ("last week", "2023-05-01", "2023-05-07"),
        ("this week", "2023-05-08", "2023-05-14"),
        ("next week", "2023-05-15", "2023-05-21"),
        ("last weekend", "2023-05-06", "2023-05-07"),
        ("next month", "2023-06-01", "2023-06-30"),
        ("this year", "2023-01-01", "2023-12-31"),
        ("last Friday", "2023-05-05", "2023-05-05"),
        ("last Wednesday", "2023-05-03", "2023-05-03"),
        ("next Wednesday", "2023-05-17", "2023-05-17"),
        ("this Friday", "2023-05-12", "2023-05-12"),
        ("last summer", "2022-06-01", "2022-08-31"),
        ("this spring", "2023-03-01", "2023-05-31"),
        ("next winter", "2023-12-01", "2024-02-29"),
        ("last March", "2023-03-01", "2023-03-31"),
        ("next March", "2024-03-01", "2024-03-31"),
        ("in March", "2023-03-01", "2023-03-31"),
        ("by December", "2022-12-01", "2022-12-31"),
        ("in March 2021", "2021-03-01", "2021-03-31"),
        ("in 2019", "2019-01-01", "2019-12-31"),
        ("since March", "2023-03-01", "2023-05-10"),
        ("since 2019", "2019-01-01", "2023-05-10"),
        ("since last Friday", "2023-05-05", "2023-05-10"),
        ("since next week", "2023-05-15", "2023-05-15"),
        ("on 7 May 2022", "2022-05-07", "2022-05-07"),
        ("the 7th of May, 2022", "2022-05-07", "2022-05-07"),
        ("May 7th", "2023-05-07", "2023-05-07"),
        ("December 30", "2022-12-30", "2022-12-30"),
        ("29 February", "2024-02-29", "2024-02-29"),
        ("due 2023-06-01", "2023-06-01", "2023-06-01"),
    ],
)
def test_an_expression_names_its_days(text: str, first: str, last: str) -> None:
    expected = [(first, last)]
    if text.startswith("29"):
        assert named(text, date(2024, 5, 10)) == expected
    else:
        assert named(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I may come",
        "they march on",
        "on Friday",
        "in the morning",
        "31 February 2023",
        "room 2019",
        "the last time",
        "next to me",
        "2023-13-40",
        "0 May 2023",
    ],
)
def test_what_could_mean_anything_names_nothing(text: str) -> None:
    assert named(text) == []


def test_a_text_may_name_several_days_and_each_once() -> None:
    text = "Yesterday, yesterday! And on 7 May 2023, as in 2019."

    assert named(text) == [
        ("2023-05-09", "2023-05-09"),
        ("2023-05-07", "2023-05-07"),
        ("2019-01-01", "2019-12-31"),
    ]


WORDS = st.sampled_from(
    [
        *("since", "last", "next", "this", "past", "in", "on", "the", "of", "ago", "yesterday"),
        *("today", "day", "days", "week", "weeks", "month", "year", "weekend", "friday", "march"),
        *(
            "may",
            "winter",
            "3",
            "31",
            "two",
            "a",
            "couple",
            "few",
            "2023",
            "2023-02-30",
            "7th",
            ",",
        ),
    ]
)


@given(st.lists(WORDS).map(" ".join) | st.text(), st.dates())
def test_whatever_is_said_on_whatever_day_its_days_are_in_order(text: str, today: date) -> None:
    for days in days_named(text, today):
        assert days.first <= days.last
        assert days.count >= 1
        assert days.holds(days)
        assert days.meets(days)


@given(
    st.sampled_from(["yesterday", "two days ago", "last week", "next friday", "this weekend"]),
    st.dates(date(2, 1, 1), date(9990, 1, 1)),
    st.integers(1, 50),
)
def test_what_counts_in_days_moves_along_with_the_weeks(text: str, today: date, weeks: int) -> None:
    later = timedelta(weeks=weeks)

    [before], [after] = days_named(text, today), days_named(text, today + later)

    assert (before.first + later, before.last + later) == (after.first, after.last)


@given(st.dates(date(3, 1, 1), date(9996, 1, 1)), st.sampled_from(["week", "month", "summer"]))
def test_last_this_and_next_follow_one_another(today: date, unit: str) -> None:
    [last], [this], [after] = (
        days_named(f"{which} {unit}", today) for which in ("last", "this", "next")
    )

    assert last.first < after.first
    assert last.last < today < after.first
    assert last.first <= this.first <= after.first


@given(st.dates(date(1000, 1, 1)), st.dates(date(1000, 1, 1), date(9990, 1, 1)))
def test_a_written_date_is_that_day_whenever_it_was_written(day: date, today: date) -> None:
    if 1900 <= day.year < 2100:
        month = day.strftime("%B")
        written = [f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", str(day)]
        assert all(days_named(text, today) == [Days(day, day)] for text in written)


def test_a_month_has_all_its_days() -> None:
    assert month_days(2024, 2) == Days(date(2024, 2, 1), date(2024, 2, 29))


def test_twice_as_many_dates_take_no_more_than_twice_the_calls() -> None:
    # Whoever may store must not be able to keep the server busy with a text full of dates.
    assert calls_to_read(range(500, 900)) <= 2.1 * calls_to_read(range(500, 700))


def calls_to_read(ago: range) -> int:
    """Count the calls that reading so many different days makes."""
    text = " ".join(f"{days} days ago" for days in ago)
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        days_named(text, WEDNESDAY)
    finally:
        sys.setprofile(None)
    return calls
