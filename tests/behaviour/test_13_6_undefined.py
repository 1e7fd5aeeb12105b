"""A trigger of a task that nobody has defined (§13.6, decision 11): refused, or waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def test_13_6_an_unknown_id_is_an_error_unless_it_may_be_undefined(stage: Stage) -> None:
    with pytest.raises(kk.UnknownTaskError, match="There is no task 'not-yet'"):
        kk.tasks.trigger("not-yet", {"n": 1})
    with pytest.raises(kk.InvalidOptionError, match="allow_undefined='yes' is not True or False"):
        kk.tasks.trigger("not-yet", {"n": 1}, allow_undefined="yes")


def test_13_6_a_run_waits_until_its_task_is_defined(stage: Stage) -> None:
    name = _not_yet(stage, "late-one")
    run = kk.tasks.trigger(name, {"n": 20}, allow_undefined=True)
    waiting = run.refresh()
    assert (waiting.status, waiting.queue) == ("PENDING_VERSION", f"task/{name}")
    assert waiting.queued_reason == f"no client has defined the task {name} yet"
    assert kk.runs.list(status="PENDING_VERSION", task=name).total == 1

    @kk.task(id=name, tags=["by-definition"], queue="late-queue", max_duration="5m")
    def late_one(n: int) -> int:
        return n + 1

    late_one.register()
    stage.finish()

    assert run.result(timeout=30).output == 21
    ended = run.refresh()
    assert (ended.tags, ended.queue, ended.max_duration) == (("by-definition",), "late-queue", 300)
    assert ended.version is not None


def test_13_6_what_the_trigger_said_stands(stage: Stage) -> None:
    name = _not_yet(stage, "late-two")
    run = kk.tasks.trigger(
        name, None, allow_undefined=True, tags=["mine"], queue=kk.Queue("mine", concurrency_limit=1), ttl="2h"
    )

    @kk.task(id=name, tags=["theirs"], queue="theirs", ttl="1h")
    async def late_two() -> None: ...

    late_two.register()
    made = run.refresh()

    assert (made.tags, made.queue, made.ttl) == (("mine",), "mine", 7_200)
    stage.finish()
    assert run.result(timeout=30).ok


def test_13_6_a_waiting_run_can_be_canceled(stage: Stage) -> None:
    run = kk.tasks.trigger("never-there", None, allow_undefined=True)

    assert run.cancel().status == "CANCELED"
    assert run.result(timeout=30).error is not None


def test_13_6_a_batch_may_name_tasks_that_are_to_come(stage: Stage) -> None:
    name = _not_yet(stage, "late-three")
    batch = kk.tasks.batch_trigger(name, [1, kk.Item(2, tags=["b"])], allow_undefined=True)
    assert (batch.counts, batch.errors) == ({"PENDING_VERSION": 2}, ())

    @kk.task(id=name)
    async def late_three(payload: int) -> int:
        return -payload

    late_three.register()
    stage.finish()
    assert [result.output for result in batch.result(timeout=30)] == [-1, -2]


def test_6_3_its_time_to_live_counts_from_its_definition() -> None:
    with engine() as eng:
        run = kk.tasks.trigger("late-four", None, allow_undefined=True, ttl="10m")
        eng.advance(hours=5)
        assert run.status == "PENDING_VERSION"

        @kk.task(queue=kk.Queue("full", concurrency_limit=1))
        async def holds() -> None:
            await asyncio.sleep(3_600)

        holds.trigger()

        @kk.task(queue="full")
        async def late_four() -> None: ...

        late_four.register()
        assert run.status == "QUEUED"
        eng.advance(minutes=9)
        assert run.status == "QUEUED"
        eng.advance(minutes=2)
        assert run.status == "EXPIRED"


def test_13_6_a_delay_is_waited_out_first() -> None:
    with engine() as eng:
        run = kk.tasks.trigger("late-five", None, allow_undefined=True, delay="1h")
        assert run.status == "DELAYED"
        eng.advance(hours=2)
        assert run.status == "PENDING_VERSION"

        @kk.task
        async def late_five() -> str:
            return "here"

        late_five.register()
        eng.drain()
        assert run.result().output == "here"


def test_13_6_it_waits_through_a_restart_of_the_engine(tmp_path: Path) -> None:
    with engine(home=tmp_path):
        run = kk.tasks.trigger("late-six", None, allow_undefined=True)
    with engine(home=tmp_path) as eng:
        assert kk.runs.retrieve(run.id).status == "PENDING_VERSION"

        @kk.task
        async def late_six() -> str:
            return "here"

        late_six.register()
        eng.drain()
        assert kk.runs.retrieve(run.id).output == "here"


def _not_yet(stage: Stage, name: str) -> str:
    """An id of its own for each engine: what this process has defined it tells every engine it meets."""
    return f"{name}-{'virtual' if stage.is_virtual else 'real'}"
