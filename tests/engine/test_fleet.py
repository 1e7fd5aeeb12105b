from __future__ import annotations

import msgspec
import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.fleet import IDLE_EXCLUSIVE_S
from kernelkit.engine.spawning import SPAWN_WITHIN_S
from kernelkit.models.run import RunStatus
from kernelkit.models.task import RetryPolicy
from kernelkit.wire import messages as m
from tests.engine.samples import BROKEN, T0, spec
from tests.engine.yard import Yard, live, succeeded

# ---- starting --------------------------------------------------------------------------------------------------------


def test_a_worker_that_ends_before_it_dials_in_costs_no_attempt(yard: Yard) -> None:
    # With one attempt allowed, a worker that crashed at its start ended the run as lost though its code never began.
    yard.trigger("run_1", max_attempts=1)
    yard.settle()
    yard.keeper_dials()

    yard.keeper_says(m.WorkerExited("w1", 1, stderr_tail="No module named kernelkit"))
    assert (yard.status(), yard.core.state.runs["run_1"].worker_id) == (RunStatus.DEQUEUED, "w2")
    yard.keeper_says(m.WorkerExited("w2", 1, stderr_tail="No module named kernelkit"))
    yard.keeper_says(m.WorkerExited("w3", 1, stderr_tail="No module named kernelkit"))

    run = yard.core.read_run("run_1")()
    assert run.status is RunStatus.SYSTEM_FAILURE
    assert run.error is not None and run.error.message.endswith("No module named kernelkit")


