from __future__ import annotations

import pytest
from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.errors import (
    InvalidOptionError,
    PayloadTooLargeError,
    RunOverError,
    UnknownTaskError,
    to_wire,
)
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item


def test_a_trigger_that_is_sent_again_makes_nothing_more() -> None:
    engine = Engine()
    engine.trigger("run_1", "run_2")

    assert engine.trigger("run_1", "run_2") == []


def test_a_trigger_that_is_sent_again_makes_nothing_of_runs_that_history_has() -> None:
    command = c.TriggerRuns((item("run_1"),), known=frozenset({"run_1"}))

    assert Engine().events(command) == []


def test_an_id_twice_in_one_batch_makes_one_run() -> None:
    # Two events of one id left a second entry in the lane and counted twice as a child.
    engine = Engine()

    engine.trigger("run_1", "run_1")

    assert sum(isinstance(event, ev.RunTriggered) for event in engine.log) == 1


def test_a_refused_item_becomes_a_failed_run_and_hinders_no_other() -> None:
    engine = Engine()

    engine.trigger("run_1", item("run_2", "nothing"), "run_3")

    refused = engine.last(ev.RunRefused)
    assert (refused.run_id, refused.error.name, refused.batch_id) == ("run_2", "UnknownTaskError", "batch_1")
    made = engine.last(ev.BatchMade).batch
    assert made.run_ids == ("run_1", "run_2", "run_3")
    assert [(error.index, error.run_id) for error in made.errors] == [(1, "run_2")]
    assert engine.state.runs.keys() == {"run_1", "run_3"}


def test_a_batch_of_which_every_item_is_refused_is_refused() -> None:
    engine = Engine()
    before = engine.state.seq

    with pytest.raises(UnknownTaskError):
        engine.trigger(item("run_1", "nobody"), item("run_2", "nothing"))

    assert (engine.state.seq, engine.state.runs) == (before, {})


def test_an_item_says_itself_what_is_wrong_with_it() -> None:
    problem = to_wire(PayloadTooLargeError("4,000,000 bytes", size=4_000_000))
    engine = Engine()

    with pytest.raises(PayloadTooLargeError, match="4,000,000 bytes"):
        engine.trigger(item("run_1", problem=problem))
    engine.trigger(item("run_1", problem=problem), "run_2")

    refused = engine.last(ev.RunRefused)
    assert (refused.run_id, refused.error.code) == ("run_1", PayloadTooLargeError.code)


def test_a_batch_over_a_thousand_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"at most 1,000 items; this one has 1,001"):
        Engine().trigger(*(f"run_{n}" for n in range(1_001)))


def test_what_a_process_of_an_attempt_triggers_is_a_child_of_its_run() -> None:
    engine = Engine()
    engine.trigger("run_1")
    fence = engine.run("run_1").fence

    engine.take(c.TriggerRuns((item("run_2"),), parent_id="run_1", parent_fence=fence))

    child = engine.run("run_2")
    assert (child.parent_id, child.root_id, child.depth) == ("run_1", "run_1", 1)


def test_a_process_whose_attempt_is_over_triggers_nothing() -> None:
    engine = Engine()
    engine.trigger("run_1")
    command = c.TriggerRuns((item("run_2"),), parent_id="run_1", parent_fence=engine.run("run_1").fence)
    engine.succeed("run_1")

    with pytest.raises(RunOverError, match=r"run_1 .*is over"):
        engine.take(command)
    engine.trigger("run_3")
    with pytest.raises(RunOverError):
        engine.take(replace(command, parent_id="run_3"))  # an earlier attempt's fence
    assert "run_2" not in engine.state.runs


def test_what_a_process_of_a_canceled_run_still_triggers_is_canceled_with_it() -> None:
    engine = Engine()
    engine.trigger("run_1")
    command = c.TriggerRuns((item("run_2"),), parent_id="run_1", parent_fence=engine.run("run_1").fence)
    engine.take(c.CancelRun("run_1", "enough"))

    assert engine.events(command)[-2:] == ["RunTriggered", "RunCanceled"]


def test_a_child_knows_its_parent_root_and_depth() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.report("run_1", m.ChildTrigger((item("run_2"),), op="a"))
    engine.report("run_2", m.ChildTrigger((item("run_3"),), op="a"))

    child, grandchild = engine.run("run_2"), engine.run("run_3")

    assert (child.parent_id, child.root_id, child.depth) == ("run_1", "run_1", 1)
    assert (grandchild.parent_id, grandchild.root_id, grandchild.depth) == ("run_2", "run_1", 2)
    assert engine.run("run_1").children == 1


def test_a_child_trigger_that_is_sent_again_acts_once() -> None:
    engine = Engine()
    engine.trigger("run_1")
    child = m.ChildTrigger((item("run_2"),), op="a")

    assert "RunTriggered" in engine.report("run_1", child)
    assert engine.report("run_1", child) == []
