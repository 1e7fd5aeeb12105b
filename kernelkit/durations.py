"""Reads durations: seconds as a number, a `timedelta`, or text such as `"1h30m"`."""

from __future__ import annotations

import re
from datetime import timedelta

from kernelkit.errors import InvalidDurationError
from kernelkit.jsonvalues import plain_number

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "hr": 3_600, "m": 60, "s": 1}
_WHOLE = re.compile(r"(?:[0-9]+(?:w|d|hr|h|m|s))+")
_PART = re.compile(r"([0-9]+)(w|d|hr|h|m|s)")

MAX_DAYS = 36_500
"""No duration is longer, so that every moment it leads to has a date."""

type_of_duration = "a number of seconds, a timedelta, or text such as '30s', '1h30m', '7d'"
Duration = float | int | timedelta | str


def to_seconds(value: Duration, *, field: str = "duration", forms: str = type_of_duration) -> float:
    """Seconds of `value`; raises `InvalidDurationError` naming `field`, and `forms` as what may be given.

    Text is one or more `<digits><unit>` groups with the units w, d, h (or hr), m, s, as Trigger.dev reads them, except
    that a unit given twice is refused rather than dropped.

    >>> to_seconds("1h30m"), to_seconds(90), to_seconds(timedelta(minutes=2))
    (5400.0, 90.0, 120.0)
    """
    seconds = _seconds(plain_number(value))
    if seconds is not None and seconds <= MAX_DAYS * 86_400:
        return float(seconds)
    problem = "is not a duration" if seconds is None else f"is longer than {MAX_DAYS:,} days"
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
    raise InvalidDurationError(f"{field}={shown} {problem}. Give {forms}.", field=field)


_SHOWN = 120


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if value >= 0 else None  # NaN is neither
    if isinstance(value, timedelta):
        return value.total_seconds() if value >= timedelta(0) else None
    if isinstance(value, str) and len(value) <= 100 and _WHOLE.fullmatch(value.strip()):
        parts = _PART.findall(value)
        units = ["h" if unit == "hr" else unit for _, unit in parts]
        if len(set(units)) == len(units):
            return sum(int(number) * _UNITS[unit] for number, unit in parts)
    return None
