"""What a conversation tells beside its words: who speaks, when, and whether it is a question.

The rules and their measured worth are in docs/recall.md; each is a signal that can be switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from domain.dates import MONTHS, Days, days_named, month_days
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
_DAY = r"([0-3]?\d)(?:st|nd|rd|th)?"
#: A month with the day beside it; a number elsewhere in the question is no day.
_MONTH = re.compile(
    rf"(?:\b{_DAY}\s+(?:of\s+)?)?\b({'|'.join(MONTHS)})\b(?:\s+(?:the\s+)?{_DAY}\b)?"
)
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
DAYS_IN_MONTH_MAX = 31
SOON_DAYS = 10
#: What it counts that a memory tells of the days asked for, whenever it was said.
TOLD = 0.5
#: A longer time is no day that people speak of shortly after.
FEW_DAYS = 7
#: How far a text is searched for days, in characters.
READ_MAX = 4096
#: What tells of a longer time tells of none of its days in particular.
WHOLE = 31


@dataclass(frozen=True, slots=True)
class NamedDate:
    """A date named in a question; parts that were not named are None."""

    year: int | None
    month: int | None
    day: int | None

    def nearest(self, moment: date) -> Days | None:
        """Return the days it may mean, those nearest to a moment; None where no calendar has it."""
        years = (
            (moment.year - 1, moment.year, moment.year + 1) if self.year is None else [self.year]
        )
        found = [days for year in years if (days := self._in(year)) is not None]
        return min(found, key=lambda days: abs(days.first - moment), default=None)

    def _in(self, year: int) -> Days | None:
        try:
            if self.month is None:
                return Days(date(year, 1, 1), date(year, 12, 31))
            if self.day is None:
                return month_days(year, self.month)
            day = date(year, self.month, self.day)
        except ValueError:
            return None
        return Days(day, day)


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


def named_date(question: str, today: date) -> NamedDate | Days | None:
    """Return the date a question names: at least a month or a year, or days such as last week."""
    lowered = question.lower()
    month = _MONTH.search(lowered)
    year = _YEAR.search(lowered)
    number = int(month.group(1) or month.group(3) or 0) if month else 0
    if month and month.group(2) == "may" and not (year or number):
        month = None  # "may" is more often a verb
    if not month:
        days = days_named(question, today)
        if not year:
            return next(iter(days), None)
        of_year = [d for d in days if d.count == 1 and str(d.first.year) == year.group()]
        if of_year:  # 2023-05-07
            return of_year[0]
    return NamedDate(
        year=int(year.group()) if year else None,
        month=MONTHS[month.group(2)] if month else None,
        day=number if 1 <= number <= DAYS_IN_MONTH_MAX else None,
    )


def date_match(asked: NamedDate | Days, memory: Memory) -> float:
    """Say how well a memory fits the date of a question (0 to 1): by its time or by what it tells.

    People speak of a day on it or shortly after: 1 on the day and the next, 0.5 within ten days
    after, 0.2 in the rest of the month; 0.5 where more than a few days are asked for. 0.5 as well
    for what names these days itself, whenever it was said: "yesterday" is the day before.
    """
    if memory.occurred_at is None:
        return 0.0
    said = memory.occurred_at.date()
    days = asked if isinstance(asked, Days) else asked.nearest(said)
    if days is None:
        return 0.0
    match = _said_about(days, said)
    content = memory.content[:READ_MAX]
    if match >= TOLD or not tells_time(content):
        return match
    tells = any(_tells_of(asked, told) for told in days_named(content, said))
    return TOLD if tells else match


def _said_about(days: Days, said: date) -> float:
    if days.count > FEW_DAYS:
        return 0.5 if days.first <= said <= days.last else 0.0
    after = (said - days.last).days
    if days.first <= said and after <= 1:
        return 1.0
    if 1 < after <= SOON_DAYS:
        return 0.5
    return 0.2 if (said.year, said.month) == (days.last.year, days.last.month) else 0.0


def _tells_of(asked: NamedDate | Days, told: Days) -> bool:
    days = asked if isinstance(asked, Days) else asked.nearest(told.first)
    return days is not None and (days.holds(told) or (days.meets(told) and told.count <= WHOLE))


def session_key(memory: Memory) -> tuple[str, str, int] | None:
    """Name the conversation a memory belongs to: its namespace, session and day."""
    if memory.source.session is None:
        return None
    return (memory.namespace, memory.source.session, memory.happened_at.toordinal())
