from __future__ import annotations

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.apply import apply
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item


def test_a_cancel_reaches_the_end_of_a_very_long_chain() -> None:
    # It was a recursion, and a chain of a thousand runs was longer than the stack is deep.
    engine = Engine()
    engine.trigger("run_0")
    for depth in range(1, 1_500):
        apply(engine.state, ev.RunTriggered(0, f"run_{depth}", "resize", "q", "shared", parent_id=f"run_{depth - 1}"))

    canceled = engine.events(c.CancelRun("run_0", "no more"))

    assert len(canceled) == 1_500


def test_a_canceled_run_takes_its_children_along_and_keeps_its_slot_until_its_code_has_stopped() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.report("run_1", m.ChildTrigger((item("run_2"), item("run_3")), op="a"))
    engine.start("run_2")

    events = engine.events(c.CancelRun("run_1", "no longer needed"))

    assert events == ["RunCanceled"] * 3
    assert engine.run("run_1").canceled_reason == "no longer needed"
    assert engine.run("run_2").canceled_reason == "Parent run_1 was canceled"
    assert engine.state.holders == {"run_1", "run_2", "run_3"}
    assert engine.report("run_1", m.Stopped(engine.now)) == ["AttemptStopped"]
    assert engine.state.holders == {"run_2", "run_3"}


@pytest.mark.parametrize("run_id", ["run_unknown", "run_1"])
def test_canceling_what_is_not_there_or_canceled_already_changes_nothing(run_id: str) -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    assert engine.events(c.CancelRun(run_id, "again")) == []


def test_a_canceled_queued_run_is_over_at_once() -> None:
    engine = Engine(capacity=c.Capacity(attempts=1))
    engine.trigger("run_1", "run_2")

    engine.take(c.CancelRun("run_2", "enough"))

    assert list(engine.state.runs) == ["run_1"]


def test_a_child_that_a_canceled_run_still_triggers_is_canceled_with_it() -> None:
    # The body goes on until it heeds the cancel; the simulation found that what it started meanwhile was left running.
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    events = engine.report("run_1", m.ChildTrigger((item("run_2"),), op="a"))

    assert events == ["RunTriggered", "RunCanceled", "OpDone"]
    assert "run_2" not in engine.state.runs
