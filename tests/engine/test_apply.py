from __future__ import annotations

from kernelkit.engine import commands as c
from kernelkit.engine.apply import apply
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item, spec
from tests.simulation.comparing import fields_of, indexes_of


def busy() -> Engine:
    """Runs in every situation: executing, in a short and a long backoff, queued, canceled while it runs."""
    engine = Engine(spec("a", concurrency_limit=2), spec("b", isolation="process"), spec("c", queue="images"))
    engine.trigger(*(item(f"run_a{n}", "a") for n in range(4)))
    engine.trigger(item("run_b", "b"), item("run_c", "c"))
    engine.report("run_c", m.ChildTrigger((item("run_child", "c"),), op="a"))
    engine.start("run_a0")
    engine.fail("run_a0")
    engine.take(c.CancelRun("run_b", "enough"))
    engine.take(c.WorkerAppeared("w1", 4711, 12.5, "boot"))
    engine.take(c.RetireWorker("w1"))
    return engine


def test_a_snapshot_gives_the_same_state_again_with_its_indexes() -> None:
    state = busy().state

    again = State.load(state.dump())

    assert fields_of(again) == fields_of(state)
    assert indexes_of(again) == indexes_of(state)


def test_the_log_written_as_text_folds_to_the_same_state() -> None:
    engine = busy()

    again = State()
    for event in engine.log:
        apply(again, ev.from_json(ev.to_json(event)))

    assert fields_of(again) == fields_of(engine.state)
    assert indexes_of(again) == indexes_of(engine.state)


def test_every_event_has_a_handler_and_survives_the_trip_through_text() -> None:
    kinds = {type(event) for event in busy().log}

    assert {ev.TaskDefined, ev.RunTriggered, ev.WorkerPlanned, ev.RunDispatched, ev.AttemptFailed} <= kinds
    for event in busy().log:
        assert ev.from_json(ev.to_json(event)) == event
