"""What the documents say of waiting, example by example: children and their results, waits, hooks around them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage

Json = dict[str, Any]


@kk.task(retry=None)
async def child_task(data: str) -> str:
    if data == "bad":
        raise ValueError("bad data")
    return data.upper()


def test_trigger_and_wait_gives_a_result_and_unwrap_its_output(stage: Stage) -> None:
    @kk.task(retry=None)
    async def parent_task() -> list[Any]:
        handle = child_task.trigger(data="forgotten")
        result = await child_task.trigger_and_wait(data="value")
        failed = await child_task.trigger_and_wait(data="bad")
        output = await child_task.trigger_and_wait(data="unwrapped").unwrap()
        try:
            await child_task.trigger_and_wait(data="bad").unwrap()
        except kk.SubtaskError as error:
            raised = type(error).__name__
        results = await child_task.batch_trigger_and_wait([{"data": "item1"}, {"data": "item2"}])
        return [
            handle.id,
            result.output if result.ok else result.error,
            failed.ok or (failed.error and failed.error.message),
            output,
            raised,
            [each.output for each in results],
        ]

    child_task.register()
    run = parent_task.trigger()
    stage.finish()

    forgotten, *rest = run.result(timeout=60).unwrap()
    assert rest == ["VALUE", "bad data", "UNWRAPPED", "SubtaskError", ["ITEM1", "ITEM2"]]
    stage.until(lambda: kk.runs.retrieve(forgotten).output == "FORGOTTEN")
    assert kk.runs.list(parent=run.id, limit=100).total == 7


@kk.task
async def task_with_waits() -> bool:
    await kk.wait.for_(seconds=30)
    await kk.wait.for_(minutes=5)
    await kk.wait.until(datetime(2124, 12, 25, tzinfo=UTC))
    approval = await kk.wait.for_token("user-approval-token", timeout=3600)
    return approval.ok


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_task_waits_for_time_a_moment_and_an_approval(is_approved: bool) -> None:
    with engine(now=datetime(2124, 12, 24, 23, tzinfo=UTC)) as eng:
        run = task_with_waits.trigger()
        eng.advance(seconds=31)
        assert run.refresh().waiting_for[0].type == "duration"
        eng.advance(hours=1)
        assert run.refresh().waiting_for[0].shown == "user-approval-token"
        if is_approved:
            kk.tokens.complete("user-approval-token", {"approved": True})
        eng.advance(hours=1)
        assert run.output is is_approved
        assert run.refresh().usage.total_compute_s < 5, "waits of over 5 seconds are no compute"


def test_the_database_is_let_go_while_a_run_waits(stage: Stage) -> None:
    db_local: kk.Local[Json] = kk.locals.create("waiting-db")

    def connect(db: Json, now: bool) -> None:
        db["is_open"] = now
        kk.metadata.append("db", "connected" if now else "disconnected")

    @kk.tasks.middleware("waiting-db")
    async def middleware(ctx: kk.Context, payload: Any, next: Any, task: str) -> None:
        db = kk.locals.set(db_local, {})
        connect(db, True)
        await next()
        connect(db, False)

    @kk.tasks.on_wait("waiting-db")
    async def disconnect(ctx: kk.Context, payload: Any, task: str) -> None:
        connect(kk.locals.get_or_raise(db_local), False)

    @kk.tasks.on_resume("waiting-db")
    async def reconnect(ctx: kk.Context, payload: Any, task: str) -> None:
        connect(kk.locals.get_or_raise(db_local), True)

    @kk.task
    async def uses_the_database() -> list[Any]:
        before = kk.locals.get_or_raise(db_local)["is_open"]
        found = await kk.wait.for_token(f"database-{kk.ctx.run.id}").unwrap()
        return [before, found, kk.locals.get_or_raise(db_local)["is_open"]]

    run = uses_the_database.trigger()
    stage.until(lambda: run.status == "WAITING")
    assert run.refresh().metadata["db"] == ["connected", "disconnected"]

    kk.tokens.complete(f"database-{run.id}", "row")
    stage.finish()

    assert run.result(timeout=60).unwrap() == [True, "row", True]
    assert run.refresh().metadata["db"] == ["connected", "disconnected"] * 2


def test_on_wait_and_on_resume_are_given_the_wait() -> None:
    @kk.task
    async def my_task() -> None:
        await kk.wait.for_(seconds=10)

    @my_task.on_wait
    async def paused(wait: Any) -> None:
        kk.metadata.append("told", f"Run paused {wait.type}")

    @my_task.on_resume
    async def resumed(wait: Any) -> None:
        kk.metadata.append("told", f"Run resumed {wait.type}")

    with engine() as eng:
        run = my_task.trigger()
        eng.drain()
        assert run.refresh().metadata == {"told": ["Run paused duration"]}
        eng.advance(seconds=10)
        assert run.refresh().metadata == {"told": ["Run paused duration", "Run resumed duration"]}
        assert run.status == "COMPLETED"
