"""Who may run when, and how a run is stopped."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_20_1_a_limit_of_one_runs_one_after_another_in_order(stage: Stage) -> None:
    @kk.task(concurrency_limit=1)
    async def one_by_one(n: int) -> int:
        await asyncio.sleep(0.05)
        return n

    runs = [one_by_one.trigger(n=n) for n in range(4)]
    stage.finish()

    views = [run.refresh() for run in runs]
    for earlier, later in itertools.pairwise(views):
        assert earlier.finished_at is not None
        assert later.started_at is not None
        assert earlier.finished_at <= later.started_at


def test_20_a_queued_run_says_why_it_is_not_running(stage: Stage) -> None:
    @kk.task(queue=kk.Queue("reasons", concurrency_limit=1))
    async def slow() -> None:
        await asyncio.sleep(0.5)

    first, second, third = slow.trigger(), slow.trigger(), slow.trigger()
    stage.until(lambda: first.status == "EXECUTING")

    assert second.refresh().queued_reason == "queue reasons: 1 of 1 in use"
    assert third.refresh().queued_reason == "queue reasons: 1 of 1 in use, 1 run ahead"
    stage.finish()


def test_20_exclusive_workers_are_a_capacity_of_their_own(stage: Stage) -> None:
    @kk.task
    def hold() -> None:
        kk_signal.wait(0.5)

    kk_signal = _Waiter()
    runs = [hold.trigger() for _ in range(3)]
    stage.until(lambda: sum(run.status in ("EXECUTING", "COMPLETED") for run in runs) >= 2)

    reasons = [view.queued_reason for view in (run.refresh() for run in runs) if view.status == "QUEUED"]
    assert reasons in ([], ["no exclusive worker free: 2 of 2 in use"])
    stage.finish()
    assert all(run.result(timeout=20).ok for run in runs)


class _Waiter:
    """Something to block on that pickles."""

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)


def test_26_2_a_queued_run_is_canceled_at_once(stage: Stage) -> None:
    @kk.task(queue=kk.Queue("single", concurrency_limit=1))
    async def slow() -> None:
        await asyncio.sleep(0.5)

    first, second = slow.trigger(), slow.trigger()
    second.cancel()

    view = second.refresh()
    assert (view.status, view.attempts) == ("CANCELED", ())
    assert view.finished_at is not None
    stage.finish()
    assert first.status == "COMPLETED"


def test_26_3_an_executing_run_is_canceled_at_once_and_its_code_stops(stage: Stage) -> None:
    @kk.task
    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            kk.logger.info("stopped")

    run = endless.trigger()
    stage.until(lambda: run.status == "EXECUTING")
    run.cancel()

    assert run.status == "CANCELED"
    stage.until(lambda: run.refresh().finished_at is not None)
    assert run.refresh().attempts[0].status == "CANCELED"


def test_26_3_a_body_that_takes_the_signal_may_end_by_itself(stage: Stage) -> None:
    @kk.task
    async def polite(signal: kk.CancelSignal) -> str:
        await signal.wait()
        await asyncio.sleep(0.1)
        kk.metadata.set("reason", signal.reason)
        return "done"

    run = polite.trigger()
    stage.until(lambda: run.status == "EXECUTING")
    run.cancel(reason="enough")
    stage.finish()
    stage.until(lambda: run.refresh().finished_at is not None)

    view = run.refresh()
    assert (view.status, view.canceled_reason, view.metadata) == ("CANCELED", "enough", {"reason": "enough"})


def test_26_3_a_plain_function_is_interrupted(stage: Stage) -> None:
    @kk.task
    def spin() -> None:
        while True:
            time.sleep(0.01)

    run = spin.trigger()
    if stage.is_virtual:
        run.cancel()  # a spinning thread holds the virtual clock; the cancel needs none
    else:
        stage.until(lambda: run.status == "EXECUTING")
        run.cancel()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert run.status == "CANCELED"


def test_26_4_children_are_canceled_with_their_parent(stage: Stage) -> None:
    @kk.task
    async def child() -> None:
        await asyncio.sleep(3600)

    @kk.task
    async def parent() -> None:
        child.trigger()
        child.trigger()
        await asyncio.sleep(3600)

    child.register()
    run = parent.trigger()
    stage.until(lambda: run.refresh().children == 2)
    run.cancel()
    stage.until(lambda: len(kk.runs.list(task="child", status="CANCELED")) == 2)

    assert all(f"Parent {run.id} was canceled" == each.canceled_reason for each in kk.runs.list(task="child"))


def test_26_1_a_finished_run_is_left_as_it_is(stage: Stage) -> None:
    @kk.task
    async def swift() -> int:
        return 1

    run = swift.trigger()
    stage.finish()
    run.cancel()

    assert run.status == "COMPLETED"
