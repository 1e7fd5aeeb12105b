from __future__ import annotations

from typing import Any

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.attempts import StaleFence, lost_worker_error
from kernelkit.errors import InvalidOptionError
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.task import RetryPolicy
from kernelkit.models.value import Value
from kernelkit.wire import messages as m
from tests.engine.samples import BROKEN, SECOND, STEADY, T0, Engine, item, spec

LOST = lost_worker_error("it was killed")


def ended(worker_id: str = "w1", **changes: Any) -> c.WorkerEnded:  # any field of the command
    return c.WorkerEnded(worker_id, LOST, **changes)


def test_a_run_that_succeeds_has_its_output_and_leaves_the_live_set() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.start("run_1")

    engine.succeed("run_1")

    finished = engine.last(ev.RunFinished)
    assert (finished.status, finished.output) == (RunStatus.COMPLETED, Value(text="42", size=2))
    assert not engine.state.runs
    assert not engine.state.holders


@pytest.mark.parametrize(
    ("policy", "attempt_wait", "keeps_slot"),
    [
        (STEADY, 1.0, True),
        (RetryPolicy(min_timeout=4.999, randomize=False), 4.999, True),
        (RetryPolicy(min_timeout=5.0, randomize=False), 5.0, False),
        (RetryPolicy(min_timeout=90.0, randomize=False), 60.0, False),
    ],
)
def test_a_short_backoff_keeps_the_slot_and_a_long_one_gives_it_back(
    policy: RetryPolicy, attempt_wait: float, keeps_slot: bool
) -> None:
    engine = Engine(spec(retry=policy))
    engine.trigger("run_1")

    engine.fail("run_1")

    run = engine.run("run_1")
    assert run.retry_at == T0 + round(attempt_wait * SECOND)
    assert run.status is (RunStatus.EXECUTING if keeps_slot else RunStatus.QUEUED)
    assert ("run_1" in engine.state.holders) is keeps_slot


@pytest.mark.parametrize(
    ("changes", "attempts", "status"),
    [
        ({}, 3, RunStatus.FAILED),
        ({"retry": False}, 1, RunStatus.FAILED),
        ({"out_of_memory": True}, 1, RunStatus.CRASHED),
    ],
)
def test_a_run_fails_for_good_when_its_attempts_are_spent_or_its_error_says_so(
    changes: dict[str, Any], attempts: int, status: RunStatus
) -> None:
    engine = Engine()
    engine.trigger("run_1")

    for number in range(1, attempts + 1):
        assert engine.run("run_1").attempt == number
        engine.fail("run_1", **changes)
        if number < attempts:
            engine.pass_time(60)

    finished = engine.last(ev.RunFinished)
    assert finished.status == status
    assert finished.error is not None and finished.error.name == BROKEN.name
    assert not engine.state.runs


def test_max_attempts_of_the_trigger_overrules_the_policy() -> None:
    engine = Engine()
    engine.trigger(item("run_1", max_attempts=1))

    assert engine.fail("run_1") == ["RunFinished"]


@pytest.mark.parametrize(
    "body",
    [
        m.Started(T0),
        m.Succeeded(Value(text="1", size=1), T0, T0),
        m.Failed(BROKEN, T0, T0),
        m.Stopped(T0),
        m.AddTags(("x",), op="a"),
        m.ChangeMetadata((), op="a"),
        m.ChildTrigger((), op="a"),
    ],
)
def test_a_report_under_a_fence_that_is_not_current_is_refused_and_changes_nothing(body: m.ReportBody) -> None:
    engine = Engine()
    engine.trigger("run_1")
    before = engine.state.dump()

    for run_id, fence in (("run_1", "f_old"), ("run_1", ""), ("run_unknown", "f1")):
        with pytest.raises(StaleFence, match="no longer the run's current one"):
            engine.take(c.TakeReport(run_id, fence, body))

    assert engine.state.dump() == before


def test_a_report_of_a_run_in_backoff_is_refused() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.fail("run_1")

    with pytest.raises(StaleFence):
        engine.report("run_1", m.Started(T0), fence="f1")


def test_a_result_that_comes_after_the_cancel_does_not_overrule_it() -> None:
    engine = Engine()
    engine.trigger("run_1", "run_2")
    engine.take(c.CancelRun("run_1", "enough"))
    engine.take(c.CancelRun("run_2", "enough"))

    assert engine.succeed("run_1") == ["AttemptStopped"]
    assert engine.fail("run_2") == ["AttemptStopped"]
    assert not engine.state.runs


