"""Statuses (§23) and attempts (§24): which are final, what each cause ends as, and what is told of each try."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine

START = datetime(2030, 1, 1, tzinfo=UTC)
STOPPED = kk.Queue("stopped", concurrency_limit=0)
FINAL = {"COMPLETED", "FAILED", "CANCELED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT"}


@kk.task(retry=None)
async def ends(kind: str = "") -> Any:
    match kind:
        case "raises":
            raise ValueError("no")
        case "memory":
            raise kk.OutOfMemoryError("big")
        case "bad output":
            return object()
        case "long":
            await asyncio.sleep(600)
        case "hook":
            raise kk.AbortTaskRunError("no more")
    return kind


@ends.catch_error
async def broken(error: BaseException) -> None:
    if str(error) == "no" and kk.ctx.run.tags == ("hook",):
        raise KeyError("in the hook")


def test_23_1_there_are_thirteen_statuses_and_each_is_a_text() -> None:
    assert len(kk.RunStatus) == 13
    assert all(isinstance(status, str) and status == status.name for status in kk.RunStatus)


@pytest.mark.parametrize(
    ("kind", "options", "status"),
    [
        ("", {}, "COMPLETED"),
        ("raises", {}, "FAILED"),
        ("bad output", {}, "FAILED"),
        ("hook", {}, "FAILED"),
        ("raises", {"tags": ["hook"]}, "CRASHED"),
        ("memory", {}, "CRASHED"),
        ("long", {"max_duration": "10s"}, "TIMED_OUT"),
        ("", {"queue": STOPPED, "ttl": "5s"}, "EXPIRED"),
        ("", {"delay": "1d"}, "DELAYED"),
        ("", {"queue": STOPPED}, "QUEUED"),
        ("long", {}, "EXECUTING"),
    ],
)
def test_23_4_each_cause_has_its_status(kind: str, options: dict[str, Any], status: str) -> None:
    with engine() as eng:
        run = ends.options(**options).trigger(kind=kind)
        eng.advance(minutes=1)
        view = run.refresh()

        assert view.status == status
        assert view.is_completed is (status in FINAL)
        assert (view.finished_at is not None) is (status in FINAL)


@pytest.mark.parametrize("status", sorted(FINAL - {"SYSTEM_FAILURE"}))
def test_23_2_a_final_status_never_changes(status: str) -> None:
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "COMPLETED": ("", {}),
        "FAILED": ("raises", {}),
        "CANCELED": ("", {"delay": "1h"}),
        "CRASHED": ("memory", {}),
        "EXPIRED": ("", {"queue": STOPPED, "ttl": "5s"}),
        "TIMED_OUT": ("long", {"max_duration": "10s"}),
    }
    kind, options = kinds[status]
    with engine() as eng:
        run = ends.options(**options).trigger(kind=kind)
        if status == "CANCELED":
            run.cancel("first")
        eng.advance(minutes=1)
        before = run.refresh()
        assert before.status == status

        run.cancel("second")
        with pytest.raises(kk.InvalidOptionError, match="not delayed"):
            run.reschedule(delay=0)
        eng.advance(days=1)

        assert run.refresh() == before


def test_23_3_a_run_goes_its_way_in_order() -> None:
    with engine() as eng:
        run = ends.options(delay="1m").trigger()
        with kk.runs.subscribe(run) as subscription:
            told = [next(subscription).status]
            eng.advance(minutes=2)
            told += [each.status for each in subscription]

    order = [kk.RunStatus(each) for each in ("DELAYED", "QUEUED", "DEQUEUED", "EXECUTING", "COMPLETED")]
    assert (told[0], told[-1]) == ("DELAYED", "COMPLETED")
    assert [order.index(each) for each in told] == sorted(order.index(each) for each in told)


def test_24_1_attempts_are_numbered_from_one_and_each_keeps_its_own_end() -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=10, factor=1, randomize=False))
    async def third_time(ctx: kk.Context) -> int:
        await asyncio.sleep(2)
        if ctx.attempt.number < 3:
            raise ValueError(f"attempt {ctx.attempt.number}")
        return ctx.attempt.number

    with engine(now=START) as eng:
        run = third_time.options(delay="1m").trigger()
        assert (run.refresh().attempt_number, run.refresh().attempts) == (0, ())
        eng.advance(minutes=5)
        view = run.refresh()

    told = [(each.number, each.status, each.error and each.error.message) for each in view.attempts]
    assert told == [(1, "FAILED", "attempt 1"), (2, "FAILED", "attempt 2"), (3, "COMPLETED", None)]
    assert [each.started_at for each in view.attempts] == [START + timedelta(seconds=60 + 12 * n) for n in range(3)]
    assert [each.finished_at for each in view.attempts] == [START + timedelta(seconds=62 + 12 * n) for n in range(3)]
    assert (view.attempt_number, view.output) == (3, 3)


def test_24_3_a_run_started_when_its_first_attempt_did() -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=3_600, max_timeout=3_600, randomize=False))
    async def again(ctx: kk.Context) -> None:
        if ctx.attempt.number == 1:
            raise ValueError("again")

    with engine(now=START) as eng:
        run = again.options(delay="1m").trigger()
        eng.advance(hours=2)
        view = run.refresh()

    assert (view.created_at, view.started_at) == (START, START + timedelta(minutes=1))
    assert view.finished_at == START + timedelta(minutes=61)
    assert view.attempts[1].started_at == view.finished_at
