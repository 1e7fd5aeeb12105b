from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.apply import apply
from kernelkit.engine.decide import next_due
from kernelkit.errors import (
    DuplicateTaskError,
    InvalidOptionError,
    KernelKitError,
    PayloadTooLargeError,
    RunOverError,
    UnknownTaskError,
    to_wire,
)
from kernelkit.models import event as ev
from kernelkit.models.task import Owner
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.engine.samples import HERE, SECOND, T0, Engine, item, spec

THERE = Owner("notebook", "other.ipynb")


# ---- defining --------------------------------------------------------------------------------------------------------


def test_changed_code_makes_a_new_version_and_changed_captures_do_not() -> None:
    engine = Engine(spec())

    engine.take(c.DefineTask(spec(bundle="other-captures")))
    same = engine.state.tasks["resize"]
    engine.take(c.DefineTask(spec(bundle="new-code", fingerprint="resize-2")))
    new = engine.state.tasks["resize"]

    assert (same.number, same.spec.bundle) == ("20270115.1", "other-captures")
    assert (new.number, new.spec.bundle) == ("20270115.2", "new-code")
    assert engine.state.numbers["resize"] == ["20270115.1", "20270115.2"]


def test_versions_are_counted_by_the_day() -> None:
    engine = Engine(spec())
    engine.pass_time(86_400)

    engine.take(c.DefineTask(spec(fingerprint="resize-2")))

    assert engine.state.tasks["resize"].number == "20270116.1"


def test_the_same_definition_again_is_no_event() -> None:
    assert Engine(spec()).events(c.DefineTask(spec())) == []


def test_an_explicit_id_of_another_function_is_refused_unless_it_is_replaced() -> None:
    engine = Engine(spec(explicit_id=True))
    other = spec(function="shrink", explicit_id=True)

    with pytest.raises(DuplicateTaskError, match=r"'resize' already belongs to the function 'resize'.*replace=True"):
        engine.take(c.DefineTask(other))
    engine.take(c.DefineTask(other, replace=True))

    assert engine.state.tasks["resize"].spec.function == "shrink"


def test_an_id_is_refused_while_its_owner_is_connected_and_taken_over_when_it_is_not() -> None:
    engine = Engine(spec())
    theirs = spec(owner=THERE)

    with pytest.raises(DuplicateTaskError, match=r"owned by notebook thumbs\.ipynb.*notebook other\.ipynb"):
        engine.take(c.DefineTask(theirs, connected=frozenset({str(HERE)})))
    engine.take(c.DefineTask(theirs, connected=frozenset({str(THERE)})))

    assert engine.state.tasks["resize"].spec.owner == THERE


def test_a_redefinition_without_a_limit_lifts_the_limit_of_the_own_queue_only() -> None:
    engine = Engine(spec(concurrency_limit=2), spec("mail", queue="letters", concurrency_limit=3))

    engine.take(c.DefineTask(spec(fingerprint="resize-2")))
    engine.take(c.DefineTask(spec("mail", queue="letters", fingerprint="mail-2")))

    assert (engine.state.limit_of("task/resize"), engine.state.limit_of("letters")) == (None, 3)


# ---- triggering ------------------------------------------------------------------------------------------------------


def test_a_trigger_with_a_free_slot_is_dispatched_in_the_same_step() -> None:
    assert Engine().trigger("run_1") == ["RunTriggered", "WorkerPlanned", "RunDispatched"]


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


def test_a_cancel_reaches_the_end_of_a_very_long_chain() -> None:
    # It was a recursion, and a chain of a thousand runs was longer than the stack is deep.
    engine = Engine()
    engine.trigger("run_0")
    for depth in range(1, 1_500):
        apply(engine.state, ev.RunTriggered(0, f"run_{depth}", "resize", "q", "shared", parent_id=f"run_{depth - 1}"))

    canceled = engine.events(c.CancelRun("run_0", "no more"))

    assert len(canceled) == 1_500


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"task_id": "resise"}, UnknownTaskError, "Did you mean 'resize'"),
        ({"task_id": "mail"}, UnknownTaskError, r"kk\.tasks\.list\(\) shows"),
        ({"bundle": "long-gone"}, UnknownTaskError, "older code of 'resize'.*Run the cell"),
        (
            {"payload": Value(ref="p", size=3_145_729)},
            PayloadTooLargeError,
            "3,145,729 bytes.*3,145,728.*pass its path",
        ),
        ({"tags": tuple("abcdefghijk")}, InvalidOptionError, "at most 10 tags; this one would have 11"),
        ({"tags": ("x" * 129,)}, InvalidOptionError, "129 characters; 1 to 128"),
        ({"metadata": '{"a":"' + "x" * 262_144 + '"}'}, InvalidOptionError, "262,144 bytes"),
        ({"max_attempts": 0}, InvalidOptionError, "max_attempts=0 is not between 1 and 250"),
        ({"max_attempts": 251}, InvalidOptionError, "max_attempts=251"),
    ],
)
def test_a_trigger_that_cannot_be_taken_says_why(
    changes: dict[str, Any], error: type[KernelKitError], words: str
) -> None:
    engine = Engine()
    fields = {"run_id": "run_1"} | changes

    with pytest.raises(error, match=re.compile(words, re.DOTALL)):
        engine.trigger(item(**fields))

    assert not engine.state.runs


def test_an_unknown_task_in_an_empty_project_says_to_define_one() -> None:
    engine = Engine()
    engine.state.tasks.clear()

    with pytest.raises(UnknownTaskError, match="No task is defined yet"):
        engine.trigger("run_1")


def test_a_batch_over_a_thousand_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match=r"at most 1,000 items; this one has 1,001"):
        Engine().trigger(*(f"run_{n}" for n in range(1_001)))


def test_the_payload_limit_is_inclusive() -> None:
    engine = Engine()

    engine.trigger(item("run_1", payload=Value(ref="p", size=3_145_728)))

    assert "run_1" in engine.state.runs


def test_a_pinned_trigger_runs_its_own_code_after_a_redefinition() -> None:
    engine = Engine(capacity=c.Capacity(attempts=1))
    engine.trigger("run_0")
    engine.trigger(item("run_pinned", bundle="resize-code"), item("run_by_id"))
    engine.take(c.DefineTask(spec(bundle="new-code", fingerprint="resize-2")))

    engine.succeed("run_0")
    pinned = engine.last(ev.RunDispatched)
    engine.succeed("run_pinned")
    by_id = engine.last(ev.RunDispatched)

    assert (pinned.run_id, pinned.bundle, pinned.version) == ("run_pinned", "resize-code", "20270115.1")
    assert (by_id.run_id, by_id.bundle, by_id.version) == ("run_by_id", "new-code", "20270115.2")


# ---- children and cancels --------------------------------------------------------------------------------------------


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


def test_a_child_that_a_canceled_run_still_triggers_is_canceled_with_it() -> None:
    # The body goes on until it heeds the cancel; the simulation found that what it started meanwhile was left running.
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    events = engine.report("run_1", m.ChildTrigger((item("run_2"),), op="a"))

    assert events == ["RunTriggered", "RunCanceled", "OpDone"]
    assert "run_2" not in engine.state.runs


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


# ---- time ------------------------------------------------------------------------------------------------------------


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
