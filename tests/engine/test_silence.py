from __future__ import annotations

from typing import cast

import pytest

from kernelkit.config import EngineSettings
from kernelkit.engine import commands as c
from kernelkit.engine import silence
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.samples import spec
from tests.engine.yard import Yard


def test_a_worker_that_does_not_answer_is_silent_since_it_was_asked(yard: Yard) -> None:
    wire = yard.begin()
    yard.pass_time(1)
    assert wire.of(m.Ping) == [m.Ping()]

    yard.pass_time(3)
    assert yard.fleet.silent_for("w1") == 3
    yard.fleet.worker_message("w1", cast(Channel, wire), m.Pong())

    assert yard.fleet.silent_for("w1") == 0


def test_a_worker_that_answers_nothing_for_too_long_is_killed_once(yard: Yard) -> None:
    yard.begin()
    for _ in range(299):
        yard.pass_time(1)
    assert yard.keeper.of(m.KillWorker) == []

    for _ in range(5):
        yard.pass_time(1)
    assert yard.keeper.of(m.KillWorker) == [m.KillWorker("w1")]
    yard.keeper_says(m.WorkerExited("w1", -9, killed=True))
    yard.hangs_up("w1")

    error = yard.core.state.runs["run_1"].past[0].error
    assert error is not None
    assert "KernelKit killed it because it had not answered for 300 s: a body blocked its loop" in error.message


def test_an_answer_begins_the_time_anew(yard: Yard) -> None:
    wire = yard.begin()
    for _ in range(250):
        yard.pass_time(1)
    yard.fleet.worker_message("w1", cast(Channel, wire), m.Pong())

    for _ in range(299):
        yard.pass_time(1)

    assert yard.keeper.of(m.KillWorker) == []


def test_what_the_engine_slept_through_is_not_held_against_its_workers(yard: Yard) -> None:
    yard.begin()
    yard.pass_time(1)

    yard.pass_time(4_000)
    yard.pass_time(1)

    assert yard.keeper.of(m.KillWorker) == []
    assert yard.fleet.silent_for("w1") == 1


def test_a_stalled_worker_may_be_waited_for_without_end(yard: Yard) -> None:
    yard.fleet._settings = EngineSettings(stalled_after=0)
    yard.begin()

    for _ in range(1_000):
        yard.pass_time(1)

    assert yard.keeper.of(m.KillWorker) == []


def test_an_exclusive_worker_that_computes_may_be_silent_and_one_that_stands_still_may_not(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Code in C may keep the interpreter for hours; nobody else is held up by it.
    used = 0.0
    monkeypatch.setattr(silence, "cpu_seconds", lambda pid: used)
    yard.core.take(c.DefineTask(spec(isolation="process", fingerprint="2")))
    yard.begin()
    for _ in range(2_000):
        used += 0.9
        yard.pass_time(1)
    assert yard.keeper.of(m.KillWorker) == []
    assert "lets no other thread run" in (yard.core.read_run("run_1")().notice or "")

    for _ in range(305):
        yard.pass_time(1)

    assert yard.keeper.of(m.KillWorker) == [m.KillWorker("w1")]
