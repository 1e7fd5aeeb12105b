"""Ending a body early, and work that outlives it."""

from __future__ import annotations

import asyncio

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_30_1_complete_task_with_output_ends_a_run_well(stage: Stage) -> None:
    @kk.task
    async def awaiting() -> str:
        raise kk.CompleteTaskWithOutput("early")

    @kk.task
    def plain() -> dict[str, str]:
        raise kk.CompleteTaskWithOutput({"why": "early"})

    first, second = awaiting.trigger(), plain.trigger()
    stage.finish()

    assert (first.status, second.status) == ("COMPLETED", "COMPLETED")
    assert first.result(timeout=5).output == "early"
    assert second.result(timeout=5).output == {"why": "early"}
    assert len(first.refresh().attempts) == 1


def test_34_4_a_run_is_not_over_before_what_it_waits_for(stage: Stage) -> None:
    @kk.task
    async def awaiting() -> str:
        async def later() -> None:
            await asyncio.sleep(0.05)
            kk.metadata.set("later", "done")

        kk.wait_until_done(later())
        return "body"

    @kk.task
    def plain() -> str:
        async def later() -> None:
            kk.metadata.set("later", "done")

        kk.wait_until_done(later())
        return "body"

    runs = [awaiting.trigger(), plain.trigger()]
    stage.finish()

    for run in runs:
        assert run.result(timeout=5).output == "body"
        assert run.metadata == {"later": "done"}


def test_34_4_a_cancel_ends_what_outlives_the_body(stage: Stage) -> None:
    @kk.task(retries=1)
    async def outlived() -> None:
        kk.metadata.set("began", True)
        kk.wait_until_done(asyncio.sleep(3_600))

    run = outlived.trigger()
    stage.until(lambda: run.metadata.get("began") is True)
    run.cancel()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert run.status == "CANCELED"


def test_34_4_hooks_come_before_the_end_of_what_outlives_the_body(stage: Stage) -> None:
    async def later() -> None:
        await asyncio.sleep(0.05)
        kk.metadata.append("order", "later")

    def told(output: object) -> None:
        kk.metadata.append("order", output)

    @kk.task(on_success=told)
    async def awaiting() -> str:
        kk.wait_until_done(later())
        raise kk.CompleteTaskWithOutput("early")

    @kk.task(on_success=told)
    def plain() -> str:
        kk.wait_until_done(later())
        raise kk.CompleteTaskWithOutput("early")

    runs = [awaiting.trigger(), plain.trigger()]
    stage.finish()

    assert [run.status for run in runs] == ["COMPLETED", "COMPLETED"]
    assert [run.metadata for run in runs] == [{"order": ["early", "later"]}] * 2
