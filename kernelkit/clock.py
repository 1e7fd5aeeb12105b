"""What time it is: UTC microseconds inside, aware datetimes outside.

State, events and the store count microseconds since 1970 as integers (one type, exact, no zone to forget);
people get `datetime` in UTC. Code that decides is handed `now` and never calls `Clock.now` itself.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the present moment in UTC microseconds."""

    def now(self) -> int: ...


class WallClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000


def to_datetime(micros: int) -> datetime:
    """
    >>> to_datetime(0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return _EPOCH + timedelta(0, 0, micros)  # without the keyword, 1.5 × as fast


def from_datetime(moment: datetime) -> int:
    """Microseconds of an aware datetime; a naive one is a ValueError."""
    if moment.tzinfo is None:
        raise ValueError("a datetime needs a time zone, for instance datetime(2027, 1, 1, tzinfo=UTC)")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROS + since.microseconds  # 4 × as fast as dividing
