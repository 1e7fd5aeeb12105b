"""What code inside a run may ask and change: other runs, queues and schedules (api: "Inside a task")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine
from tests.behaviour.conftest import Stage


@kk.task(id="verbs-child")
async def child(x: int = 1) -> int:
    return x


@kk.task(id="verbs-scheduled")
async def scheduled(payload: kk.ScheduledPayload) -> None: ...


def test_a_plain_task_looks_at_runs(stage: Stage) -> None:
    @kk.task(retry=None)
    def looks(other: str) -> list[Any]:
        mine = child.trigger(x=7)
        found = kk.runs.retrieve(other)
        table = kk.sql(f"select status from runs where id = '{other}'")
        return [
            found.status,
            found.output,
            mine.refresh().parent_id,
            kk.runs.list(task="verbs-child").total > 1,
            table.rows,
        ]

    other = child.trigger(x=3)
    stage.finish()
    other.result(timeout=20)
    run = looks.trigger(other=other.id)
    stage.finish()

    assert run.result(timeout=20).output == ["COMPLETED", 3, run.id, True, [["COMPLETED"]]]


def test_an_async_task_looks_at_runs_on_a_thread(stage: Stage) -> None:
    @kk.task(retry=None)
    async def looks(other: str) -> list[Any]:
        with pytest.raises(kk.KernelKitError, match="to_thread"):
            kk.runs.retrieve(other)
        found = await asyncio.to_thread(kk.runs.retrieve, other)
        mine = child.trigger(x=8)
        return [found.output, (await asyncio.to_thread(mine.refresh)).parent_id]

    other = child.trigger(x=4)
    stage.finish()
    other.result(timeout=20)
    run = looks.trigger(other=other.id)
    stage.finish()

    assert run.result(timeout=20).output == [4, run.id]


def test_a_run_cancels_and_reschedules_others(stage: Stage) -> None:
    @kk.task(retry=None)
    def tidies(unwanted: str, late: str) -> list[Any]:
        canceled = kk.runs.cancel(unwanted, "tidied")
        moved = kk.runs.reschedule(late, delay=0)
        return [canceled.status, canceled.canceled_reason, moved.id == late]

    unwanted, late = child.options(delay="1d").trigger(), child.options(delay="1d").trigger(x=5)
    run = tidies.trigger(unwanted=unwanted.id, late=late.id)
    stage.finish()

    assert run.result(timeout=20).output == ["CANCELED", "tidied", True]
    assert late.result(timeout=20).output == 5


def test_a_run_spares_another_the_rest_of_its_backoff(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=86_400, max_timeout=86_400))
    async def down() -> int:
        if kk.ctx.attempt.number == 1:
            raise ConnectionError("down")
        return kk.ctx.attempt.number

    @kk.task(retry=None)
    async def looks(other: str) -> bool:
        return (await asyncio.to_thread(kk.runs.retry_now, other)).retry_at is None

    other = down.trigger()
    stage.until(lambda: other.refresh().retry_at is not None)
    run = looks.trigger(other=other.id)
    stage.finish()

    assert run.result(timeout=20).output is True
    assert other.result(timeout=20).output == 2


def test_a_run_sees_to_queues_and_schedules(stage: Stage) -> None:
    @kk.task(retry=None, queue=kk.Queue("verbs-queue", concurrency_limit=3))
    async def manages(user_id: str) -> list[Any]:
        def manage() -> list[Any]:
            kk.queues.set_concurrency("verbs-queue", 2)
            made = [
                kk.schedules.create(
                    task="verbs-scheduled", cron="0 8 1 1 *", external_id=user_id, deduplication_key=f"verbs-{user_id}"
                ).id
                for _ in range(2)
            ]
            kk.schedules.deactivate(made[0])
            return [kk.queues.retrieve("verbs-queue").concurrency_limit, len(set(made))]

        return await asyncio.to_thread(manage)

    scheduled.register()
    run = manages.trigger(user_id="ada")
    stage.finish()

    assert run.result(timeout=20).output == [2, 1]
    (schedule,) = kk.schedules.list(external_id="ada")
    assert not schedule.active
    schedule.delete()


def test_a_replay_inside_a_run_is_made_once(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.01))
    def replays(other: str, ctx: kk.Context) -> str:
        with pytest.raises(kk.KernelKitError, match="step"):
            kk.runs.replay(other)
        again: str = kk.step("again", lambda: kk.runs.replay(other).id).result()
        if ctx.attempt.number == 1:
            raise ValueError("after the replay")
        return again

    other = child.options(tags=["verbs-replayed"]).trigger(x=6)
    stage.finish()
    run = replays.trigger(other=other.id)
    stage.finish()

    again = run.result(timeout=20).output
    stage.finish()
    assert kk.runs.retrieve(again).is_replay
    assert kk.runs.list(tag="verbs-replayed").total == 2


def test_an_unknown_run_is_refused_where_the_call_stands(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=None)
    def asks() -> str:
        try:
            kk.runs.cancel("run_000000000000000000")
        except kk.UnknownRunError as error:
            return type(error).__name__
        return "nothing"

    assert asks.trigger().result(timeout=10).output == "UnknownRunError"
