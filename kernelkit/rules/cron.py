"""Cron expressions: which local minutes one names. What becomes of those where clocks are set is for `firing.py`.

croniter reads the expression and says which days match; a day's minutes are then plain arithmetic, which is what makes
ten thousand schedules cheap. Local minutes are counted from 0001-01-01 00:00, the calendar's own first day.
What a newcomer would get wrong: day of month and day of week, when both are given, mean either (as in every cron).
"""

from __future__ import annotations

import bisect
import importlib
import re
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from kernelkit.errors import InvalidCronError

FIRST_YEAR, LAST_YEAR = 1970, 2099
DAY = 1_440
NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_LARGEST_STEP = (59, 23, 30, 11, 6)
_LAST_WEEKDAY = re.compile(r"\b(?:([0-7]|sun|mon|tue|wed|thu|fri|sat)l|l([0-7]|sun|mon|tue|wed|thu|fri|sat))\b")
_WORDS = re.compile(
    r"(?:[0-9*,/#-]|\bl?(?:sun|mon|tue|wed|thu|fri|sat)\b|\bl[0-7]?\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\b)+"
)
_WEEKDAYS = {name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


class Cron:
    """One expression, read and checked; `cron_of` makes and keeps them."""

    __slots__ = ("_days", "_every_day", "_months", "fields", "hours", "is_fixed", "minutes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields = _fields(text)
        minute, hour, *days = self.fields
        self.is_fixed = not any(mark in minute + hour for mark in "*-/")
        """Neither minute nor hour has `*`, a range or a step: it means moments of the day, not an interval."""
        expanded = _expanded(text, self.fields)
        self.minutes = _numbers(expanded[0], 60)
        self.hours = _numbers(expanded[1], 24)
        self._days = " ".join(days)
        self._months = frozenset(range(1, 13) if expanded[3][0] == "*" else expanded[3])
        self._every_day = self._days == "* * *"
        if not self._every_day:
            _refuse_never(text, self._days)

    def next(self, minute: int) -> int | None:
        """The first matching local minute that is not before `minute`; None when none is left before 2100.

        >>> monday = date(2027, 1, 4).toordinal() * DAY
        >>> cron_of("30 9 * * 1-5").next(monday) - monday
        570
        """
        day, left = divmod(minute, DAY)
        found = self._time_from(left) if self._is_on(day) else None
        while found is None:
            after = self._day_from(day + 1)
            if after is None:
                return None
            day, found = after, self._time_from(0)
        return day * DAY + found

    def count(self, start: int, end: int) -> int:
        """How many local minutes match from `start` to before `end`."""
        if end <= start:
            return 0
        first, last = start // DAY, (end - 1) // DAY
        each = len(self.hours) * len(self.minutes)
        whole = sum(self._count_days(first, last + 1)) * each
        before = self._times_before(start % DAY) if self._is_on(first) else 0
        behind = each - self._times_before(end - last * DAY) if self._is_on(last) else 0
        return whole - before - behind

    # ---- times of a day ------------------------------------------------------------------------------------------

    def _time_from(self, minute: int) -> int | None:
        hour, left = divmod(minute, 60)
        place = bisect.bisect_left(self.hours, hour)
        if place == len(self.hours):
            return None
        if self.hours[place] == hour:
            at = bisect.bisect_left(self.minutes, left)
            if at < len(self.minutes):
                return hour * 60 + self.minutes[at]
            place += 1
            if place == len(self.hours):
                return None
        return self.hours[place] * 60 + self.minutes[0]

    def _times_before(self, minute: int) -> int:
        hour, left = divmod(minute, 60)
        place = bisect.bisect_left(self.hours, hour)
        found = place * len(self.minutes)
        if place < len(self.hours) and self.hours[place] == hour:
            found += bisect.bisect_left(self.minutes, left)
        return found

    # ---- days ----------------------------------------------------------------------------------------------------

    def _is_on(self, day: int) -> bool:
        if self._every_day:
            return _FIRST_DAY <= day < _END
        year, number = _month_of(day)
        return number in self._months and day in _days_of_month(self._days, year, number)

    def _day_from(self, day: int) -> int | None:
        if self._every_day:
            day = max(day, _FIRST_DAY)
            return day if day < _END else None
        year, number = _month_of(day)
        while year <= LAST_YEAR:
            days = _days_of_month(self._days, year, number) if number in self._months else ()
            place = bisect.bisect_left(days, day)
            if place < len(days):
                return days[place]
            year, number = (year, number + 1) if number < 12 else (year + 1, 1)
        return None

    def _count_days(self, first: int, end: int) -> list[int]:
        if self._every_day:
            return [max(0, min(end, _END) - max(first, _FIRST_DAY))]
        year, number = _month_of(first)
        counts = []
        while year <= LAST_YEAR and date(year, number, 1).toordinal() < end:
            days = _days_of_month(self._days, year, number) if number in self._months else ()
            counts.append(bisect.bisect_left(days, end) - bisect.bisect_left(days, first))
            year, number = (year, number + 1) if number < 12 else (year + 1, 1)
        return counts

    def __repr__(self) -> str:
        return f"Cron({self.text!r})"


@lru_cache(maxsize=16_384)
def cron_of(text: str) -> Cron:
    """The expression `text`, read; raises `InvalidCronError` with what is wrong and what to write.

    >>> cron_of("@daily").fields
    ('0', '0', '*', '*', '*')
    """
    return Cron(text)


def plain_form(text: str) -> str:
    """The five fields without names for the whole, and `5L` for croniter's `L5`: for those who put it into words.

    >>> plain_form("0 9 * * L5")
    '0 9 * * 5l'
    """
    *others, weekday = cron_of(text).fields
    return " ".join([*others, _LAST_WEEKDAY.sub(lambda found: f"{found[1] or found[2]}l", weekday)])


# ---- reading -----------------------------------------------------------------------------------------------------


def _fields(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or not text.strip():
        raise _bad(text, 'it is no text of five fields, as in "0 9 * * 1-5"')
    words = text.lower().split()
    if words[0].startswith("@"):
        name = text.strip().lower()
        if name not in NAMES:
            raise _bad(text, f"the names are {', '.join(NAMES)}")
        words = NAMES[name].split()
    if len(words) in (6, 7):
        raise _bad(
            text,
            f"it has {len(words)} fields, and seconds or years are not possible. The five fields are "
            f"{', '.join(_FIELDS)}",
        )
    if len(words) != 5:
        raise _bad(text, f"it has {len(words)} field(s) instead of five: {', '.join(_FIELDS)}")
    words[4] = _LAST_WEEKDAY.sub(lambda found: f"l{_number_of(found[1] or found[2])}", words[4])
    for field, word, largest in zip(_FIELDS, words, _LARGEST_STEP, strict=True):
        if not word.isascii() or not _WORDS.fullmatch(word):
            hint = ". For any value write *" if "?" in word else ""
            raise _bad(text, f"{word!r} as {field} is not understood{hint}")
        for step in re.findall(r"/([0-9]+)", word):
            if int(step) > largest:
                raise _bad(
                    text,
                    f"a step of {step} in the {field} never gets to a second value: there, steps go up to {largest}",
                )
    return tuple(words)


def _number_of(weekday: str) -> str:
    return _WEEKDAYS.get(weekday, weekday)


def _expanded(text: object, fields: tuple[str, ...]) -> list[list[Any]]:  # numbers, "*" or "l"
    try:
        found: list[list[Any]] = _croniter().expand(" ".join(fields))[0]
    except ValueError as cause:  # croniter's errors are ValueErrors
        raise _bad(text, _in_words(str(cause))) from cause
    return found


def _in_words(said: str) -> str:
    if "out of range" in said:
        return "a number in it is out of range (minute 0-59, hour 0-23, day 1-31, month 1-12, day of week 0-7)"
    if "nth day of week" in said:
        return "days of the week and a last or nth one (5L, 5#2) cannot stand together. Make two schedules"
    return "it cannot be read as a cron expression"


def _numbers(values: list[Any], size: int) -> tuple[int, ...]:
    return tuple(range(size)) if values[0] == "*" else tuple(sorted({int(value) for value in values}))


def _refuse_never(text: str, days: str) -> None:
    try:
        _croniter()(f"0 0 {days}", datetime(2000, 1, 1)).get_next(datetime)
    except ValueError as cause:
        raise _bad(text, "no such day ever comes") from cause


def _bad(text: object, why: str) -> InvalidCronError:
    return InvalidCronError(f"cron={text!r} will not do: {why}.", field="cron")


# ---- days, by croniter -------------------------------------------------------------------------------------------

_FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal()
_END = date(LAST_YEAR + 1, 1, 1).toordinal()


def _croniter() -> Any:  # croniter has no types
    """Opened when the first expression is read: it takes a twentieth of a second to import."""
    return importlib.import_module("croniter").croniter


@lru_cache(maxsize=4_096)
def _month_of(day: int) -> tuple[int, int]:
    found = date.fromordinal(day)
    return found.year, found.month


@lru_cache(maxsize=32_768)
def _days_of_month(days: str, year: int, month: int) -> tuple[int, ...]:
    """The days of a month that match the last three fields, as ordinals."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return ()
    first = datetime(year, month, 1)
    end = datetime(year + month // 12, month % 12 + 1, 1)
    walk = _croniter()(f"0 0 {days}", datetime.fromordinal(first.toordinal() - 1).replace(hour=23, minute=59))
    found = []
    while True:
        try:
            day = walk.get_next(datetime)
        except ValueError:  # none is left that croniter would look for
            break
        if day >= end:
            break
        found.append(day.toordinal())
    return tuple(found)
