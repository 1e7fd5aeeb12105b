from __future__ import annotations

from kernelkit.engine.apply import apply
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from tests.engine.samples import T0


def test_the_keys_of_an_hour_of_progress_do_not_pile_up_but_those_of_triggers_stay() -> None:
    state = State()
    apply(state, ev.RunTriggered(T0, "run_1", "resize", "task/resize", "shared"))
    apply(state, ev.OpDone(T0, "run_1", "trigger:child:1:1"))

    for number in range(10_000):
        apply(state, ev.OpDone(T0, "run_1", f"metadata::{number}:1"))

    ops = state.runs["run_1"].ops
    assert len(ops) <= 2_001
    assert {"trigger:child:1:1", "metadata::9999:1"} <= ops.keys()
