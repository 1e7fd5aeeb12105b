"""Whose turn it is, seen through an engine without loops: who starts in which order, and what the index keeps."""

from __future__ import annotations

import random

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.engine.turns import AGAIN, KINDS, kind_of
from kernelkit.models import event as ev
from kernelkit.models.queue import RateLimit
from kernelkit.models.task import TaskSpec
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.engine.samples import Engine, item, spec


def engine_of_one(*specs: TaskSpec) -> Engine:
    """One run at a time, so that the order of starts is the order of turns."""
    return Engine(*specs, capacity=c.Capacity(attempts=1))


def starts(engine: Engine) -> list[str]:
    return [event.run_id for event in engine.log if isinstance(event, ev.RunDispatched | ev.RunResumed)]


def work_off(engine: Engine) -> list[str]:
    """Let what executes succeed until nothing does; the runs in the order of their starts."""
    while engine.state.holders:
        engine.succeed(next(iter(engine.state.holders)))
    return starts(engine)


def with_keys(**runs: str) -> list[m.TriggerItem]:
    return [item(run_id, concurrency_key=key) for run_id, key in runs.items()]


# ---- within a copy ---------------------------------------------------------------------------------------------------


def test_within_a_copy_the_older_goes_first_and_priority_counts_as_age() -> None:
    engine = engine_of_one()
    for number, priority in enumerate((0, 0, 0, 30, 0.5, -10)):
        engine.pass_time(1)
        engine.trigger(item(f"run_{number}", priority=priority))

    assert work_off(engine) == ["run_0", "run_3", "run_1", "run_2", "run_4", "run_5"]


def test_runs_of_one_moment_keep_the_order_of_their_trigger() -> None:
    engine = engine_of_one()
    engine.trigger(*(f"run_{number}" for number in range(9)))

    assert work_off(engine) == [f"run_{number}" for number in range(9)]


def test_a_canceled_run_is_passed_over_wherever_it_stands() -> None:
    engine = engine_of_one()
    engine.trigger(*(f"run_{number}" for number in range(5)))
    for gone in ("run_1", "run_4", "run_2"):
        engine.take(c.CancelRun(gone, "enough"))

    assert work_off(engine) == ["run_0", "run_3"]


# ---- between copies --------------------------------------------------------------------------------------------------


def test_keys_take_turns_however_many_runs_each_has() -> None:
    engine = engine_of_one()
    engine.trigger(*with_keys(a1="a", a2="a", a3="a", a4="a", b1="b", c1="c", b2="b"))

    assert work_off(engine) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_priority_does_not_count_between_copies() -> None:
    engine = engine_of_one()
    flood = [item(f"a{n}", concurrency_key="a", priority=1_000) for n in range(3)]
    engine.trigger(*flood, item("b0", concurrency_key="b"))

    assert work_off(engine)[:2] == ["a0", "b0"]


def test_the_copy_that_holds_the_fewest_slots_goes_first() -> None:
    engine = Engine(capacity=c.Capacity(attempts=4))
    engine.trigger(*with_keys(a1="a", a2="a", a3="a", a4="a", a5="a", a6="a"))
    engine.trigger(*with_keys(b1="b", b2="b", b3="b"))
    assert starts(engine) == ["a1", "a2", "a3", "a4"]

    engine.succeed("a1")
    engine.succeed("a2")
    engine.succeed("a3")  # one of a and two of b hold slots, and another is free

    assert starts(engine)[4:] == ["b1", "b2", "a5"]


def test_a_key_that_comes_late_waits_for_one_turn_at_most() -> None:
    engine = engine_of_one()
    engine.trigger(*[item(f"a{n}", concurrency_key="a") for n in range(50)])
    for _ in range(10):
        engine.succeed(next(iter(engine.state.holders)))
    engine.trigger(*with_keys(late="b"))

    assert "late" in work_off(engine)[11:13]


def test_a_thousand_keys_are_each_served_once_before_any_is_served_again() -> None:
    engine = engine_of_one()
    keys = [f"k{number}" for number in range(1_000)]
    random.Random(3).shuffle(keys)
    engine.take(c.PauseQueue("", True))
    engine.trigger(*[item(f"{key}-{n}", concurrency_key=key) for n in range(2) for key in keys[:500]])
    engine.trigger(*[item(f"{key}-{n}", concurrency_key=key) for n in range(2) for key in keys[500:]])

    engine.take(c.PauseQueue("", False))
    order = work_off(engine)

    assert {run_id.partition("-")[0] for run_id in order[:1_000]} == set(keys)


# ---- what may not start ----------------------------------------------------------------------------------------------


def test_a_full_copy_stands_aside_and_comes_back_when_a_slot_is_free() -> None:
    engine = Engine(spec(concurrency_limit=1))
    engine.trigger(*with_keys(a1="a", a2="a", b1="b", b2="b"))
    assert starts(engine) == ["a1", "b1"]

    engine.succeed("b1")
    engine.succeed("a1")

    assert starts(engine) == ["a1", "b1", "b2", "a2"]


