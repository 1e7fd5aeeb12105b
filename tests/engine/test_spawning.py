from __future__ import annotations

from kernelkit.engine.spawning import SPAWN_WITHIN_S
from kernelkit.models.run import RunStatus
from kernelkit.wire import messages as m
from tests.engine.yard import Yard


def test_an_attempt_waits_for_a_keeper_then_for_its_worker(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.settle()
    assert yard.launcher.launched == ["env1"]

    yard.keeper_dials()
    assert yard.keeper.of(m.SpawnWorker) == [m.SpawnWorker("w1", "shared")]

    wire = yard.worker_dials("w1")
    assert [start.fence for start in wire.of(m.StartAttempt)] == ["f1"]
    assert yard.core.state.workers["w1"].pid == 1


def test_a_keeper_that_cannot_be_started_ends_the_run_after_three_tries_in_its_words(yard: Yard) -> None:
    yard.launcher.refusal = "The environment the task was defined in is gone: /old/python."

    yard.trigger("run_1")
    yard.settle()

    run = yard.core.read_run("run_1")()
    assert run.status is RunStatus.SYSTEM_FAILURE
    assert run.error is not None and "/old/python" in run.error.message
    assert len(yard.launcher.launched) == 3


def test_three_spawn_failures_end_the_run(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.settle()
    yard.keeper_dials()

    for number in (1, 2, 3):
        assert yard.status() is RunStatus.DEQUEUED
        yard.keeper_says(m.SpawnFailed(f"w{number}", "no such file: python3.9"))

    assert yard.status() is RunStatus.SYSTEM_FAILURE


def test_a_keeper_that_ends_before_it_dials_in_is_found_out(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.settle()

    yard.launcher.ended = "its keeper ended with code 1"
    for _ in range(3):
        yard.pass_time(1)

    error = yard.core.read_run("run_1")().error
    assert error is not None and "its keeper ended with code 1" in error.message


def test_a_worker_that_does_not_dial_in_is_killed_and_sent_away_when_it_comes_late(yard: Yard) -> None:
    yard.trigger("run_1")
    yard.settle()
    yard.keeper_dials()
    yard.keeper_says(m.WorkerSpawned("w1", 1, 1.0))

    yard.pass_time(SPAWN_WITHIN_S + 1)

    assert yard.keeper.of(m.KillWorker) == [m.KillWorker("w1")]
    assert yard.core.state.runs["run_1"].worker_id == "w2"
    assert yard.worker_dials("w1").sent == [m.Retire()]
