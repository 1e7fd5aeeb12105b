"""Delays, times to live, limits of duration, priorities and keys."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage


@kk.task
async def quick(n: int = 0) -> int:
    return n


# ---- 5: max_duration ---------------------------------------------------------------------------------------------


def test_05_5_an_attempt_that_takes_too_long_is_timed_out_and_not_retried(stage: Stage) -> None:
    @kk.task(max_duration=0.3, retries=3)
    async def endless() -> None:
        await asyncio.sleep(3600)

    run = endless.trigger()
    stage.until(lambda: run.status in ("EXECUTING", "TIMED_OUT"))  # a busy machine may miss the first
    if stage.is_virtual:
        stage.engine.advance(seconds=1)
    result = run.result(timeout=20)

    assert result.status == "TIMED_OUT"
    assert result.error is not None
    assert (result.error.name, result.error.message) == (
        "TaskTimeoutError",
        "Run exceeded max_duration of 0.3 seconds",
    )
    stage.until(lambda: run.refresh().finished_at is not None)
    assert [attempt.status for attempt in run.refresh().attempts] == ["TIMED_OUT"]


def test_05_a_plain_function_is_interrupted_when_its_time_is_over(stage: Stage) -> None:
    @kk.task(max_duration=0.3)
    def spins() -> None:
        while True:
            time.sleep(0.01)

    if stage.is_virtual:
        return  # a thread holds the virtual clock: the documented limit of that engine
    run = spins.trigger()

    assert run.result(timeout=20).status == "TIMED_OUT"
    stage.until(lambda: run.refresh().finished_at is not None)


def test_05_2_no_timeout_on_a_trigger_cancels_the_tasks(kk_engine: VirtualEngine) -> None:
    @kk.task(max_duration="5s")
    async def slow() -> str:
        await asyncio.sleep(60)
        return "done"

    limited, free = slow.trigger(), slow.options(max_duration=kk.NO_TIMEOUT).trigger()
    kk_engine.advance(minutes=2)

    assert (limited.status, free.status) == ("TIMED_OUT", "COMPLETED")


def test_05_3_each_attempt_starts_from_zero(kk_engine: VirtualEngine) -> None:
    @kk.task(max_duration="10s", retry=kk.Retry(max_attempts=2, min_timeout=1, randomize=False))
    async def slow_twice() -> int:
        await asyncio.sleep(7)
        if kk.ctx.attempt.number == 1:
            raise ValueError("once more")
        return kk.ctx.attempt.number

    run = slow_twice.trigger()
    kk_engine.advance(minutes=1)

    assert run.result(timeout=5).output == 2


# ---- 6: ttl ------------------------------------------------------------------------------------------------------


def test_06_1_a_run_that_was_never_started_expires(kk_engine: VirtualEngine) -> None:
    @kk.task(concurrency_limit=1)
    async def slow() -> None:
        await asyncio.sleep(3600)

    first = slow.trigger()
    second = slow.options(ttl="10m").trigger()
    kk_engine.advance(minutes=9)
    assert second.status == "QUEUED"
    kk_engine.advance(minutes=2)

    result = second.result(timeout=5)
    assert result.status == "EXPIRED"
    assert result.error is not None
    assert result.error.message == "Run expired because the TTL (600 s) was reached"
    kk_engine.advance(hours=1)
    assert first.status == "COMPLETED"


def test_06_2_a_trigger_may_take_the_tasks_ttl_away(kk_engine: VirtualEngine) -> None:
    @kk.task(concurrency_limit=1, ttl="1m")
    async def slow() -> None:
        await asyncio.sleep(3600)

    slow.trigger()
    mortal, immortal = slow.trigger(), slow.options(ttl=0).trigger()
    kk_engine.advance(hours=3)

    assert (mortal.status, immortal.status) == ("EXPIRED", "COMPLETED")


def test_06_3_the_clock_of_a_ttl_starts_after_the_delay(kk_engine: VirtualEngine) -> None:
    @kk.task(concurrency_limit=1)
    async def slow() -> None:
        await asyncio.sleep(7200)

    slow.trigger()
    run = slow.options(delay="1h", ttl="10m").trigger()
    kk_engine.advance(minutes=65)
    assert run.status == "QUEUED"
    kk_engine.advance(minutes=6)
    assert run.status == "EXPIRED"


# ---- 7: delay and reschedule -------------------------------------------------------------------------------------


def test_07_2_a_delayed_run_waits_without_a_slot_and_then_runs(stage: Stage) -> None:
    run = quick.options(delay=0.5).trigger(n=3)

    view = run.refresh()
    assert (view.status, view.attempt_number) == ("DELAYED", 0)
    assert view.delay_until is not None
    assert abs(view.delay_until - view.created_at - timedelta(seconds=0.5)) < timedelta(seconds=0.01)
    if stage.is_virtual:
        stage.engine.advance(seconds=1)
    assert run.result(timeout=20).output == 3


def test_07_1_a_delay_may_be_a_moment_and_a_past_one_is_due_at_once() -> None:
    with engine(now=datetime(2030, 1, 1, tzinfo=UTC)) as eng:
        past = quick.options(delay=datetime(2029, 1, 1, tzinfo=UTC)).trigger(n=1)
        later = quick.options(delay="2030-01-02T00:00:00Z").trigger(n=2)
        eng.drain()
        assert (past.status, later.status) == ("COMPLETED", "DELAYED")
        eng.advance(hours=25)
        assert later.status == "COMPLETED"


@pytest.mark.parametrize("bad", ["soon", "1.5h", -1, datetime(2030, 1, 1), "2030-01-01T00:00:00"])
def test_07_1_a_delay_that_cannot_be_read_is_refused_at_the_call(bad: object) -> None:
    with pytest.raises(kk.InvalidDurationError, match="delay="):
        quick.options(delay=bad)


def test_07_3_a_delayed_run_can_be_rescheduled_and_any_other_not(stage: Stage) -> None:
    run = quick.options(delay="1h").trigger(n=4)
    moved = run.reschedule(delay=0.3)
    assert moved.delay_until is not None
    assert moved.delay_until - moved.created_at < timedelta(minutes=5)
    if stage.is_virtual:
        stage.engine.advance(seconds=1)
    assert run.result(timeout=20).output == 4

    with pytest.raises(kk.InvalidOptionError, match="Cannot reschedule a run that is not delayed"):
        run.reschedule(delay="1h")


def test_07_4_cancelling_a_delayed_run_is_immediate(stage: Stage) -> None:
    run = quick.options(delay="1h").trigger(n=5)
    run.cancel()

    view = run.refresh()
    assert (view.status, view.attempts) == ("CANCELED", ())
    assert view.finished_at is not None


# ---- 8, 20: priority, keys, queues of a trigger ------------------------------------------------------------------


def test_08_1_a_priority_goes_ahead_of_older_runs_within_its_seconds(kk_engine: VirtualEngine) -> None:
    @kk.task(concurrency_limit=1)
    async def in_turn(n: int) -> int:
        await asyncio.sleep(1)
        return n

    in_turn.trigger(n=0)
    runs = [in_turn.trigger(n=1)]
    kk_engine.advance(seconds=0.1)
    runs.append(in_turn.options(priority=10).trigger(n=2))
    runs.append(in_turn.options(priority=-10).trigger(n=3))
    kk_engine.advance(minutes=1)

    starts = {run.result(timeout=5).output: run.refresh().started_at for run in runs}
    assert sorted(starts, key=lambda n: starts[n] or datetime.max) == [2, 1, 3]


def test_20_6_each_concurrency_key_has_the_whole_limit(kk_engine: VirtualEngine) -> None:
    @kk.task(queue=kk.Queue("tenants", concurrency_limit=1))
    async def per_user() -> None:
        await asyncio.sleep(60)

    a1, a2, b1 = (per_user.options(concurrency_key=key).trigger() for key in ("a", "a", "b"))
    kk_engine.drain()

    assert (a1.status, a2.status, b1.status) == ("EXECUTING", "QUEUED", "EXECUTING")
    assert a2.refresh().queued_reason == "queue tenants, key a: 1 of 1 in use"
    assert a2.refresh().concurrency_key == "a"


def test_20_22_a_queue_given_at_the_trigger_is_made_with_its_limit(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def job() -> None:
        await asyncio.sleep(60)

    paid = kk.Queue("paid", concurrency_limit=1)
    first, second = job.options(queue=paid).trigger(), job.options(queue="paid").trigger()
    other = job.trigger()
    kk_engine.drain()

    assert (first.status, second.status, other.status) == ("EXECUTING", "QUEUED", "EXECUTING")
    assert second.refresh().queue == "paid"
    with pytest.raises(kk.InvalidOptionError, match=r"There is no queue 'payd'.*Did you mean 'paid'"):
        job.options(queue="payd").trigger()


def test_33_a_test_run_says_so_and_so_do_its_children(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def child() -> bool:
        return kk.ctx.run.is_test

    @kk.task
    async def parent() -> bool:
        child.trigger()
        return kk.ctx.run.is_test

    child.register()
    run = parent.options(test=True).trigger()
    kk_engine.drain()

    assert run.result(timeout=5).output is True
    (found,) = kk.runs.list(task="child")
    assert kk.runs.retrieve(found.id).output is True
    assert found.is_test


# ---- tables ------------------------------------------------------------------------------------------------------


def test_05_1_trigger_before_task_and_5_6_ctx_shows_what_holds(kk_engine: VirtualEngine) -> None:
    @kk.task(max_duration="1h")
    async def shown() -> float | None:
        return kk.ctx.run.max_duration

    given = [None, "5m", 0.5, kk.NO_TIMEOUT]
    runs = [shown.options(max_duration=each).trigger() for each in given]
    kk_engine.drain()

    assert [run.result(timeout=5).output for run in runs] == [3600, 300, 0.5, None]


def test_05_4_the_signal_is_set_and_a_late_return_does_not_help(kk_engine: VirtualEngine) -> None:
    @kk.task(max_duration=10, retries=3, on_failure=_tell, on_complete=_tell, catch_error=_tell)
    async def heeds(signal: kk.CancelSignal) -> str:
        await signal.wait()
        kk.logger.info(str(signal.is_set()))
        return "in time?"

    run = heeds.trigger()
    kk_engine.advance(seconds=9)
    assert run.status == "EXECUTING"
    kk_engine.advance(minutes=1)

    assert run.status == "TIMED_OUT"
    assert run.refresh().output is None
    assert len(run.refresh().attempts) == 1
    assert [line.text for line in run.logs().lines] == ["True"]


def _tell() -> None:
    kk.logger.info("a hook was called")


def test_06_4_what_has_been_started_or_is_delayed_never_expires(kk_engine: VirtualEngine) -> None:
    @kk.task(ttl="1m", retry=kk.Retry(max_attempts=2, min_timeout=600, max_timeout=600, randomize=False))
    async def slow() -> int:
        await asyncio.sleep(600)
        if kk.ctx.attempt.number == 1:
            raise ValueError("once more")
        return kk.ctx.attempt.number

    started, delayed = slow.trigger(), slow.options(delay="30m").trigger()
    kk_engine.advance(minutes=29)
    assert delayed.status == "DELAYED"
    kk_engine.advance(hours=3)

    assert [run.result(timeout=5).output for run in (started, delayed)] == [2, 2]


def test_06_5_an_expired_run_calls_no_hook_and_frees_its_key(kk_engine: VirtualEngine) -> None:
    @kk.task(concurrency_limit=1, on_failure=_tell, on_complete=_tell)
    async def slow() -> None:
        await asyncio.sleep(3600)

    first = slow.trigger()
    run = slow.options(ttl="1m", idempotency_key="k").trigger()
    kk_engine.advance(minutes=2)
    ended = run.refresh()
    again = slow.options(idempotency_key="k").trigger()
    kk_engine.advance(hours=2)

    assert (ended.status, ended.attempts, run.logs().lines) == ("EXPIRED", (), ())
    assert [line.text for line in first.logs().lines] == ["a hook was called"]  # of on_complete
    assert again.id != run.id


def test_07_1_moments_near_the_ends_of_the_calendar(kk_engine: VirtualEngine) -> None:
    past = [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(1970, 1, 1, tzinfo=UTC)]
    runs = [quick.options(delay=moment).trigger(n=1) for moment in past]
    kk_engine.drain()

    assert [run.status for run in runs] == ["COMPLETED", "COMPLETED"]
    assert kk.runs.list().total == 2
    with pytest.raises(kk.InvalidDurationError, match="is later than the year 9,000"):
        quick.options(delay=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))))


@pytest.mark.parametrize("bad", [None, "soon", -1, datetime(2030, 1, 1)])
def test_07_3_a_reschedule_needs_a_moment(kk_engine: VirtualEngine, bad: Any) -> None:
    run = quick.options(delay="1h").trigger(n=1)
    before = run.refresh().delay_until

    with pytest.raises(kk.InvalidDurationError, match="delay="):
        run.reschedule(delay=bad)

    assert run.refresh().delay_until == before
