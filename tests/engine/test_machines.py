"""Machines in the engine: reservations, whose turn it is, what running out of memory brings."""

from __future__ import annotations

import dataclasses

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.exits import ended_worker
from kernelkit.engine.reasons import queued_reason
from kernelkit.engine.views import run_view
from kernelkit.errors import InvalidOptionError
from kernelkit.models import event as ev
from kernelkit.models.machine import GIB, PRESETS
from kernelkit.models.run import RunStatus
from kernelkit.models.task import RetryPolicy
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item, spec

HOST = c.Capacity(attempts=100, exclusive=10, shared_workers=1, cpu=4, memory=4 * GIB)
LARGER = RetryPolicy(max_attempts=3, min_timeout=1.0, randomize=False, on_out_of_memory="large-1x")


def reason(engine: Engine, run_id: str) -> str | None:
    return queued_reason(engine.state, engine.run(run_id), engine.capacity)


def executing(engine: Engine) -> set[str]:
    return {run.id for run in engine.state.runs.values() if run.fence}


def test_memory_is_reserved_until_the_attempt_has_ended() -> None:
    engine = Engine(spec(machine="medium-1x"), capacity=HOST)

    engine.trigger("run_1")
    engine.trigger("run_2")
    engine.trigger("run_3")

    assert executing(engine) == {"run_1", "run_2"}
    assert reason(engine, "run_3") == "waits for memory: 2 GiB asked, 0 free"
    engine.succeed("run_1")
    assert executing(engine) == {"run_2", "run_3"}


def test_vcpus_are_reserved_too() -> None:
    engine = Engine(spec(machine="small-2x"), capacity=dataclasses.replace(HOST, cpu=1.5, memory=64 * GIB))

    engine.trigger("run_1")
    engine.trigger("run_2")

    assert reason(engine, "run_2") == "waits for vCPUs: 1 asked, 0.5 free"


def test_a_short_backoff_keeps_what_was_reserved() -> None:
    engine = Engine(spec(machine="medium-2x"), capacity=HOST)
    engine.trigger("run_1")
    engine.trigger("run_2")

    engine.fail("run_1")

    assert engine.run("run_1").keeps_slot
    assert executing(engine) == set()
    engine.pass_time(1)
    assert executing(engine) == {"run_1"}


def test_a_small_machine_does_not_pass_a_large_one_but_a_run_without_passes_both() -> None:
    engine = Engine(spec("small", machine="small-1x"), spec("large", machine="large-1x"), spec("none"), capacity=HOST)

    engine.trigger(item("run_1", "small"))
    engine.trigger(item("run_2", "large"))
    engine.trigger(item("run_3", "small"))
    engine.trigger(item("run_4", "none"))

    assert executing(engine) == {"run_1", "run_4"}
    assert reason(engine, "run_2") == "waits for memory: 4 GiB asked, 3.5 free"
    assert reason(engine, "run_3") == (
        "waits its turn: run_2 came before it and waits for memory: 4 GiB asked, 3.5 free"
    )
    engine.succeed("run_1")
    assert executing(engine) == {"run_2", "run_4"}


def test_a_run_without_a_machine_passes_one_that_waits_for_its_own() -> None:
    engine = Engine(spec("a", machine="medium-2x", queue="q"), spec("b", isolation="process", queue="q"), capacity=HOST)
    engine.trigger(item("run_1", "a"))
    engine.trigger(item("run_2", "a"))

    engine.trigger(item("run_3", "b"))

    assert reason(engine, "run_2") == "waits for memory: 4 GiB asked, 0 free"
    assert engine.run("run_3").fence


def test_workers_are_planned_for_a_machine_and_used_again_for_it_alone() -> None:
    engine = Engine(spec(), capacity=HOST)
    engine.trigger(item("run_1", machine="large-2x"))
    assert engine.last(ev.WorkerPlanned).machine == PRESETS["large-2x"].clamped(4, 4 * GIB)
    view = run_view(engine.run("run_1"), engine.state, engine.capacity)
    assert (view.machine, view.notice) == (
        "large-2x",
        "Machine large-2x is 8 vCPU and 16 GiB; this host has less, so it is 4 vCPU and 4 GiB here.",
    )
    engine.succeed("run_1")

    engine.trigger(item("run_2", machine="micro"))
    engine.succeed("run_2")
    engine.trigger(item("run_3", machine="large-2x"))

    assert [event.worker_id for event in engine.log if isinstance(event, ev.RunDispatched)] == ["w1", "w2", "w1"]


