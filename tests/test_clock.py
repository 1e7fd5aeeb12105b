from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kernelkit.clock import WallClock, from_datetime, to_datetime


def test_moments_survive_the_trip_to_the_microsecond() -> None:
    moment = datetime(2027, 3, 28, 1, 59, 59, 999_999, tzinfo=UTC)

    assert to_datetime(from_datetime(moment)) == moment


def test_any_zone_is_the_same_moment_in_utc() -> None:
    there = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))

    assert to_datetime(from_datetime(there)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert to_datetime(from_datetime(there)).tzinfo is UTC


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        from_datetime(datetime(2027, 1, 1))


def test_the_wall_clock_counts_microseconds() -> None:
    before = time.time_ns() // 1_000
    now = WallClock().now()

    assert before <= now <= time.time_ns() // 1_000
