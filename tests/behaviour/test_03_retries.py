"""Retries: how often, after how long, and what ends them."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine
from tests.behaviour.conftest import Stage

QUICK = kk.Retry(max_attempts=3, min_timeout=0.05, max_timeout=0.2, randomize=False)


def test_03_1_a_task_without_retry_is_tried_three_times() -> None:
    @kk.task
    async def plain() -> None: ...

    assert plain.retry.max_attempts == 3


def test_03_3_delays_double_up_to_the_cap(stage: Stage) -> None:
    # given
    @kk.task(retry=kk.Retry(max_attempts=4, min_timeout=0.05, factor=2, max_timeout=0.15, randomize=False))
    async def fails() -> None:
        raise ValueError("always")

    # when
    run = fails.trigger()
    stage.finish()

    # then
    attempts = run.refresh().attempts
    assert [attempt.number for attempt in attempts] == [1, 2, 3, 4]
    gaps = [
        (later.started_at - earlier.finished_at).total_seconds()  # type: ignore[operator]
        for earlier, later in itertools.pairwise(attempts)
    ]
    wanted = [0.05, 0.1, 0.15]
    if stage.is_virtual:
        assert gaps == pytest.approx(wanted, abs=0.001)
    else:
        assert all(gap >= least for gap, least in zip(gaps, wanted, strict=True))


def test_03_4_max_attempts_of_a_trigger_replaces_the_tasks(stage: Stage) -> None:
    @kk.task(retry=QUICK)
    async def fails() -> None:
        raise ValueError("always")

    run = fails.options(max_attempts=1).trigger()
    stage.finish()

    assert run.status == "FAILED"
    assert len(run.refresh().attempts) == 1


def test_03_6_abort_ends_the_run_at_once(stage: Stage) -> None:
    @kk.task(retry=QUICK)
    def gives_up() -> None:
        raise kk.AbortTaskRunError("the account is closed")

    run = gives_up.trigger()
    stage.finish()

    result = run.result(timeout=5)
    assert not result.ok
    assert result.error is not None
    assert (result.error.name, result.error.message) == ("AbortTaskRunError", "the account is closed")
    assert len(run.refresh().attempts) == 1


def test_03_7_a_short_backoff_keeps_the_slot(stage: Stage) -> None:
    # given a queue of one
    @kk.task(queue=kk.Queue("narrow", concurrency_limit=1), retry=kk.Retry(min_timeout=1, randomize=False))
    async def once_then_fine(wait: float) -> int:
        if kk.ctx.attempt.number == 1:
            raise ValueError("first time")
        return kk.ctx.attempt.number

    # when its first run backs off for 1 s (under 5 s)
    first = once_then_fine.trigger(wait=1)
    second = once_then_fine.trigger(wait=1)
    stage.until(lambda: first.refresh().retry_at is not None)

    # then the other still waits for the slot
    assert first.refresh().retry_at is not None
    assert first.status == "EXECUTING"
    assert second.status == "QUEUED"
    assert "queue narrow: 1 of 1 in use" in (second.refresh().queued_reason or "")
    stage.finish()
    assert (first.result(timeout=5).output, second.result(timeout=5).output) == (2, 2)


def test_03_7_a_long_backoff_gives_the_slot_back(stage: Stage) -> None:
    # given a queue of one, and a run of it that backs off for 6 s
    @kk.task(
        id="long-backoff", queue=kk.Queue("tight", concurrency_limit=1), retry=kk.Retry(min_timeout=6, randomize=False)
    )
    async def once_then_fine(fail: bool) -> int:
        if fail and kk.ctx.attempt.number == 1:
            raise ValueError("first time")
        return kk.ctx.attempt.number

    first = once_then_fine.trigger(fail=True)
    stage.until(lambda: first.refresh().retry_at is not None)

    # when another comes
    second = once_then_fine.trigger(fail=False)
    stage.until(lambda: second.status == "COMPLETED")

    # then it went ahead
    assert first.status == "QUEUED"
    first.cancel()


def test_03_8_a_later_attempt_starts_from_the_top(stage: Stage) -> None:
    @kk.task(retry=QUICK)
    def flaky() -> int:
        if kk.ctx.attempt.number < 3:
            raise OSError("not yet")
        return kk.ctx.attempt.number

    run = flaky.trigger()
    stage.finish()

    assert run.result(timeout=5).output == 3
    assert [attempt.status for attempt in run.refresh().attempts] == ["FAILED", "FAILED", "COMPLETED"]


def test_03_virtual_time_reaches_a_retry_of_an_hour() -> None:
    from kernelkit.testing import engine

    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=3600, max_timeout=7200, randomize=False))
    async def patient() -> str:
        if kk.ctx.attempt.number == 1:
            raise ValueError("come back in an hour")
        return "back"

    with engine() as eng:
        run = patient.trigger()
        eng.drain()
        waiting = run.refresh()
        assert waiting.status == "QUEUED"
        assert waiting.retry_at is not None
        assert waiting.retry_at - eng.now == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=1))
        eng.advance(minutes=59)
        assert run.status == "QUEUED"
        eng.advance(minutes=2)
        assert run.result(timeout=5).output == "back"


def test_03_4_attempts_of_trigger_and_task(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.1))
    async def fails() -> None:
        raise ValueError("always")

    runs = [fails.options(max_attempts=given).trigger() for given in (None, 1, 3, 5)]
    kk_engine.advance(hours=1)

    assert [len(run.refresh().attempts) for run in runs] == [2, 1, 3, 5]


@pytest.mark.parametrize("options", [{"retry": None}, {"retries": 1}, {"retry": kk.Retry(max_attempts=1)}])
def test_03_2_one_attempt_and_no_more(kk_engine: VirtualEngine, options: dict[str, Any]) -> None:
    @kk.task(**options)
    async def fails() -> None:
        raise ValueError("once")

    run = fails.trigger()
    kk_engine.advance(hours=1)

    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 1)


def test_03_5_a_run_keeps_the_code_and_policy_it_began_with(kk_engine: VirtualEngine) -> None:
    @kk.task(id="kept", retry=kk.Retry(max_attempts=3, min_timeout=10, randomize=False))
    async def first() -> str:
        if kk.ctx.attempt.number < 3:
            raise ValueError("not yet")
        return "old code"

    run = first.trigger()
    kk_engine.drain()

    @kk.task(id="kept", retry=None, replace=True)
    async def second() -> str:
        return "new code"

    second.register()
    kk_engine.advance(hours=1)

    assert run.result(timeout=5).output == "old code"
    assert (run.refresh().version, len(run.refresh().attempts)) == (first.version, 3)
    assert second.version != first.version


def test_the_rest_of_a_backoff_can_be_spared(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=3600, max_timeout=3600, randomize=False))
    async def patient() -> str:
        if kk.ctx.attempt.number == 1:
            raise ValueError("the service is down")
        return "it is back"

    run = patient.trigger()
    stage.until(lambda: run.refresh().retry_at is not None)

    told = run.retry_now()
    stage.finish()

    assert (told.id, told.retry_at) == (run.id, None)
    assert run.result(timeout=20).output == "it is back"
    first, second = run.refresh().attempts
    assert first.finished_at is not None and second.started_at is not None
    assert second.started_at - first.finished_at < timedelta(minutes=10)


def test_only_a_run_between_two_attempts_is_retried_now(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=3600, max_timeout=3600))
    async def fails() -> None:
        raise ValueError("always")

    delayed = fails.options(delay="1h").trigger()
    with pytest.raises(kk.InvalidOptionError, match=r"it waits for no other attempt, it is DELAYED"):
        kk.runs.retry_now(delayed.id)
    delayed.cancel()
    run = fails.trigger()
    kk_engine.drain()
    kk.runs.retry_now(run.id)
    kk_engine.drain()
    assert (len(run.refresh().attempts), run.refresh().retry_at is not None) == (2, True)
    run.retry_now()
    kk_engine.drain()
    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 3)
    with pytest.raises(
        kk.InvalidOptionError,
        match=r"no run of that id is going on. A run that has ended is made anew by kk.runs.replay",
    ):
        run.retry_now()


def test_a_run_that_is_retried_now_still_waits_in_its_queue(kk_engine: VirtualEngine) -> None:
    @kk.task(id="retried-in-queue", retry=kk.Retry(max_attempts=2, min_timeout=3600, max_timeout=3600))
    async def fails() -> None:
        raise ValueError("always")

    run = fails.trigger()
    kk_engine.drain()
    kk.queues.pause("task/retried-in-queue")

    run.retry_now()
    kk_engine.drain()

    assert (run.status, run.refresh().retry_at, len(run.refresh().attempts)) == ("QUEUED", None, 1)
    assert "paused" in (run.refresh().queued_reason or "")
    kk.queues.resume("task/retried-in-queue")
    kk_engine.drain()
    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 2)
