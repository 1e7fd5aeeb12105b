from __future__ import annotations

from typing import Any

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.reasons import is_queue_paused, queued_reason
from kernelkit.models import event as ev
from kernelkit.models.task import RetryPolicy
from tests.engine.samples import Engine, item, spec


def reason(engine: Engine, run_id: str) -> str | None:
    return queued_reason(engine.state, engine.run(run_id), engine.capacity)


def dispatched(engine: Engine) -> list[str]:
    return [event.run_id for event in engine.log if isinstance(event, ev.RunDispatched)]


@pytest.mark.parametrize(
    ("spec_changes", "capacity", "words"),
    [
        ({"concurrency_limit": 1}, c.Capacity(), "queue task/resize: 1 of 1 in use"),
        ({"queue": "images", "concurrency_limit": 1}, c.Capacity(), "queue images: 1 of 1 in use"),
        ({}, c.Capacity(attempts=1), "project limit: 1 of 1 executing"),
        ({"isolation": "process"}, c.Capacity(exclusive=1), "no exclusive worker free: 1 of 1 in use"),
    ],
)
def test_a_queued_run_says_why_it_does_not_run(spec_changes: dict[str, Any], capacity: c.Capacity, words: str) -> None:
    engine = Engine(spec(**spec_changes), capacity=capacity)

    engine.trigger("run_1", "run_2", "run_3", "run_4")

    assert reason(engine, "run_1") is None
    assert reason(engine, "run_2") == words
    assert reason(engine, "run_3") == f"{words}, 1 run ahead"
    assert reason(engine, "run_4") == f"{words}, 2 runs ahead"


@pytest.mark.parametrize(
    ("paused", "capacity", "words"),
    [
        ([], c.Capacity(attempts=1), "project limit: 1 of 1 executing"),
        (["task/resize"], c.Capacity(attempts=1), "queue task/resize is paused"),
        (["task/resize", ""], c.Capacity(attempts=1), "the project is paused"),
        (["task/resize"], c.Capacity(attempts=0), "the engine is stopping"),
    ],
)
def test_that_its_queue_is_paused_is_a_fact_where_it_is_the_reason(
    paused: list[str], capacity: c.Capacity, words: str
) -> None:
    engine = Engine(spec(), capacity=c.Capacity(attempts=1))
    engine.trigger("run_1", "run_2")
    for queue in paused:
        engine.take(c.PauseQueue(queue, True))

    run = engine.run("run_2")
    assert (queued_reason(engine.state, run, capacity) or "").startswith(words)
    assert is_queue_paused(engine.state, run, capacity) == ("queue" in words)
    assert not is_queue_paused(engine.state, engine.run("run_1"), capacity)


def test_runs_ahead_are_those_that_still_wait() -> None:
    # A run that had started stayed in its lane's list until the next look at it, and was counted as ahead.
    engine = Engine(spec(concurrency_limit=2), capacity=c.Capacity(attempts=100))
    engine.trigger("run_1", "run_2", "run_3", "run_4", "run_5")
    engine.take(c.CancelRun("run_4", "enough"))

    assert reason(engine, "run_3") == "queue task/resize: 2 of 2 in use"
    assert reason(engine, "run_5") == "queue task/resize: 2 of 2 in use, 1 run ahead"


def test_a_run_in_a_long_backoff_says_so() -> None:
    engine = Engine(spec(retry=RetryPolicy(max_attempts=3, min_timeout=10, randomize=False)))
    engine.trigger("run_1")
    engine.fail("run_1")

    assert reason(engine, "run_1") == "attempt 2 of 3 waits out its backoff; the slot was given back"


def test_queues_take_turns() -> None:
    engine = Engine(spec("a"), spec("b"), capacity=c.Capacity(attempts=1))
    for number, task_id in enumerate("aaabba"):
        engine.trigger(item(f"run_{number}", task_id))

    for number in (0, 1, 3, 2, 4):
        engine.succeed(f"run_{number}")

    assert dispatched(engine) == ["run_0", "run_1", "run_3", "run_2", "run_4", "run_5"]


