from __future__ import annotations

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.apply import apply
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.wire import messages as m
from tests.engine.samples import T0, Engine, item, spec
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


def test_an_event_that_breaks_the_table_of_moves_never_reaches_the_disk_unseen() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    with pytest.raises(AssertionError, match="run_1: CANCELED may not become COMPLETED"):
        apply(engine.state, ev.RunFinished(T0, "run_1", RunStatus.COMPLETED))


def test_every_event_has_a_handler_and_survives_the_trip_through_text() -> None:
    kinds = {type(event) for event in busy().log}

    assert {ev.TaskDefined, ev.RunTriggered, ev.WorkerPlanned, ev.RunDispatched, ev.AttemptFailed} <= kinds
    for event in busy().log:
        assert ev.from_json(ev.to_json(event)) == event


def test_old_code_is_kept_for_those_who_still_need_it_and_dropped_when_there_is_much_of_it() -> None:
    engine = Engine(spec(bundle="first"), capacity=c.Capacity(attempts=1))
    engine.trigger(item("run_1", bundle="first"))
    engine.trigger(item("run_2", bundle="first"))

    for number in range(300):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))

    assert {"first", "code-299"} <= engine.state.bundles.keys()
    assert len(engine.state.bundles) <= 64
    engine.succeed("run_1")
    assert engine.run("run_2").bundle == "first"


def test_code_that_is_used_again_counts_as_new() -> None:
    # What was dropped went by its first definition: the one a notebook triggered all day was the first to go.
    engine = Engine(spec(bundle="first"))
    for number in range(40):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))
    engine.trigger(item("run_1", bundle="first"))
    engine.succeed("run_1")
    engine.take(c.DefineTask(spec(bundle="code-1", fingerprint="f1")))

    for number in range(40, 64):
        engine.take(c.DefineTask(spec(bundle=f"code-{number}", fingerprint=f"f{number}")))

    assert len(engine.state.bundles) < 64, "some were dropped"
    assert {"first", "code-1"} <= engine.state.bundles.keys()
    assert "code-2" not in engine.state.bundles


def test_an_attempt_that_never_began_leaves_no_trace_in_the_run() -> None:
    engine = Engine(capacity=c.Capacity(attempts=1))
    engine.trigger("run_1")
    engine.capacity = c.Capacity(attempts=0)

    engine.take(c.AttemptNeverArrived("run_1", "f1"))

    run = engine.run("run_1")
    assert (run.status, run.attempt, run.fence, run.started_at, run.past) == (RunStatus.QUEUED, 0, "", 0, ())


def test_past_attempts_say_when_where_and_how_they_ended() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.start("run_1")
    engine.pass_time(2)
    engine.fail("run_1")

    (past,) = engine.run("run_1").past

    assert (past.number, past.status, past.worker_id) == (1, "FAILED", "w1")
    assert past.finished_at - past.started_at >= 0
    assert past.error is not None and past.error.message == "broken"


def test_the_keys_of_an_hour_of_progress_do_not_pile_up_but_those_of_triggers_stay() -> None:
    state = State()
    apply(state, ev.RunTriggered(T0, "run_1", "resize", "task/resize", "shared"))
    apply(state, ev.OpDone(T0, "run_1", "trigger:child:1:1"))

    for number in range(10_000):
        apply(state, ev.OpDone(T0, "run_1", f"metadata::{number}:1"))

    ops = state.runs["run_1"].ops
    assert len(ops) <= 2_001
    assert {"trigger:child:1:1", "metadata::9999:1"} <= ops.keys()
