"""What the documents say of a whole project: hooks in `init`, machine presets, and which ends are no failures."""

from __future__ import annotations

from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.models.machine import GIB, PRESETS
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage, until

INIT = """
import kernelkit as kk


@kk.tasks.on_start
def started(ctx, payload, task):
    kk.logger.info(f"Run started {task}")


@kk.tasks.on_success
def finished(ctx, output):
    kk.logger.info(f"Run finished {output}")


@kk.tasks.on_failure
async def failed(ctx, error):
    kk.logger.info(f"Run failed {error}")
"""


def test_hooks_of_init_run_for_every_task_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_text(INIT)

    @kk.task
    async def in_project(x: int) -> int:
        return x

    @kk.task(retry=None)
    def fails_in_project() -> None:
        raise ValueError("no")

    with engine(home=tmp_path / ".kernelkit", real_time=True, workers=1):
        good, bad = in_project.trigger(x=3), fails_in_project.trigger()
        assert (good.result(timeout=30).output, bad.result(timeout=30).ok) == (3, False)

        until(lambda: [line.text for line in good.logs().lines] == ["Run started in-project", "Run finished 3"])
        until(lambda: [line.text for line in bad.logs().lines] == ["Run started fails-in-project", "Run failed no"])


@pytest.mark.parametrize(
    ("preset", "cpu", "memory_gb"),
    [
        ("micro", 0.25, 0.25),
        ("small-1x", 0.5, 0.5),
        ("small-2x", 1, 1),
        ("medium-1x", 1, 2),
        ("medium-2x", 2, 4),
        ("large-1x", 4, 8),
        ("large-2x", 8, 16),
    ],
)
def test_the_table_of_machines(preset: str, cpu: float, memory_gb: float) -> None:
    assert len(PRESETS) == 7
    assert (PRESETS[preset].cpu, PRESETS[preset].memory) == (cpu, memory_gb * GIB)


def test_a_heavy_task_has_its_machine_and_its_limit() -> None:
    @kk.task(machine="large-2x", max_duration=1800)
    async def heavy_computation(ctx: kk.Context) -> list[object]:
        assert ctx.machine is not None
        return [ctx.machine.name, ctx.machine.cpu, ctx.machine.memory, ctx.run.max_duration]

    with engine(machine_vcpus=16, machine_memory_bytes=64 * GIB) as eng:
        run = heavy_computation.trigger()
        eng.drain()
        assert run.result(timeout=5).output == ["large-2x", 8.0, 16.0, 1800.0]


def test_on_failure_is_for_failures_not_for_cancels(stage: Stage) -> None:
    @kk.task(retry=None)
    async def ends_somehow() -> None:
        raise ValueError("no")

    @ends_somehow.on_failure
    async def alert(error: BaseException) -> None:
        kk.logger.info(f"alert: {error}")

    failed, canceled = ends_somehow.trigger(), ends_somehow.options(delay="1h").trigger()
    canceled.cancel()
    stage.finish()

    assert (failed.status, canceled.status) == ("FAILED", "CANCELED")
    stage.until(lambda: [line.text for line in failed.logs().lines] == ["alert: no"])
    assert canceled.logs().lines == ()