def test_nobody_stops_who_was_not_asked_to() -> None:
    engine = Engine()
    engine.trigger("run_1")

    with pytest.raises(StaleFence, match="not asked to stop"):
        engine.report("run_1", m.Stopped(T0))


def test_tags_and_metadata_act_once_under_their_op_key() -> None:
    engine = Engine()
    engine.trigger(item("run_1", tags=("a",)))
    tags = m.AddTags(("b", "a", "b"), op="tags 1")
    count = m.ChangeMetadata((m.MetadataOp(kind="increment", key="n", value="1"),), op="metadata 1")

    for body in (tags, tags, count, count):
        engine.report("run_1", body)

    assert engine.run("run_1").tags == ("a", "b")
    assert engine.run("run_1").metadata == '{"n":1}'


def test_the_next_attempt_may_use_the_same_op_keys() -> None:
    engine = Engine()
    engine.trigger("run_1")
    count = m.ChangeMetadata((m.MetadataOp(kind="increment", key="n", value="1"),), op="metadata 1")
    engine.report("run_1", count)
    engine.fail("run_1")
    engine.pass_time(1)

    engine.report("run_1", count)

    assert engine.run("run_1").metadata == '{"n":2}'


@pytest.mark.parametrize(
    "body",
    [
        m.AddTags(tuple("abcdefghijk"), op="a"),
        m.ChangeMetadata((m.MetadataOp(kind="set", key="k", value='"' + "x" * 262_144 + '"'),), op="a"),
    ],
)
def test_tags_and_metadata_over_their_limits_are_refused_whole(body: m.ReportBody) -> None:
    engine = Engine()
    engine.trigger("run_1")
    before = engine.state.dump()

    with pytest.raises(InvalidOptionError):
        engine.report("run_1", body)

    assert engine.state.dump() == before


# ---- workers ---------------------------------------------------------------------------------------------------------


def test_a_lost_worker_fails_its_attempts_which_go_back_through_the_queue() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.start("run_1")

    events = engine.events(ended())

    run = engine.run("run_1")
    assert events == ["AttemptFailed", "WorkerGone"]
    assert (run.status, run.keeps_slot, run.past[0].status) == (RunStatus.QUEUED, False, "CRASHED")
    assert not engine.state.workers
    assert engine.pass_time(1) == ["RetryDue", "WorkerPlanned", "RunDispatched"]


@pytest.mark.parametrize(("changes", "attempts"), [({}, 3), ({"out_of_memory": True}, 1)])
def test_a_run_that_keeps_losing_its_worker_is_crashed(changes: dict[str, Any], attempts: int) -> None:
    engine = Engine()
    engine.trigger("run_1")

    for number in range(1, attempts + 1):
        engine.take(ended(f"w{number}", **changes))
        engine.pass_time(60)

    finished = engine.last(ev.RunFinished)
    assert finished.status is RunStatus.CRASHED
    assert finished.error is not None and finished.error.name == LOST.name


def test_attempts_that_were_never_sent_to_a_lost_worker_are_not_counted() -> None:
    # A worker that crashed at its start used to cost its run an attempt, and a run with one attempt its life.
    engine = Engine()
    engine.trigger("run_1", "run_2")

    engine.take(ended(undelivered=frozenset({"run_2"})))

    assert engine.run("run_1").past[0].status == "CRASHED"
    assert (engine.run("run_2").attempt, engine.run("run_2").past) == (1, ())


def test_three_failed_starts_end_a_run_with_the_reason() -> None:
    engine = Engine()
    engine.trigger("run_1")

    for number in (1, 2):
        engine.take(c.WorkerNeverBegan(f"w{number}", "no such interpreter"))
        assert engine.run("run_1").attempt == 1
    engine.take(c.WorkerNeverBegan("w3", "no such interpreter"))

    finished = engine.last(ev.RunFinished)
    assert finished.status is RunStatus.SYSTEM_FAILURE
    assert finished.error.message == "No worker could be started for this run, 3 times: no such interpreter"


def test_a_start_between_failed_ones_forgives_them() -> None:
    engine = Engine(spec(retry=RetryPolicy(max_attempts=9, randomize=False)))
    engine.trigger("run_1")
    for number in (1, 2):
        engine.take(c.WorkerNeverBegan(f"w{number}", "no such interpreter"))

    engine.start("run_1")
    engine.take(ended("w3"))
    engine.pass_time(60)
    engine.take(c.WorkerNeverBegan("w4", "no such interpreter"))

    assert engine.run("run_1").start_failures == 1


