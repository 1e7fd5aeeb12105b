from __future__ import annotations

from kernelkit.engine import commands as c
from kernelkit.engine.decide import next_due
from tests.engine.samples import SECOND, T0, Engine


def test_a_trigger_with_a_free_slot_is_dispatched_in_the_same_step() -> None:
    assert Engine().trigger("run_1") == ["RunTriggered", "WorkerPlanned", "RunDispatched"]


def test_a_retry_is_due_at_its_moment_and_not_before() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.fail("run_1")

    assert next_due(engine.state) == T0 + SECOND
    assert engine.pass_time(0.999) == []
    assert engine.pass_time(0.001) == ["RetryDue", "RunDispatched"]
    assert next_due(engine.state) is None


def test_a_timer_of_a_canceled_run_is_forgotten() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.fail("run_1")

    engine.take(c.CancelRun("run_1", "enough"))

    assert next_due(engine.state) is None
    assert engine.pass_time(60) == []
