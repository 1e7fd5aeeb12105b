from __future__ import annotations

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.apply import apply
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from tests.engine.samples import T0, Engine


def test_an_event_that_breaks_the_table_of_moves_never_reaches_the_disk_unseen() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    with pytest.raises(AssertionError, match="run_1: CANCELED may not become COMPLETED"):
        apply(engine.state, ev.RunFinished(T0, "run_1", RunStatus.COMPLETED))
