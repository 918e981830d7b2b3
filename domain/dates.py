"""What a text says of time, as days: "yesterday", said on 8 May 2023, is 7 May 2023.

English only. What could be read in two ways ("on Friday", "in the morning") is not read at all.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta

_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: The month in which a season of the northern half of the world begins.
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS = {
    **{"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6},
    **{"seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12},
    **{"a couple of": 2, "couple of": 2, "a few": 3, "few": 3},
}
_SATURDAY = 5
_WEEK = 7
_QUARTER = 3
_YEAR_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Days:
    """A run of days, both ends included."""

    first: date
    last: date

    @property
    def count(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def meets(self, other: Days) -> bool:
        """Tell whether they have a day in common."""
        return self.first <= other.last and other.first <= self.last

    def holds(self, other: Days) -> bool:
        """Tell whether the other lies within."""
        return self.first <= other.first and other.last <= self.last


def days_named(text: str, today: date) -> list[Days]:
    """Return the days that a text said on `today` names, in the order of their kinds."""
    lowered = text.lower()
    found: dict[Days, None] = {}
    read = bytearray(len(lowered))
    for pattern, resolve in _EXPRESSIONS:
        for match in pattern.finditer(lowered):
            start, end = match.span()
            if any(read[start:end]):
                continue  # the month of `7 May 2023` is a part of the day
            read[start:end] = b"\1" * (end - start)
            try:
                days = resolve(match, today)
            except (OverflowError, ValueError):  # beyond the calendar, or 31 February
                continue
            if match.group("since"):
                days = Days(days.first, max(days.first, today))
            found[days] = None
    return list(found)


def month_days(year: int, month: int) -> Days:
    """Return a month, as days; raise `ValueError` for one that the calendar lacks."""
    return Days(date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def _relative_day(match: re.Match[str], today: date) -> Days:
    shift = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "last night": -1}
    day = match.group("day")
    return _day(today, shift.get(day, -2))


def _counted(match: re.Match[str], today: date) -> Days:
    """Resolve `two weeks ago` and `in three months`; the longer the unit, the vaguer."""
    number = match.group("number") or match.group("ahead")
    count = _NUMBERS[number] if number in _NUMBERS else int(number)
    count = count if match.group("ahead") else -count
    unit = match.group("unit") or match.group("later")
    if unit == "day":
        return _day(today, count)
    if unit == "week":
        middle = today + timedelta(days=_WEEK * count)
        return Days(middle - timedelta(days=3), middle + timedelta(days=3))
    return _months(today, count) if unit == "month" else _years(today, count)


def _beside(match: re.Match[str], today: date) -> Days:
    """Resolve `last week`, `this weekend`, `next March`, `last Friday`."""
    step = {"last": -1, "past": -1, "this": 0, "next": 1}[match.group("which")]
    unit = match.group("unit")
    if unit == "month":
        return _months(today, step)
    if unit == "year":
        return _years(today, step)
    if unit in _WEEKDAYS:
        return _weekday(today, _WEEKDAYS.index(unit), step)
    if unit in MONTHS or unit in _SEASONS:
        return _season(today, unit, step)
    monday = today - timedelta(days=today.weekday()) + timedelta(days=_WEEK * step)
    if unit == "weekend":
        return Days(monday + timedelta(days=_SATURDAY), monday + timedelta(days=_WEEK - 1))
    return Days(monday, monday + timedelta(days=_WEEK - 1))


def _weekday(today: date, weekday: int, step: int) -> Days:
    ahead = (weekday - today.weekday()) % _WEEK
    if step < 0:
        return _day(today, ahead - _WEEK)
    return _day(today, ahead if ahead or not step else _WEEK)


def _season(today: date, name: str, step: int) -> Days:
    """Return the season, or the month, that is past, the nearest, or still to come."""
    near = [
        Days(month_days(year, start).first, _end_of(year, start, _QUARTER))
        if name in _SEASONS
        else month_days(year, start)
        for start in [_SEASONS.get(name) or MONTHS[name]]
        for year in range(max(MINYEAR, today.year - 2), min(MAXYEAR, today.year + 2))
    ]
    if step < 0:
        return max((days for days in near if days.last < today), key=lambda days: days.last)
    if step > 0:
        return min((days for days in near if days.first > today), key=lambda days: days.first)
    return min(near, key=lambda days: _distance(days, today))


def _named_month(match: re.Match[str], today: date) -> Days:
    """Resolve `in March`, `March 2022`: without a year the nearest one."""
    month, year = MONTHS[match.group("month")], match.group("year")
    if year:
        return month_days(int(year), month)
    return _season(today, match.group("month"), 0)


def _named_day(match: re.Match[str], today: date) -> Days:
    """Resolve `7 May 2023`, `May 7th`: without a year the nearest one."""
    month, day = MONTHS[match.group("month")], int(match.group("date"))
    if match.group("year"):
        found = date(int(match.group("year")), month, day)
        return Days(found, found)
    around = range(max(MINYEAR, today.year - 1), min(MAXYEAR, today.year + 1) + 1)
    dates = [date(year, month, day) for year in around if day <= monthrange(year, month)[1]]
    nearest = min(dates, key=lambda found: abs(found - today))
    return Days(nearest, nearest)


def _iso(match: re.Match[str], today: date) -> Days:
    found = date.fromisoformat(match.group("iso"))
    return Days(found, found)


def _named_year(match: re.Match[str], today: date) -> Days:
    year = int(match.group("year"))
    return Days(date(year, 1, 1), date(year, 12, 31))


def _day(today: date, shift: int) -> Days:
    day = today + timedelta(days=shift)
    return Days(day, day)


def _months(today: date, shift: int) -> Days:
    months = today.year * _YEAR_MONTHS + today.month - 1 + shift
    return month_days(months // _YEAR_MONTHS, months % _YEAR_MONTHS + 1)


def _years(today: date, shift: int) -> Days:
    return Days(date(today.year + shift, 1, 1), date(today.year + shift, 12, 31))


def _end_of(year: int, month: int, count: int) -> date:
    return _months(date(year, month, 1), count - 1).last


def _distance(days: Days, today: date) -> int:
    return max(0, (days.first - today).days, (today - days.last).days)


def _expressions() -> Iterator[tuple[re.Pattern[str], Callable[[re.Match[str], date], Days]]]:
    """Yield what is looked for with who resolves it; each may follow `since`."""
    number = r"\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
    month, year = "|".join(MONTHS), r"(?P<year>(?:19|20)\d\d)"
    since = "(?P<since>since)"
    date_ = r"(?P<date>[0-3]?\d)(?:st|nd|rd|th)?"
    named = "|".join(["weekend", "week", "month", "year", *_WEEKDAYS, *MONTHS, *_SEASONS])
    patterns = [
        (
            r"\b(?P<day>today|tonight|tomorrow|the day before yesterday|yesterday|last night)\b",
            _relative_day,
        ),
        (
            rf"\b(?:(?P<number>{number})\s+(?P<unit>day|week|month|year)s?\s+ago"
            rf"|in\s+(?P<ahead>{number})\s+(?P<later>day|week|month|year)s?)\b",
            _counted,
        ),
        (rf"\b(?P<which>last|past|this|next)\s+(?P<unit>{named})\b", _beside),
        (r"\b(?P<iso>(?:19|20)\d\d-\d\d-\d\d)\b", _iso),
        (rf"\b{date_}\s+(?:of\s+)?(?P<month>{month})\b(?:,?\s+{year})?", _named_day),
        (rf"\b(?P<month>{month})\s+{date_}\b(?!\d)(?:,?\s+{year}\b)?", _named_day),
        (rf"\b(?P<month>{month}),?\s+{year}\b", _named_month),
        (rf"\b(?:in|during|until|by|{since})\s+(?P<month>{month})\b(?P<year>)", _named_month),
        (rf"\b(?:in|during|until|by|of|{since})\s+{year}\b", _named_year),
    ]
    for pattern, resolve in patterns:
        before = "" if since in pattern else rf"(?:\b{since}\s+)?"
        yield re.compile(before + pattern), resolve


_EXPRESSIONS = tuple(_expressions())
