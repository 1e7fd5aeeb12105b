"""Durations (§1, decision 4): one reader for every field that takes one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine


@kk.task
async def quick() -> None: ...


def _delay_of(given: Any) -> float:
    run = quick.options(delay=given).trigger().refresh()
    return (run.delay_until - run.created_at).total_seconds() if run.delay_until else 0.0


def _rescheduled(given: Any) -> float:
    run = quick.options(delay="400d").trigger()
    moved = run.reschedule(delay=given)
    assert moved.delay_until is not None
    return (moved.delay_until - moved.created_at).total_seconds()


def _bounds(given: Any) -> float:
    policy = kk.Retry(min_timeout=given, max_timeout=given).policy
    assert policy.min_timeout == policy.max_timeout
    return policy.min_timeout


FIELDS: dict[str, Callable[[Any], float | None]] = {
    "delay": _delay_of,
    "ttl": lambda given: quick.options(ttl=given).trigger().refresh().ttl,
    "max_duration": lambda given: quick.options(max_duration=given).trigger().refresh().max_duration,
    "ttl of a task": lambda given: kk.task(id="own-ttl", ttl=given)(quick.function).trigger().refresh().ttl,
    "reschedule": _rescheduled,
    "kk.Retry": _bounds,
    "kk.Debounce": lambda given: kk.Debounce("k", given).use.delay_s,
    "kk.OnError": lambda given: kk.OnError(retry_in=given).retry_in,
    "idempotency_key_ttl": lambda given: (
        quick.options(idempotency_key="k", idempotency_key_ttl=given)._options.idempotency_key_ttl
    ),
}


FORMS: list[tuple[Any, float]] = [
    ("30s", 30),
    ("5m", 300),
    ("2h30m", 9_000),
    ("30m2h", 9_000),
    ("1hr", 3_600),
    ("1w1d", 691_200),
    (90, 90),
    (1.5, 1.5),
    (timedelta(minutes=1), 60),
]
NO_FORMS: list[Any] = ["1h2h", "1.5h", "-5s", "1ms", "3M", "1y", "5", "", " ", "5 m", "PT5M", "s", -1, True, b"5m", []]
TOO_LONG: list[Any] = ["36501d", 1e12, timedelta.max, float("inf"), "9" * 99 + "w"]


@pytest.mark.parametrize("field", FIELDS)
def test_01_1_every_field_takes_every_form(kk_engine: VirtualEngine, field: str) -> None:
    assert [(given, FIELDS[field](given)) for given, _ in FORMS] == FORMS


@pytest.mark.parametrize("field", FIELDS)
def test_01_1_what_is_no_duration_is_refused_by_every_field(kk_engine: VirtualEngine, field: str) -> None:
    words = r"=.* is not a duration.* Give a number of seconds, a timedelta"
    for given in [*NO_FORMS, "1h" * 51]:
        with pytest.raises(kk.InvalidDurationError, match=words):
            FIELDS[field](given)

    delayed = kk.runs.list(status="DELAYED").total
    assert kk.runs.list().total == delayed == (len(NO_FORMS) + 1 if field == "reschedule" else 0)


def test_01_1_what_has_no_date_is_refused_and_hurts_nothing(kk_engine: VirtualEngine) -> None:
    for given in TOO_LONG:
        with pytest.raises(kk.InvalidDurationError, match="is longer than 36,500 days"):
            quick.options(delay=given).trigger()
        with pytest.raises(kk.InvalidDurationError, match="is longer than 36,500 days"):
            quick.options(ttl=given).trigger()
    longest = quick.options(delay="36500d").trigger()
    kk_engine.drain()

    assert [run.id for run in kk.runs.list()] == [longest.id]
    assert longest.status == "DELAYED"


def test_01_2_the_time_of_a_key_is_read_like_any_other(kk_engine: VirtualEngine) -> None:
    def once() -> str:
        return quick.options(idempotency_key="k", idempotency_key_ttl="1h30m").trigger().id

    first = once()
    kk_engine.advance(minutes=89)
    again = once()
    kk_engine.advance(minutes=2)

    assert again == first
    assert once() != first


def test_01_4_a_ttl_in_seconds_and_none_for_zero(kk_engine: VirtualEngine) -> None:
    given = [0, "0s", timedelta(0), 3_661, 0.5]

    assert [quick.options(ttl=ttl).trigger().refresh().ttl for ttl in given] == [None, None, None, 3_661, 0.5]