def test_a_run_canceled_before_its_attempt_was_sent_is_over_without_a_worker(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.core.take(c.CancelRun("run_1", "enough"))
    yard.settle()

    assert not yard.core.state.runs
    yard.trigger("run_2")
    yard.settle()
    yard.core.take(c.CancelRun("run_2", "enough"))
    yard.settle()
    assert not yard.core.state.runs


# ---- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_is_acked_once_it_is_on_disk(yard: Yard) -> None:
    wire = yard.begin()

    yard.says("w1", m.Started(T0))
    yard.says("w1", succeeded(), seq=2)

    assert wire.of(m.Ack) == [m.Ack(1), m.Ack(2)]
    assert yard.status() is RunStatus.COMPLETED


def test_a_report_under_an_old_fence_is_refused_acked_and_its_body_stopped(yard: Yard) -> None:
    wire = yard.begin()

    yard.says("w1", m.AddTags(("x",), op="a"), fence="f_old")

    assert [refused.error["code"] for refused in wire.of(m.Refused)] == ["stale_fence"]
    assert [stop.fence for stop in wire.of(m.StopAttempt)] == ["f_old"]
    assert wire.of(m.Ack) == [m.Ack(1)]


def test_reports_wait_while_the_store_cannot_commit_and_are_taken_in_order(yard: Yard) -> None:
    wire = yard.begin()
    yard.writer.problem = "the disk is full"
    yard.says("w1", m.Started(T0))
    yard.says("w1", succeeded(), seq=2)
    assert (yard.status(), wire.of(m.Ack)) == (RunStatus.DEQUEUED, [])

    yard.writer.problem = ""
    yard.fleet.intake.store_recovered()
    yard.settle()

    assert yard.status() is RunStatus.COMPLETED
    assert wire.of(m.Ack)[-1] == m.Ack(2)


def test_what_a_worker_reported_while_the_disk_was_full_counts_when_it_has_ended_since(yard: Yard) -> None:
    # Its attempt was given up as lost although its result had come in, and the body was called again.
    yard.begin()
    yard.writer.problem = "the disk is full"
    yard.says("w1", succeeded())

    yard.keeper_says(m.WorkerExited("w1", -9))
    yard.hangs_up("w1")

    assert yard.status() is RunStatus.COMPLETED


# ---- ends ------------------------------------------------------------------------------------------------------------


def test_the_last_reports_of_a_worker_count_although_its_exit_is_heard_of_first(yard: Yard) -> None:
    yard.begin()

    yard.keeper_says(m.WorkerExited("w1", 0))
    assert yard.status() is RunStatus.DEQUEUED
    yard.says("w1", succeeded())
    yard.hangs_up("w1")

    assert yard.status() is RunStatus.COMPLETED
    assert not yard.core.state.workers


@pytest.mark.parametrize("exit_first", [True, False])
def test_a_worker_killed_from_outside_fails_its_attempt_and_the_run_is_tried_again(
    yard: Yard, exit_first: bool
) -> None:
    yard.begin()
    if exit_first:
        yard.keeper_says(m.WorkerExited("w1", -9))
        yard.hangs_up("w1")
    else:
        yard.hangs_up("w1")
        yard.keeper_says(m.WorkerExited("w1", -9))

    run = yard.core.read_run("run_1")()
    assert run.error is not None and "killed from outside (signal 9)" in run.error.message
    yard.pass_time(2)
    assert yard.core.state.runs["run_1"].worker_id == "w2"


def test_a_lost_connection_alone_ends_nothing(yard: Yard) -> None:
    yard.begin()
    yard.hangs_up("w1")
    yard.pass_time(5)

    wire = yard.worker_dials("w1", live())

    assert wire.of(m.StopAttempt) == []
    yard.says("w1", succeeded())
    assert yard.status() is RunStatus.COMPLETED


@pytest.mark.parametrize(("takes_signal", "kill_after"), [(False, 5.0), (True, 35.0)])
def test_a_body_that_does_not_stop_has_its_worker_killed_in_time(
    yard: Yard, takes_signal: bool, kill_after: float
) -> None:
    yard.core.take(c.DefineTask(spec(takes_signal=takes_signal, fingerprint="2")))
    wire = yard.begin()

    yard.core.take(c.CancelRun("run_1", "enough"))
    yard.settle()
    assert [stop.fence for stop in wire.of(m.StopAttempt)] == ["f1"]
    yard.pass_time(kill_after - 0.5)
    assert yard.keeper.of(m.KillWorker) == []
    yard.pass_time(1)
    yard.pass_time(1)

    assert yard.keeper.of(m.KillWorker) == [m.KillWorker("w1")]
    yard.keeper_says(m.WorkerExited("w1", -9, killed=True))
    yard.hangs_up("w1")
    assert (yard.status(), yard.core.state.holders) == (RunStatus.CANCELED, set())


def test_a_body_that_stops_when_asked_keeps_its_worker(yard: Yard) -> None:
    yard.begin()
    yard.core.take(c.CancelRun("run_1", "enough"))
    yard.settle()

    yard.says("w1", m.Stopped(T0))
    yard.pass_time(60)

    assert yard.keeper.of(m.KillWorker) == []
    assert "w1" in yard.core.state.workers


# ---- after a crash of the engine -------------------------------------------------------------------------------------


def test_a_new_engine_adopts_what_runs(yard: Yard) -> None:
    yard.begin()
    again = yard.crash()

    again.keeper_dials("w1")
    wire = again.worker_dials("w1", live())
    again.says("w1", succeeded())

    assert wire.of(m.StartAttempt) == wire.of(m.StopAttempt) == []
    assert again.status() is RunStatus.COMPLETED


def test_a_dispatch_that_was_lost_with_the_engine_is_made_again_on_the_worker_that_dials_in(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.settle()
    again = yard.crash()

    again.keeper_dials("w1")
    wire = again.worker_dials("w1")

    assert [start.attempt for start in wire.of(m.StartAttempt)] == [1]


def test_a_retry_lost_on_the_way_is_made_again_though_the_worker_still_holds_the_attempt_before(yard: Yard) -> None:
    # The simulation's find: attempt 1 had been taken but not acked, so the worker named the run among its live ones,
    # and attempt 2, which it never got, was believed to be with it for ever.
    yard.begin()
    yard.says("w1", m.Failed(BROKEN, T0, T0))
    yard.hangs_up("w1")
    again = yard.crash()
    again.pass_time(2)
    assert again.core.state.runs["run_1"].fence == "f2"
    final = again.crash()

    wire = final.worker_dials("w1", live("f1"))

    assert [stop.fence for stop in wire.of(m.StopAttempt)] == ["f1"]
    (start,) = wire.of(m.StartAttempt)
    assert (start.run_id, start.attempt, start.fence) == ("run_1", 2, "f3")


def test_a_cancel_that_the_worker_never_heard_of_is_told_when_it_dials_in(yard: Yard) -> None:
    yard.begin()
    yard.hangs_up("w1")
    yard.core.take(c.CancelRun("run_1", "enough"))
    yard.settle()
    again = yard.crash()

    wire = again.worker_dials("w1", live())

    assert [(stop.fence, stop.reason) for stop in wire.of(m.StopAttempt)] == [("f1", "enough")]


def test_results_that_found_no_engine_are_taken_before_their_worker_is_given_up(yard: Yard) -> None:
    yard.begin()
    path = yard.home.orphans / "w1.jsonl"
    path.write_bytes(msgspec.json.encode(m.Report(2, "run_1", "f1", succeeded())) + b"\n" + b'{"torn')
    yard.living.clear()
    again = yard.crash()

    again.keeper_dials()

    assert again.status() is RunStatus.COMPLETED
    assert not path.exists()


def test_a_worker_that_lives_but_stays_silent_is_killed(yard: Yard) -> None:
    yard.begin()
    again = yard.crash()
    again.keeper_dials("w1")

    again.pass_time(19)
    assert again.keeper.of(m.KillWorker) == []
    again.pass_time(2)

    assert again.keeper.of(m.KillWorker) == [m.KillWorker("w1")]


def test_a_worker_spawned_for_a_former_engine_that_never_dials_in_is_given_up(yard: Yard) -> None:
    # Nobody counted its time to start any more, and its runs stayed with it for ever.
    yard.trigger("run_1")
    yard.settle()
    yard.keeper_dials()
    again = yard.crash()
    again.keeper_dials("w1")

    again.pass_time(SPAWN_WITHIN_S + 1)

    assert again.keeper.of(m.KillWorker) == [m.KillWorker("w1")]
    assert again.core.state.runs["run_1"].worker_id != "w1"


def test_workers_that_no_engine_knows_are_sent_away(yard: Yard) -> None:
    yard.keeper_dials("w9")
    wire = yard.worker_dials("w8", live())

    assert yard.keeper.sent == [m.KillWorker("w9")]
    assert [type(message).__name__ for message in wire.sent] == ["Retire", "StopAttempt"]


# ---- idle and blocked workers ----------------------------------------------------------------------------------------


def test_an_idle_exclusive_worker_is_retired_and_told_again_if_it_missed_the_word(yard: Yard) -> None:
    yard.core.take(c.DefineTask(spec(isolation="process", fingerprint="2", retry=RetryPolicy())))
    wire = yard.begin()
    yard.says("w1", succeeded())

    yard.pass_time(IDLE_EXCLUSIVE_S - 1)
    assert wire.of(m.Retire) == []
    yard.pass_time(2)
    assert wire.of(m.Retire) == [m.Retire()]

    yard.hangs_up("w1")
    assert yard.worker_dials("w1").of(m.Retire) == [m.Retire()]


def test_an_attempt_whose_commit_is_under_way_when_its_worker_ends_is_not_lost(yard: Yard) -> None:
    # given a connected worker, and a second run that is placed on it but not on disk yet
    yard.begin()
    yard.trigger("run_2", max_attempts=1)
    assert yard.core.state.runs["run_2"].worker_id == "w1"

    # when the worker ends
    yard.keeper_says(m.WorkerExited("w1", -9))
    yard.hangs_up("w1")

    # then the run was not tried, and goes elsewhere
    run = yard.core.state.runs["run_2"]
    assert (run.past, run.start_failures, run.worker_id) == ((), 0, "w2")


def test_a_canceled_body_keeps_what_is_left_of_its_time_when_the_engine_comes_back(yard: Yard) -> None:
    yard.core.take(c.DefineTask(spec(takes_signal=True, fingerprint="heeds")))
    yard.begin()
    yard.core.take(c.CancelRun("run_1", "enough"))
    yard.settle()
    yard.hangs_up("w1")
    again = yard.crash()
    again.clock.moment = yard.clock.moment + 10_000_000

    wire = again.worker_dials("w1", live())

    assert [stop.signal_s for stop in wire.of(m.StopAttempt)] == [20.0]


# ---- attempts that had not begun -------------------------------------------------------------------------------------


def test_an_attempt_whose_code_had_not_begun_is_made_again_and_not_counted(yard: Yard) -> None:
    # Its worker was ended by another run's body, and the run had but one attempt.
    yard.begin(max_attempts=1)
    yard.trigger("run_2", max_attempts=1)
    yard.settle()

    yard.keeper_says(m.WorkerExited("w1", -9, begun=("f1",)))
    yard.hangs_up("w1")

    assert yard.status("run_1") is RunStatus.CRASHED
    run = yard.core.state.runs["run_2"]
    assert (run.past, run.attempt, run.worker_id, run.start_failures) == ((), 1, "w2", 1)


@pytest.mark.parametrize("begun", [None, ("f1",)])
def test_an_attempt_that_had_begun_or_may_have_is_counted(yard: Yard, begun: tuple[str, ...] | None) -> None:
    yard.begin()

    yard.keeper_says(m.WorkerExited("w1", -9, begun=begun))
    yard.hangs_up("w1")

    assert [past.status for past in yard.core.state.runs["run_1"].past] == ["CRASHED"]


def test_what_a_worker_reported_counts_more_than_what_it_noted(yard: Yard) -> None:
    yard.begin()
    yard.says("w1", m.Started(T0))

    yard.keeper_says(m.WorkerExited("w1", -9, begun=()))
    yard.hangs_up("w1")

    assert [past.status for past in yard.core.state.runs["run_1"].past] == ["CRASHED"]
