"""What a question says beside its words."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from domain.conversation import (
    NamedDate,
    asks_when,
    date_match,
    is_statement,
    named_date,
    named_speaker,
    tells_time,
)
from domain.dates import Days
from domain.memory import Kind, Memory, MemoryId
from domain.namespace import DEFAULT_NAMESPACE
from domain.texts import own_text, spoken_date

NOW = datetime(2024, 2, 14, tzinfo=UTC)


def said(content: str, at: datetime | None) -> Memory:
    """Build a memory of what was said at a time."""
    return Memory(
        id=MemoryId("m"),
        namespace=DEFAULT_NAMESPACE,
        kind=Kind.EPISODIC,
        content=content,
        content_hash="",
        created_at=NOW,
        updated_at=NOW,
        version=1,
        seq=1,
        occurred_at=at,
    )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When did Ann move?", True),
        ("  when was it", True),
        ("How long has she lived there?", True),
        ("Since how long?", True),
        ("Which year did it happen?", True),
        ("What month is it due?", True),
        ("On what date was it signed?", True),
        ("Whenever she calls, who answers?", False),
        ("Who was there when it happened?", False),
        ("Which day-care did she choose?", True),
        ("What is her name?", False),
    ],
)
def test_questions_for_a_time_are_recognised(question: str, expected: bool) -> None:
    assert asks_when(question) is expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("I went there yesterday", True),
        ("on Tuesday", True),
        ("back in 2019", True),
        ("two weeks ago", True),
        ("I like tea", False),
        ("room 1234", False),
    ],
)
def test_expressions_of_time_are_recognised(content: str, expected: bool) -> None:
    assert tells_time(content) is expected


def test_a_question_is_no_statement() -> None:
    assert is_statement("I moved to Oslo.")
    assert not is_statement("Where do you live? \n")


@pytest.mark.parametrize(
    ("question", "actors", "expected"),
    [
        ("What does Ann like?", ["Ann", "Bob"], "Ann"),
        ("What does ANN's dog eat?", ["Ann Lee", "Bob"], "Ann Lee"),
        ("Do Ann and Bob agree?", ["Ann", "Bob"], None),
        ("What does Annabel like?", ["Ann", "Bob"], None),
        ("What does she like?", ["Ann", "Bob"], None),
        ("What does Ann like?", ["Ann", "Ann"], "Ann"),
        ("What does Ann like?", [], None),
        ("", ["", " "], None),
    ],
)
def test_the_one_speaker_a_question_names_is_found(
    question: str, actors: list[str], expected: str | None
) -> None:
    assert named_speaker(question, actors) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What happened on 8 May 2023?", NamedDate(2023, 5, 8)),
        ("What happened on May 8th, 2023?", NamedDate(2023, 5, 8)),
        ("What happened in May 2023?", NamedDate(2023, 5, None)),
        ("What happened in 2023?", NamedDate(2023, None, None)),
        ("What happened in june?", NamedDate(None, 6, None)),
        ("On 31 October?", NamedDate(None, 10, 31)),
        ("On October 39?", NamedDate(None, 10, None)),
        ("What may she like?", None),
        ("What did they plan for May 8?", NamedDate(None, 5, 8)),
        ("What happened on the 8th of May?", NamedDate(None, 5, 8)),
        ("Which of the 3 books did she read in May 2023?", NamedDate(2023, 5, None)),
        ("Did 2 of them go to Rome in June?", NamedDate(None, 6, None)),
        ("Who may come with 2 friends?", None),
        ("What happened on 30 February?", NamedDate(None, 2, 30)),
        ("What is it?", None),
        ("Room 1850?", None),
    ],
)
def test_a_named_date_needs_a_month_or_a_year(question: str, expected: NamedDate | None) -> None:
    assert named_date(question, date(2024, 2, 14)) == expected


@pytest.mark.parametrize(
    ("date", "day", "expected"),
    [
        (NamedDate(2023, 5, 8), 8, 1.0),
        (NamedDate(2023, 5, 8), 9, 1.0),
        (NamedDate(2023, 5, 8), 10, 0.5),
        (NamedDate(2023, 5, 8), 18, 0.5),
        (NamedDate(2023, 5, 8), 19, 0.2),
        (NamedDate(2023, 5, 8), 7, 0.2),
        (NamedDate(None, 5, None), 7, 0.5),
        (NamedDate(2023, None, None), 7, 0.5),
        (NamedDate(2022, 5, 8), 8, 0.0),
        (NamedDate(None, 6, 8), 8, 0.0),
    ],
)
def test_a_memory_fits_a_named_date_by_degrees(date: NamedDate, day: int, expected: float) -> None:
    assert date_match(date, said("Tea is good.", datetime(2023, 5, day, tzinfo=UTC))) == expected
    assert date_match(date, said("Tea is good.", None)) == 0.0


@pytest.mark.parametrize(
    ("asked", "content", "expected"),
    [
        (NamedDate(2023, 4, 12), "I swam yesterday.", 0.0),
        (NamedDate(2023, 5, 24), "I swam.", 1.0),
        (NamedDate(2023, 5, 11), "I swam.", 0.2),
        (NamedDate(2023, 5, 11), "I swam two weeks ago.", 0.5),
        (NamedDate(None, 4, None), "I swam last month.", 0.5),
        (NamedDate(2022, None, None), "I swam last year.", 0.5),
        (NamedDate(2022, 7, None), "I swam last year.", 0.0),  # a whole year tells of no month
        (NamedDate(None, 7, None), "I will swim on 3 July.", 0.5),
        (Days(date(2023, 5, 1), date(2023, 5, 7)), "I swam on 3 May.", 0.5),
        (Days(date(2023, 4, 24), date(2023, 4, 30)), "I swam on 3 May.", 0.0),
        (Days(date(2023, 1, 1), date(2023, 12, 31)), "I swam.", 0.5),
        (NamedDate(2023, 2, 31), "I swam yesterday.", 0.0),
    ],
)
def test_what_a_memory_tells_of_a_day_fits_it_whenever_it_was_said(
    asked: NamedDate | Days, content: str, expected: float
) -> None:
    at = datetime(2023, 5, 25, 12, tzinfo=UTC)

    assert date_match(asked, said(content, at)) == expected
    assert date_match(asked, said(content, None)) == 0.0


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What did Ann do last week?", Days(date(2024, 2, 5), date(2024, 2, 11))),
        ("What happened yesterday?", Days(date(2024, 2, 13), date(2024, 2, 13))),
        ("Where was she last summer?", Days(date(2023, 6, 1), date(2023, 8, 31))),
        ("What happened on 2023-05-08?", Days(date(2023, 5, 8), date(2023, 5, 8))),
        ("What happened on 2023-02-30?", NamedDate(2023, None, None)),
    ],
)
def test_a_question_may_name_days_seen_from_now(question: str, expected: Days | NamedDate) -> None:
    assert named_date(question, date(2024, 2, 14)) == expected


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [
        (13, 56, "1:56 pm on 8 May, 2023"),
        (0, 5, "12:05 am on 8 May, 2023"),
        (12, 0, "12:00 pm on 8 May, 2023"),
    ],
)
def test_a_date_is_written_as_people_say_it(hour: int, minute: int, expected: str) -> None:
    moment = datetime(2023, 5, 8, hour, minute, tzinfo=UTC)
    assert spoken_date(moment) == expected
    memory = said("I moved", moment)
    assert own_text(memory) == f"{expected} — I moved"