def test_out_of_memory_goes_to_the_larger_machine_through_the_queue_and_stays_there() -> None:
    engine = Engine(spec(retry=LARGER), capacity=HOST)
    engine.trigger("run_1")

    engine.fail("run_1", out_of_memory=True, retry=False, peak_memory=GIB // 2)

    run = engine.run("run_1")
    assert (run.status, run.machine, run.isolation, run.keeps_slot) == (RunStatus.QUEUED, "large-1x", "process", False)
    error = run.past[0].error
    assert error is not None
    assert error.message == "broken. Out of memory: peak 0.5 GiB, no limit (the task names no machine)."
    engine.pass_time(1)
    assert engine.state.workers[run.worker_id].machine == PRESETS["large-1x"].clamped(4, 4 * GIB)
    engine.fail("run_1")
    engine.pass_time(2)
    assert engine.run("run_1").machine == "large-1x"
    engine.fail("run_1", out_of_memory=True)
    finished = engine.last(ev.RunFinished)
    assert finished.status is RunStatus.CRASHED
    assert "limit 4 GiB (machine large-1x)" in finished.error.message


@pytest.mark.parametrize("attempts", [1, 2])
def test_out_of_memory_on_the_machine_it_names_or_on_the_last_attempt_is_the_end(attempts: int) -> None:
    engine = Engine(spec(retry=LARGER, machine="large-1x" if attempts > 1 else ""), capacity=HOST)
    engine.trigger(item("run_1", max_attempts=attempts))

    assert engine.fail("run_1", out_of_memory=True) == ["RunFinished"]
    assert engine.last(ev.RunFinished).status is RunStatus.CRASHED


def test_a_run_that_got_a_process_of_its_own_stands_no_more_among_those_that_share_one() -> None:
    engine = Engine(
        spec(retry=LARGER, queue="q", concurrency_limit=1),
        spec("other", isolation="process"),
        capacity=dataclasses.replace(HOST, exclusive=1),
    )
    engine.trigger("run_1")
    engine.trigger(item("run_2", "other"))
    engine.fail("run_1", out_of_memory=True)

    engine.pass_time(1)

    assert executing(engine) == {"run_2"}
    assert reason(engine, "run_1") == "no exclusive worker free: 1 of 1 in use"


def test_strict_machines_refuse_at_definition_and_trigger_and_fail_an_item_alone() -> None:
    engine = Engine(spec(), capacity=dataclasses.replace(HOST, strict_machines=True))

    with pytest.raises(InvalidOptionError, match="this host has 4 vCPU and 4 GiB for machines"):
        engine.take(c.DefineTask(spec("large", machine="large-1x")))
    with pytest.raises(InvalidOptionError, match="strict_machines"):
        engine.trigger(item("run_1", machine="large-1x"))
    engine.trigger(item("run_2", machine="large-1x"), item("run_3", machine="medium-2x"))

    ends = {event.run_id: event.error for event in engine.log if isinstance(event, ev.RunRefused)}
    assert list(ends) == ["run_2"]
    assert "strict_machines" in ends["run_2"].message
    assert executing(engine) == {"run_3"}


def test_a_preset_that_does_not_exist_is_refused_from_any_client() -> None:
    engine = Engine(capacity=HOST)

    with pytest.raises(InvalidOptionError, match="Did you mean 'large-1x'"):
        engine.trigger(item("run_1", machine="large1x"))


def test_neighbours_of_the_one_that_filled_a_shared_process_are_lost_not_out_of_memory() -> None:
    exited = m.WorkerExited("w1", -9, peak_memory=GIB, out_of_memory=True)

    alone, together = ended_worker(exited), ended_worker(exited, sharing=2)

    assert (alone.out_of_memory, alone.error.name) == (True, "OutOfMemoryError")
    assert (together.out_of_memory, together.error.name) == (False, "WorkerLostError")
    assert "memory ran out" in together.error.message
