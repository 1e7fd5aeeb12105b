"""`ctx`: what a run is told about itself, in every field."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage


def test_33_every_field_of_ctx(stage: Stage) -> None:
    @kk.task(id="c-child", retry=kk.Retry(max_attempts=4, min_timeout=0.05, randomize=False))
    async def child(payload: Any, ctx: kk.Context) -> dict[str, Any]:
        if ctx.attempt.number == 1:
            kk.metadata.set("first", ctx.run.started_at.isoformat())
            raise ValueError("again")
        return {
            "attempt": [ctx.attempt.number, ctx.run.attempt.number],
            "began": [
                ctx.run.created_at.isoformat(),
                ctx.run.started_at.isoformat(),
                ctx.attempt.started_at.isoformat(),
            ],
            "task": [ctx.task.id, ctx.task.file_path],
            "run": [ctx.run.id, list(ctx.run.tags), ctx.run.is_test, ctx.run.is_replay, ctx.run.max_attempts],
            "limits": [ctx.run.max_duration, ctx.run.priority, ctx.run.version],
            "family": [ctx.run.parent_id, ctx.run.root_id, ctx.run.depth],
            "queue": [ctx.queue.id, ctx.queue.name],
            "batch": None if ctx.batch is None else ctx.batch.id,
            "machine": None if ctx.machine is None else ctx.machine.name,
            "environment": [ctx.environment.id, ctx.environment.slug, ctx.environment.type],
            "project": ctx.project.name,
        }

    run = child.options(tags=["a"], max_duration="5m", priority=3, test=True).trigger({"x": 1})
    stage.finish()

    told = run.result(timeout=20).output
    known = run.refresh()
    assert told["attempt"] == [2, 2]
    created, began, attempt = (datetime.fromisoformat(each) for each in told["began"])
    assert created == known.created_at
    assert began == known.started_at == datetime.fromisoformat(run.metadata["first"])
    assert began < attempt
    assert told["task"][0] == "c-child" and told["task"][1].endswith("test_33_context.py")
    assert told["run"] == [run.id, ["a"], True, False, 4]
    assert told["limits"] == [300, 3, known.version]
    assert told["family"] == [None, run.id, 0]
    assert told["queue"] == ["task/c-child", "task/c-child"]
    assert (told["batch"], told["machine"]) == (None, None)
    assert told["environment"] == ["dev", "dev", "DEVELOPMENT"]
    assert told["project"]


def test_33_ctx_is_frozen(stage: Stage) -> None:
    @kk.task(id="c-frozen")
    async def frozen(ctx: kk.Context) -> str:
        with pytest.raises(AttributeError):
            ctx.run.id = "other"  # type: ignore[misc]  # wrong on purpose
        return ctx.run.id

    run = frozen.trigger()
    stage.finish()

    assert run.result(timeout=20).output == run.id