def test_a_full_queue_does_not_hold_up_the_others() -> None:
    engine = Engine(spec("a", concurrency_limit=1), spec("b"))
    engine.trigger(item("run_1", "a"), item("run_2", "a"), item("run_3", "b"))

    assert dispatched(engine) == ["run_1", "run_3"]


def test_a_run_that_comes_back_stands_where_it_stood() -> None:
    engine = Engine(
        spec(concurrency_limit=1, retry=RetryPolicy(max_attempts=3, min_timeout=10, randomize=False)),
    )
    engine.trigger("run_1", "run_2", "run_3")
    engine.fail("run_1")
    engine.pass_time(10)

    engine.succeed("run_2")

    assert dispatched(engine) == ["run_1", "run_2", "run_1"]


def test_a_kept_slot_is_nobody_elses() -> None:
    engine = Engine(spec(concurrency_limit=1))
    engine.trigger("run_1", "run_2")
    engine.fail("run_1")

    assert reason(engine, "run_2") == "queue task/resize: 1 of 1 in use"
    assert engine.pass_time(1) == ["RetryDue", "RunDispatched"]
    assert dispatched(engine) == ["run_1", "run_1"]


def test_an_exclusive_worker_has_one_attempt_and_is_used_again() -> None:
    engine = Engine(spec(isolation="process"))
    engine.trigger("run_1", "run_2")
    assert {engine.run("run_1").worker_id, engine.run("run_2").worker_id} == {"w1", "w2"}

    engine.succeed("run_1")
    engine.trigger("run_3")

    assert engine.run("run_3").worker_id == "w1"


def test_shared_workers_take_turns_once_enough_are_planned() -> None:
    engine = Engine(capacity=c.Capacity(shared_workers=2))

    engine.trigger("run_1", "run_2", "run_3", "run_4")

    assert [engine.run(f"run_{n}").worker_id for n in (1, 2, 3, 4)] == ["w1", "w2", "w1", "w2"]


def test_a_retired_worker_is_given_nothing_more() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.take(c.RetireWorker("w1"))

    engine.trigger("run_2")

    assert engine.run("run_2").worker_id == "w2"
    assert engine.events(c.RetireWorker("w1")) == []


def test_each_environment_has_its_own_workers() -> None:
    engine = Engine(spec("a"), spec("b", env_id="env2"))

    engine.trigger(item("run_1", "a"), item("run_2", "b"))

    assert engine.run("run_1").worker_id != engine.run("run_2").worker_id


def test_runs_of_one_code_have_the_surroundings_each_was_triggered_from() -> None:
    engine = Engine(spec(env_id="env1"))
    engine.take(c.DefineTask(spec(env_id="env2")))

    engine.trigger(item("run_1", bundle="resize-code", env_id="env1"))
    engine.trigger(item("run_2", bundle="resize-code", env_id="env2"))
    engine.trigger(item("run_3"))

    assert [engine.run(f"run_{n}").env_id for n in (1, 2, 3)] == ["env1", "env2", "env2"]
    assert engine.state.workers[engine.run("run_1").worker_id].env_id == "env1"


def test_a_retry_keeps_version_code_and_environment() -> None:
    engine = Engine(spec())
    engine.trigger("run_1")
    engine.take(c.DefineTask(spec(bundle="new", fingerprint="resize-2", env_id="env2")))
    engine.fail("run_1")
    engine.pass_time(1)

    again = engine.last(ev.RunDispatched)

    assert (again.version, again.bundle, again.env_id) == ("20270115.1", "resize-code", "env1")


def test_a_stopping_engine_starts_nothing_not_even_in_a_kept_slot() -> None:
    engine = Engine()
    engine.trigger("run_1")
    engine.fail("run_1")

    engine.capacity = c.Capacity(0, 0, 1)
    assert engine.pass_time(1) == ["RetryDue"]
    engine.capacity = c.Capacity()

    assert engine.events(c.Tick()) == ["RunDispatched"]