def test_a_paused_queue_stands_aside_whole_and_others_go_on() -> None:
    engine = engine_of_one(spec("a"), spec("b"))
    engine.trigger(*[item(f"a{n}", "a") for n in range(3)], *[item(f"b{n}", "b") for n in range(2)])
    engine.take(c.PauseQueue("task/a", True))
    assert work_off(engine) == ["a0", "b0", "b1"]

    engine.take(c.PauseQueue("task/a", False))

    assert work_off(engine) == ["a0", "b0", "b1", "a1", "a2"]


def test_an_override_lets_more_start_at_once_and_its_reset_fewer() -> None:
    engine = Engine(spec(concurrency_limit=1))
    engine.trigger(*(f"run_{number}" for number in range(6)))
    assert len(engine.state.holders) == 1

    engine.take(c.OverrideQueue("task/resize", 3, most=100))
    assert len(engine.state.holders) == 3
    engine.take(c.OverrideQueue("task/resize", None, most=100))
    for _ in range(2):
        engine.succeed(next(iter(engine.state.holders)))

    assert len(engine.state.holders) == 1


def test_without_tokens_a_queue_stands_aside_until_the_moment_of_the_next() -> None:
    engine = Engine(spec("a", rate_limit=RateLimit(2, "m")), spec("b"))
    engine.trigger(*[item(f"a{n}", "a") for n in range(4)], item("b0", "b"))
    assert (starts(engine), list(engine.state.turns.throttled)) == (["a0", "b0", "a1"], ["task/a"])

    engine.pass_time(29)
    assert starts(engine) == ["a0", "b0", "a1"]
    engine.pass_time(1)

    assert starts(engine)[3:] == ["a2"]
    engine.pass_time(30)
    assert starts(engine)[3:] == ["a2", "a3"]
    assert engine.state.next_token_at() is None


def test_who_goes_on_after_a_wait_needs_no_token() -> None:
    engine = Engine(spec("a", rate_limit=RateLimit(1, "h")))
    engine.trigger(item("a0", "a"), item("a1", "a"))
    engine.start("a0")
    engine.report("a0", m.OpenWait("wait:1", Wait("duration", engine.now + 60_000_000)))
    engine.report("a0", m.Suspend(("wait:1",), 0))
    assert (engine.run("a0").status, engine.run("a1").status) == ("WAITING", "QUEUED")

    engine.pass_time(61)

    assert list(engine.state.holders) == ["a0"]
    assert engine.run("a1").status == "QUEUED"


def test_exclusive_attempts_do_not_hold_up_shared_ones() -> None:
    engine = Engine(spec("plain", isolation="process"), spec("light"), capacity=c.Capacity(attempts=10, exclusive=1))
    engine.trigger(item("p0", "plain"), item("p1", "plain"), item("l0", "light"))

    assert starts(engine) == ["p0", "l0"]
    engine.succeed("p0")
    assert starts(engine) == ["p0", "l0", "p1"]


# ---- the index itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resumes", [False, True])
def test_what_goes_on_has_lanes_of_its_own(resumes: bool) -> None:
    kinds = {kind_of(need, resumes=resumes) for need in ("shared", "process", "machine")}

    assert kinds <= set(KINDS)
    assert kinds <= set(AGAIN) if resumes else not kinds & set(AGAIN)


def test_an_empty_engine_has_nobody_in_line() -> None:
    engine = Engine()

    assert engine.state.turns.firsts(KINDS, engine.now) == []
    engine.trigger("run_1")
    engine.succeed("run_1")
    assert engine.state.turns.firsts(KINDS, engine.now) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_index_finds_whom_a_look_at_all_runs_finds(seed: int) -> None:
    """Random triggers, ends, cancels and pauses; after each, the first of the index is the best of all in line."""
    chance = random.Random(seed)
    engine = Engine(
        spec("a", concurrency_limit=2), spec("b"), spec("c", isolation="process"), capacity=c.Capacity(attempts=3)
    )
    for number in range(120):
        act = chance.random()
        live = list(engine.state.runs)
        if act < 0.5 or not live:
            key, priority = chance.choice(("", "x", "y")), chance.randrange(3)
            engine.trigger(item(f"r{number}", chance.choice("abc"), concurrency_key=key, priority=priority))
        elif act < 0.75 and engine.state.holders:
            engine.succeed(chance.choice(sorted(engine.state.holders)))
        elif act < 0.85:
            engine.take(c.CancelRun(chance.choice(live), "enough"))
        else:
            engine.take(c.PauseQueue(f"task/{chance.choice('abc')}", chance.random() < 0.5))
        engine.pass_time(1)
        for kind in ("shared", "process"):
            best = _best(engine.state, kind)
            found = [run.id for _, run in engine.state.turns.firsts((kind,), engine.now)]
            assert found == ([best] if best else []), "also where one copy alone is in line, which needs no rank"
            first = engine.state.turns.first(kind, engine.now)
            assert (first and first[1].id) == best


def _best(state: State, kind: str) -> str | None:
    """As the docstring of `turns.py` says it, without an index."""
    ready = [run for run in state.runs.values() if run.is_ready and run.kind == kind]
    may = [run for run in ready if not state.is_paused(run.queue) and not state.is_full(run.queue, run.slots)]
    ranked = sorted((state.holding(run.slots), state.since[run.slots], run.slots, run.order, run.id) for run in may)
    return ranked[0][-1] if ranked else None
