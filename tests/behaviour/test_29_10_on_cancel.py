"""The hook `on_cancel` (29.10): it runs beside the body that is being stopped, and has its time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage, until
from tests.behaviour.hooks import (
    errors_in_log,
    note,
    order,
)

pytestmark = pytest.mark.usefixtures("no_hooks_left")


def test_29_10_on_cancel_runs_beside_the_body_and_sees_its_end(stage: Stage) -> None:
    @kk.task
    async def polite(signal: kk.CancelSignal) -> str:
        note("body")
        await signal.wait()
        await asyncio.sleep(0.05)
        note("body obeys")
        return "half of it"

    @polite.on_cancel
    async def save(run: Any) -> None:
        note("on_cancel")
        note(f"saved {await run}")

    @polite.on_complete
    def complete() -> None:
        note("on_complete")

    @polite.cleanup
    def clean() -> None:
        note("cleanup")

    run = polite.trigger()
    stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.finish()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert run.status == "CANCELED"
    assert order(run) == ["body", "on_cancel", "body obeys", "saved half of it", "cleanup"]


def test_29_10_a_body_without_the_signal_is_stopped_and_the_hook_still_has_its_time(stage: Stage) -> None:
    @kk.task
    async def endless() -> None:
        note("body")
        await asyncio.sleep(3600)

    @kk.tasks.on_cancel
    async def everywhere() -> None:
        await asyncio.sleep(0.2)
        note("global")

    @endless.on_cancel
    async def own(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            await run
        note("own")
        raise ValueError("ends the rest")

    @endless.on_cancel
    def rest() -> None:
        note("never")

    run = endless.trigger()
    stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.finish()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert (run.status, order(run)) == ("CANCELED", ["body", "global", "own"])
    assert "ends the rest" in errors_in_log(stage, run, 1)[0]


def test_29_10_a_plain_body_is_interrupted_and_its_hook_runs_beside_it(stage: Stage) -> None:
    @kk.task
    def spins() -> None:
        note("body")
        while True:
            time.sleep(0.01)

    @spins.on_cancel
    async def waits(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            await run
        note("async hook")

    @spins.on_cancel
    def blocks(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            run.result(timeout=10)
        note(f"plain hook beside {threading.current_thread() is not threading.main_thread()}")

    @spins.cleanup
    def clean() -> None:
        note("cleanup")

    run = spins.trigger()
    if stage.is_virtual:
        until(lambda: order(run) == ["body"])  # a spinning thread holds the virtual clock
    else:
        stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert (run.status, order(run)) == ("CANCELED", ["body", "async hook", "plain hook beside True", "cleanup"])


def test_29_10_on_cancel_has_30_seconds() -> None:
    @kk.task
    async def endless() -> None:
        await asyncio.sleep(3600)

    @endless.on_cancel
    async def slow() -> None:
        note("begins")
        await asyncio.sleep(31)
        note("never")

    with engine() as eng:
        run = endless.trigger()
        eng.drain()
        run.cancel()
        eng.advance(seconds=29.9)
        assert run.refresh().finished_at is None
        eng.advance(seconds=0.2)
        view = run.refresh()

        assert view.finished_at is not None
        assert order(run) == ["begins"]
        assert any("on_cancel took longer than 30 s" in line.text for line in run.logs().lines)


def test_29_10_a_run_canceled_in_its_queue_calls_no_hook(stage: Stage) -> None:
    @kk.task(queue=kk.Queue("single-cancel", concurrency_limit=1))
    async def slow() -> None:
        await asyncio.sleep(0.5)

    @slow.on_cancel
    def told() -> None:
        note("on_cancel")

    first, second = slow.trigger(), slow.trigger()
    second.cancel()
    stage.finish()

    assert (first.status, second.status, order(second)) == ("COMPLETED", "CANCELED", [])