def test_a_worker_that_is_not_to_blame_costs_nothing() -> None:
    engine = Engine()
    engine.trigger("run_1")

    for number in range(1, 6):
        engine.take(c.WorkerNeverBegan(f"w{number}", "its keeper was lost", blames_worker=False))

    assert (engine.run("run_1").attempt, engine.run("run_1").worker_id) == (1, "w6")


def test_a_lost_dispatch_is_taken_back_and_given_out_again_under_another_fence() -> None:
    engine = Engine()
    engine.trigger("run_1")

    assert engine.events(c.AttemptNeverArrived("run_1", "f1")) == ["DispatchUndone", "RunDispatched"]
    assert (engine.run("run_1").fence, engine.run("run_1").attempt) == ("f2", 1)
    assert engine.events(c.AttemptNeverArrived("run_1", "f1")) == []


@pytest.mark.parametrize(
    "command",
    [
        ended(),
        c.WorkerNeverBegan("w1", "no such interpreter"),
        c.AttemptNeverArrived("run_1", "f1"),
    ],
)
def test_a_canceled_run_is_over_when_its_worker_is(command: c.Command) -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.CancelRun("run_1", "enough"))

    assert engine.events(command)[0] == "AttemptStopped"
    assert not engine.state.runs


@pytest.mark.parametrize(
    "command",
    [
        ended("w9"),
        c.WorkerNeverBegan("w9", "?"),
        c.RetireWorker("w9"),
        c.WorkerAppeared("w9", 1, 0.0, "boot"),
        c.AttemptNeverArrived("run_9", "f9"),
    ],
)
def test_news_of_what_is_unknown_change_nothing(command: c.Command) -> None:
    assert Engine().events(command) == []


# ---- what catch_error decided ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "waits", "keeps_slot"), [(90.0, 90.0, False), (4.0, 4.0, True), (-5.0, 0.0, True)])
def test_the_moment_that_a_worker_reports_is_used(seconds: float, waits: float, keeps_slot: bool) -> None:
    engine = Engine(spec(retry=RetryPolicy(max_attempts=2, min_timeout=1.0, randomize=False)))
    engine.trigger("run_1")

    engine.fail("run_1", retry_at=T0 + round(seconds * SECOND))

    run = engine.run("run_1")
    assert run.retry_at == T0 + round(waits * SECOND)
    assert ("run_1" in engine.state.holders) is keeps_slot


def test_no_reported_moment_makes_more_attempts_than_the_run_may_have() -> None:
    engine = Engine(spec(retry=RetryPolicy(max_attempts=1)))
    engine.trigger("run_1")

    engine.fail("run_1", retry_at=T0 + SECOND)

    assert engine.last(ev.RunFinished).status is RunStatus.FAILED


def test_a_hook_that_failed_crashes_the_run_at_once() -> None:
    engine = Engine()
    engine.trigger("run_1")

    engine.fail("run_1", retry=False, crashed=True)

    assert engine.last(ev.RunFinished).status is RunStatus.CRASHED


def test_attempts_that_a_lost_worker_had_not_begun_are_not_counted() -> None:
    engine = Engine()
    engine.trigger("run_1", "run_2")

    engine.take(ended(unbegun=frozenset({"run_2"})))

    assert engine.run("run_1").past[0].status == "CRASHED"
    assert (engine.run("run_2").attempt, engine.run("run_2").past) == (1, ())


def test_a_run_before_whose_code_workers_keep_ending_is_counted_from_the_third_time() -> None:
    # It may be its import that ends them.
    engine = Engine()
    engine.trigger("run_1")

    for number in (1, 2):
        engine.take(ended(f"w{number}", unbegun=frozenset({"run_1"})))
        assert engine.run("run_1").past == ()
    engine.take(ended("w3", unbegun=frozenset({"run_1"})))

    assert [past.status for past in engine.run("run_1").past] == ["CRASHED"]


def test_running_out_of_memory_before_the_code_began_is_counted() -> None:
    engine = Engine()
    engine.trigger("run_1")

    engine.take(ended(unbegun=frozenset({"run_1"}), out_of_memory=True))

    assert engine.last(ev.RunFinished).status is RunStatus.CRASHED
