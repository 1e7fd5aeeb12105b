"""Waiting runs, by the paragraphs of the specification's sections 16, 17, 19 and what was decided about them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import doubled, result, tripled, waits

pytestmark = pytest.mark.timeout(120)


# ---- §16, §13: children ----------------------------------------------------------------------------------------------


@kk.task(retry=None)
async def broken_child() -> None:
    raise ValueError("the disk is full")


def test_16_1_a_parent_waits_for_its_child_and_gets_its_result(stage: Stage) -> None:
    @kk.task
    async def parent_of_one() -> list[Any]:
        first = await doubled.trigger_and_wait(n=1)
        handle = tripled.trigger(n=5)
        second = await handle
        return [first.ok, first.output, first.task_id, second.output, second.id == handle.id]

    run = parent_of_one.trigger()

    assert result(stage, run) == [True, 2, "doubled", 15, True]
    assert [attempt.status for attempt in run.refresh().attempts] == ["COMPLETED"]


def test_16_2_unwrap_chains_and_raises_what_the_child_failed_with(stage: Stage) -> None:
    @kk.task
    async def unwrapping() -> list[Any]:
        value = await doubled.trigger_and_wait(n=4).unwrap()
        failed = await broken_child.trigger_and_wait()
        try:
            await broken_child.trigger_and_wait().unwrap()
        except kk.SubtaskError as error:
            return [value, failed.ok, failed.error and failed.error.message, error.task_id]
        return []

    assert result(stage, unwrapping.trigger()) == [8, False, "the disk is full", "broken-child"]


def test_15_13_results_of_a_batch_come_in_the_order_of_its_items_and_one_failure_stops_none(stage: Stage) -> None:
    @kk.task
    async def parent_of_many() -> list[Any]:
        numbers = await doubled.batch_trigger_and_wait([{"n": n} for n in range(20)])
        mixed = await kk.batch.trigger_and_wait([(doubled, {"n": 50}), ("broken-child", None), (tripled, {"n": 2})])
        empty = await doubled.batch_trigger_and_wait([])
        byid = await kk.tasks.batch_trigger_and_wait("tripled", [{"n": 7}])
        return [[each.output for each in numbers], [each.ok for each in mixed], empty, byid[0].output]

    broken_child.register()
    expected = [[2 * n for n in range(20)], [True, False, True], [], 21]
    assert result(stage, parent_of_many.trigger()) == expected


def test_13_2_gather_over_handles_and_waits(stage: Stage) -> None:
    @kk.task
    async def gathering() -> list[Any]:
        handles = [doubled.trigger(n=n) for n in range(3)]
        both = await asyncio.gather(*handles, tripled.trigger_and_wait(n=9), kk.wait.for_(0))
        async with asyncio.TaskGroup() as group:
            first = group.create_task(_output(doubled.trigger(n=100)))
        return [*[each.output for each in both if each is not None], first.result()]

    assert result(stage, gathering.trigger()) == [0, 2, 4, 27, 200]


async def _output(handle: kk.RunHandle[int]) -> int:
    return (await handle).output


def test_16_1_plain_tasks_wait_by_result(stage: Stage) -> None:
    @kk.task
    def plain_parent() -> list[Any]:
        first = doubled.trigger_and_wait(n=1).unwrap().result()
        second = tripled.trigger(n=2).result().output
        many = doubled.batch_trigger_and_wait([{"n": n} for n in range(3)]).result()
        kk.wait.for_(0).result()
        return [first, second, [each.output for each in many]]

    assert result(stage, plain_parent.trigger()) == [2, 6, [0, 2, 4]]


def test_a_call_that_waits_and_is_never_awaited_fails_the_attempt_and_is_named(stage: Stage) -> None:
    @kk.task(retries=3)
    async def forgetful() -> str:
        doubled.trigger_and_wait(n=1)
        return "done"

    run = forgetful.trigger()
    if stage.is_virtual:
        stage.engine.drain()
    ended = run.result(timeout=30)

    assert ended.status == "FAILED" and ended.error is not None
    assert ended.error.name == "NeverAwaitedError"
    assert "doubled.trigger_and_wait(…)" in ended.error.message and ", line " in ended.error.message
    assert run.refresh().children == 0
    assert len(run.refresh().attempts) == 1


def test_a_pending_outside_of_a_run_triggers_and_follows(stage: Stage) -> None:
    pending = doubled.trigger_and_wait(n=21)
    run = doubled.trigger(n=1)
    if stage.is_virtual:
        assert run.result(timeout=30).output == 2
        return
    assert pending.unwrap().result(timeout=30) == 42


# ---- §17: time -------------------------------------------------------------------------------------------------------


def test_17_2_short_waits_are_slept_through_and_no_wait_takes_no_time(stage: Stage) -> None:
    @kk.task
    async def napping() -> str:
        await kk.wait.for_(0)
        await kk.wait.until(datetime(2020, 1, 1, tzinfo=UTC))
        await kk.wait.for_(seconds=0.05)
        return "awake"

    run = napping.trigger()
    stage.finish()

    assert run.result(timeout=30).output == "awake"


def test_17_2_a_moment_that_is_over_is_an_error_where_that_was_asked_for(stage: Stage) -> None:
    @kk.task(retry=None)
    async def too_late() -> None:
        await kk.wait.until(datetime(2020, 1, 1, tzinfo=UTC), raise_if_past=True)

    run = too_late.trigger()
    stage.finish()

    assert run.error is not None and "2020-01-01" in run.error.message and "is over" in run.error.message


def test_17_1_waits_outside_of_a_run_are_refused(stage: Stage) -> None:
    with pytest.raises(kk.NotInTaskError, match=r"kk.wait.for_\(…\) works only while a task is running"):
        kk.wait.for_(minutes=5)
    with pytest.raises(kk.NotInTaskError):
        kk.step("charge", print)


def test_17_3_a_long_wait_suspends_and_is_over_at_its_time() -> None:
    @kk.task
    async def sleepy() -> str:
        await kk.wait.for_(hours=24)
        return "rested"

    with engine(concurrency_limit=1) as eng:
        run, other = sleepy.trigger(), doubled.trigger(n=1)
        eng.drain()
        assert (run.status, other.status) == ("WAITING", "COMPLETED")
        assert str(run.refresh().waiting_for[0]).startswith("time, until ")
        eng.advance(hours=23)
        assert run.status == "WAITING"
        eng.advance(hours=2)
        assert run.output == "rested"
        assert run.refresh().usage.total_compute_s < 1


def test_17_4_waits_with_one_key_share_the_moment_of_the_first() -> None:
    @kk.task
    async def keyed(hours: int) -> float:
        await kk.wait.for_(hours=hours, idempotency_key="release")
        return datetime.now(UTC).timestamp()

    with engine() as eng:
        first = keyed.trigger(hours=2)
        eng.advance(hours=1)
        second = keyed.trigger(hours=100)
        eng.advance(minutes=90)
        third = keyed.trigger(hours=100)
        eng.drain()
        assert [run.status for run in (first, second, third)] == ["COMPLETED"] * 3
        assert not kk.tokens.list()


def test_suspended_time_is_no_part_of_max_duration() -> None:
    @kk.task(max_duration=60, retry=None)
    async def patient() -> str:
        await kk.wait.for_(hours=2)
        await asyncio.sleep(30)
        await kk.wait.for_(hours=2)
        await asyncio.sleep(45)
        return "never"

    with engine() as eng:
        run = patient.trigger()
        eng.advance(hours=3)
        assert run.status == "WAITING"
        eng.advance(hours=3)
        assert run.status == "TIMED_OUT"


def test_a_run_that_does_something_beside_its_wait_keeps_its_slot() -> None:
    @kk.task
    async def busy() -> str:
        await asyncio.gather(kk.wait.for_(hours=1), asyncio.sleep(600))
        return "both"

    with engine() as eng:
        run = busy.trigger()
        eng.advance(minutes=5)
        assert run.status == "EXECUTING"
        eng.advance(minutes=10)
        assert run.status == "WAITING"
        eng.advance(hours=1)
        assert run.output == "both"


# ---- §19: slots ------------------------------------------------------------------------------------------------------


@kk.task
async def link(left: int, plain_each: int) -> int:
    if not left:
        return 0
    task = "plain-link" if left % plain_each == 0 else "link"
    return 1 + int(await kk.tasks.trigger_and_wait(task, {"left": left - 1, "plain_each": plain_each}).unwrap())


@kk.task
def plain_link(left: int, plain_each: int) -> int:
    if not left:
        return 0
    child = {"left": left - 1, "plain_each": plain_each}
    return 1 + int(kk.tasks.trigger_and_wait("link", child).unwrap().result())


def check_chain(stage: Stage, depth: int, plain_each: int) -> None:
    link.register()
    plain_link.register()
    run = link.trigger(left=depth, plain_each=plain_each)
    stage.finish()

    ended = run.result(timeout=90)
    assert (ended.output, ended.error) == (depth, None)
    below = kk.runs.list(root=run.id, limit=100)
    assert below.total == depth + 1, "as many runs as links, none of them twice"
    assert kk.runs.list(root=run.id, task="plain-link").total == depth // plain_each


def test_19_7_a_chain_of_200_waiting_runs_ends_on_one_slot() -> None:
    with engine(concurrency_limit=1) as eng:
        check_chain(Stage(eng), 200, 4)


def test_19_7_a_chain_of_waiting_runs_ends_on_one_slot_of_real_workers(tmp_path: Path) -> None:
    with engine(home=tmp_path, real_time=True, concurrency_limit=1) as eng:
        check_chain(Stage(eng), 20, 5)


def test_cancel_of_a_waiting_run_ends_it_and_its_children(stage: Stage) -> None:
    @kk.task
    async def never_ending() -> None:
        await kk.wait.for_token(f"never-{kk.ctx.run.id}")

    @kk.task(on_cancel=lambda: kk.metadata.set("called", True))
    async def canceled_parent() -> None:
        await never_ending.trigger_and_wait()

    never_ending.register()
    run = canceled_parent.trigger()
    waits(stage, run, "task")
    child = kk.runs.list(parent=run.id)[0]

    assert run.cancel().status == "CANCELED"

    assert kk.runs.retrieve(child.id).status == "CANCELED"
    assert "called" not in run.refresh().metadata  # a suspended run is not asked


# ---- §29.11: hooks ---------------------------------------------------------------------------------------------------


def test_29_11_hooks_around_waits_are_told_what_is_waited_for(stage: Stage) -> None:
    def note(kind: str) -> Any:
        async def hook(wait: Any) -> None:
            kk.metadata.append("order", f"{kind} {wait.type}")

        return hook

    @kk.task(on_wait=note("wait"), on_resume=note("resume"))
    async def hooked() -> None:
        await kk.wait.for_(0.01)
        await doubled.trigger_and_wait(n=1)
        await doubled.batch_trigger_and_wait([{"n": 1}, {"n": 2}])
        kk.tokens.complete(f"hooked-{kk.ctx.run.id}")
        await kk.wait.for_token(f"hooked-{kk.ctx.run.id}")

    run = hooked.trigger()
    stage.finish()
    run.result(timeout=30).unwrap()

    kinds = ("task", "batch", "token")
    assert run.refresh().metadata["order"] == [f"{when} {kind}" for kind in kinds for when in ("wait", "resume")]


def test_29_5_an_error_of_such_a_hook_is_raised_where_the_wait_stands(stage: Stage) -> None:
    def refuse() -> None:
        raise RuntimeError("not now")

    @kk.task(on_wait=refuse)
    def refused() -> str:
        try:
            doubled.trigger_and_wait(n=1).result()
        except RuntimeError as error:
            return str(error)
        return "no error"

    assert result(stage, refused.trigger()) == "not now"


def test_waits_in_hooks_and_steps_are_refused(stage: Stage) -> None:
    async def in_a_step() -> str:
        try:
            await doubled.trigger_and_wait(n=1)
        except kk.NotInTaskError as error:
            return str(error)
        return "no error"

    @kk.task
    async def stepping() -> str:
        return await kk.step("inner", in_a_step)

    assert "cannot wait inside kk.step('inner', …)" in result(stage, stepping.trigger())
