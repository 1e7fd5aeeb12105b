"""What the tests of waiting runs share: to see a run suspended, to let it go on, to lose its workers."""

from __future__ import annotations

from typing import Any

import kernelkit as kk
from kernelkit.testing import RealEngine, VirtualEngine
from tests.behaviour.conftest import Stage


def waits(stage: Stage, run: kk.RunHandle[Any], kind: str = "stream") -> None:
    """Return once the run is suspended on such a wait."""

    def is_waiting() -> bool:
        now = run.refresh()
        assert not now.is_completed, (now.status, now.error)
        return now.status == "WAITING" and [each.type for each in now.waiting_for] == [kind]

    stage.until(is_waiting)


def result(stage: Stage, run: kk.RunHandle[Any]) -> Any:
    """The output of a run that nothing holds up any more."""
    if stage.is_virtual:
        stage.engine.drain()
    return run.result(timeout=30).unwrap()


def lose_workers(stage: Stage) -> None:
    """Every worker process ends as by `kill -9`."""
    if isinstance(stage.engine, VirtualEngine):
        stage.engine.lose_workers()
    else:
        assert isinstance(stage.engine, RealEngine)
        stage.engine.kill_workers()


@kk.task
async def doubled(n: int) -> int:
    return 2 * n


@kk.task
def tripled(n: int) -> int:
    return 3 * n
