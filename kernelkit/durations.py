"""Reads durations: seconds as a number, a `timedelta`, or text such as `"1h30m"`."""

from __future__ import annotations

import re
from datetime import timedelta

from kernelkit.errors import InvalidDurationError

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "hr": 3_600, "m": 60, "s": 1}
_WHOLE = re.compile(r"(?:\d+(?:w|d|hr|h|m|s))+")
_PART = re.compile(r"(\d+)(w|d|hr|h|m|s)")

type_of_duration = "a number of seconds, a timedelta, or text such as '30s', '1h30m', '7d'"
Duration = float | int | timedelta | str


def to_seconds(value: Duration, *, field: str = "duration") -> float:
    """Seconds of `value`; raises `InvalidDurationError` naming `field`.

    Text is one or more `<digits><unit>` groups with the units w, d, h (or hr), m, s, as Trigger.dev reads them, except
    that a unit given twice is refused rather than dropped.

    >>> to_seconds("1h30m"), to_seconds(90), to_seconds(timedelta(minutes=2))
    (5400.0, 90.0, 120.0)
    """
    if isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        if 0 <= value < 1e12:
            return float(value)
    elif isinstance(value, timedelta):
        if value >= timedelta(0):
            return value.total_seconds()
    elif isinstance(value, str) and len(value) <= 100 and _WHOLE.fullmatch(value.strip()):
        parts = _PART.findall(value)
        units = ["h" if unit == "hr" else unit for _, unit in parts]
        if len(set(units)) == len(units):
            return float(sum(int(number) * _UNITS[unit] for number, unit in parts))
    raise InvalidDurationError(f"{field}={value!r} is not a duration. Give {type_of_duration}.", field=field)
