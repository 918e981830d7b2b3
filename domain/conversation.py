"""What a conversation tells beside its words: who speaks, when, and whether it is a question.

The rules and their measured worth are in docs/recall.md; each is a signal that can be switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.memory import Memory

_ASKS_WHEN = re.compile(
    r"^(when|how long|(what|which) (date|day|month|year|time))\b"
    r"|\bhow long\b|\bwhat (date|day|month|year)\b"
)
_TIME_WORDS = re.compile(
    r"\b(yesterday|today|tonight|tomorrow|last|next|ago|since|recently|soon|now|week(end|s)?|months?"
    r"|years?|days?|hours?|morning|evening|night|(mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|spring|summer|autumn|fall|winter|birthday|anniversary|(19|20)\d\d)\b"
)
_MONTH_NAMES = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_MONTH = re.compile(r"\b(" + "|".join(_MONTHS) + r")\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_DAY = re.compile(r"\b([0-3]?\d)(?:st|nd|rd|th)?\b")
DAYS_IN_MONTH_MAX = 31
SOON_DAYS = 10


@dataclass(frozen=True, slots=True)
class NamedDate:
    """A date named in a question; parts that were not named are None."""

    year: int | None
    month: int | None
    day: int | None


def asks_when(question: str) -> bool:
    """Tell whether a question asks for a time."""
    return bool(_ASKS_WHEN.search(question.lower().strip()))


def tells_time(content: str) -> bool:
    """Tell whether a text holds an expression of time."""
    return bool(_TIME_WORDS.search(content.lower()))


def is_statement(content: str) -> bool:
    """Tell whether a text is not a question: questions rarely hold the answer."""
    return not content.rstrip().endswith("?")


def named_speaker(question: str, actors: Iterable[str]) -> str | None:
    """Return the one known actor whom a question names; None when it names none or several."""
    words = set(re.findall(r"\w+", question.lower()))
    named = [
        actor
        for actor in dict.fromkeys(actors)
        if (parts := actor.lower().split()) and parts[0] in words
    ]
    return named[0] if len(named) == 1 else None


def named_date(question: str) -> NamedDate | None:
    """Return the date a question names: at least a month or a year."""
    lowered = question.lower()
    month = _MONTH.search(lowered)
    year = _YEAR.search(lowered)
    if month and month.group() == "may" and not (year or _DAY.search(lowered)):
        month = None  # "may" is more often a verb
    if not month and not year:
        return None
    day = _DAY.search(lowered) if month else None
    number = int(day.group(1)) if day else 0
    return NamedDate(
        year=int(year.group()) if year else None,
        month=_MONTHS[month.group()] if month else None,
        day=number if 1 <= number <= DAYS_IN_MONTH_MAX else None,
    )


def date_match(date: NamedDate, occurred_at: datetime | None) -> float:
    """Say how well a memory's time fits a named date (0 to 1).

    People speak of a day on it or shortly after: 1 on the day and the next, 0.5 within ten days
    after, 0.2 in the rest of the month; 0.5 where only a month or a year is named.
    """
    if occurred_at is None:
        return 0.0
    if date.year is not None and occurred_at.year != date.year:
        return 0.0
    if date.month is None:
        return 0.5
    if occurred_at.month != date.month:
        return 0.0
    if date.day is None:
        return 0.5
    after = occurred_at.day - date.day
    if 0 <= after <= 1:
        return 1.0
    return 0.5 if 1 < after <= SOON_DAYS else 0.2


def session_key(memory: Memory) -> tuple[str, str, str] | None:
    """Name the conversation a memory belongs to: its namespace, session and day."""
    if memory.source.session is None:
        return None
    return (memory.namespace, memory.source.session, memory.happened_at.date().isoformat())
