"""Engines that are mistaken about what a trigger asked for: delays, times to live, priorities, keys, durations.

Made as those of `mutants.py`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import attempts, decide, triggers
from kernelkit.engine import commands as c
from kernelkit.engine.folds import moves
from kernelkit.engine.folds import triggers as folds_of_triggers
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.wire import messages as m
from tests.simulation.book import micros
from tests.simulation.mutants import Mutant, Patch, handle


def delay_ignored(patch: Patch) -> None:
    """A delayed run stands in its queue at once."""
    before = applying._HANDLERS[ev.RunTriggered]

    def triggered(state: State, event: ev.RunTriggered) -> LiveRun | None:
        run = before(state, event)
        if run is not None and run.status is RunStatus.DELAYED:
            run.status = RunStatus.QUEUED
            folds_of_triggers.enter_queue(state, run, event.at)
        return run

    handle(patch, ev.RunTriggered, triggered)


def delay_holds_slot(patch: Patch) -> None:
    """A run that waits for its moment has a slot already."""
    before = applying._HANDLERS[ev.RunTriggered]

    def triggered(state: State, event: ev.RunTriggered) -> LiveRun | None:
        run = before(state, event)
        if run is not None and run.status is RunStatus.DELAYED:
            state.hold(run)
        return run

    handle(patch, ev.RunTriggered, triggered)


def reschedule_forgets_timer(patch: Patch) -> None:
    """The new moment of a delayed run is noted, but no timer is set for it."""

    def rescheduled(state: State, event: ev.RunRescheduled) -> LiveRun:
        run = state.runs[event.run_id]
        run.delay_until = event.delay_until
        return run

    handle(patch, ev.RunRescheduled, rescheduled)


def reschedule_of_any_run(patch: Patch) -> None:
    """A run that stands in its queue, or executes, is given another moment."""

    def reschedule(state: State, command: c.RescheduleRun, now: int) -> Sequence[ev.AnyEvent]:
        run = state.runs.get(command.run_id)
        if run is None:
            return ()
        return (ev.RunRescheduled(now, run.id, command.delay_until or now + micros(command.delay_s), command.asked),)

    patch.setattr(decide, "_reschedule", reschedule)


def retry_now_of_any_run(patch: Patch) -> None:
    """A run that waits for no attempt is retried when somebody asks."""

    def retry_now(state: State, command: c.RetryNow, now: int) -> Sequence[ev.AnyEvent]:
        run = state.runs.get(command.run_id)
        return () if run is None else (ev.RetryDue(now, run.id, command.asked),)

    patch.setattr(decide, "retry_now", retry_now)


def _arm_again(patch: Patch, kind: type[Any]) -> None:
    before = applying._HANDLERS[kind]

    def handler(state: State, event: Any) -> LiveRun | None:  # an event of that kind
        run = before(state, event)
        if run is not None and run.ttl and run.status is RunStatus.QUEUED:
            run.expires_at = event.at + micros(run.ttl)
            state.set_timer(run)
        return run

    handle(patch, kind, handler)


def ttl_armed_again_by_an_undone_dispatch(patch: Patch) -> None:
    """A run whose dispatch was taken back may expire."""
    _arm_again(patch, ev.DispatchUndone)


def ttl_armed_again_by_a_retry(patch: Patch) -> None:
    """A run that stands in its queue for another attempt may expire."""
    _arm_again(patch, ev.RetryDue)


def ttl_counted_from_the_trigger(patch: Patch) -> None:
    """The delay of a run counts towards its time to live."""
    before = applying._HANDLERS[ev.DelayOver]

    def over(state: State, event: ev.DelayOver) -> LiveRun | None:
        run = before(state, event)
        if run is not None and run.ttl:
            run.expires_at = run.created_at + micros(run.ttl)
            state.set_timer(run)
        return run

    handle(patch, ev.DelayOver, over)


def priority_turned_round(patch: Patch) -> None:
    """Who should go ahead goes behind."""
    before = folds_of_triggers.enter_queue

    def enter_queue(state: State, run: LiveRun, at: int) -> None:
        priority, run.priority = run.priority, -run.priority
        before(state, run, at)
        run.priority = priority

    patch.setattr(folds_of_triggers, "enter_queue", enter_queue)


def order_by_the_machines_clock(patch: Patch) -> None:
    """Who comes after the clock was set back overtakes everyone."""
    before = folds_of_triggers.enter_queue

    def enter_queue(state: State, run: LiveRun, at: int) -> None:
        clock, state.clock = state.clock, at
        before(state, run, at)
        state.clock = clock

    patch.setattr(folds_of_triggers, "enter_queue", enter_queue)


def copies_share_one_limit(patch: Patch) -> None:
    """The slots of a queue are shared by its concurrency keys."""
    patch.setattr(LiveRun, "slots", property(lambda run: run.queue))


def copies_have_no_limit(patch: Patch) -> None:
    """The limit of a queue holds for runs without a concurrency key only."""

    def is_full(state: State, queue: str, slots: str) -> bool:
        return slots == queue and before(state, queue, slots)

    before = State.is_full
    patch.setattr(State, "is_full", is_full)


def limit_at_trigger_forgotten(patch: Patch) -> None:
    """A limit that came with a trigger holds nobody up."""
    handle(patch, ev.QueueLimited, lambda state, event: None)


def timed_out_run_retried(patch: Patch) -> None:
    """The failure of an attempt that took too long is an ordinary one."""
    patch.setattr(attempts, "FINAL", FINAL - {RunStatus.TIMED_OUT})
    patch.setattr(moves, "allows", lambda before, after: True)


def timed_out_run_succeeds(patch: Patch) -> None:
    """An attempt that took too long, and returns when it is told to stop, has a result."""
    before = attempts.decide_report

    def decide_report(state: State, command: c.TakeReport, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        run = attempts.run_of(state, command)
        if run.status is RunStatus.TIMED_OUT and isinstance(command.body, m.Succeeded):
            run.status = RunStatus.EXECUTING
        return before(state, command, now, roll)

    patch.setattr(decide, "decide_report", decide_report)


def timeout_frees_slot_at_once(patch: Patch) -> None:
    """An attempt that took too long gives its slot back while its code still runs."""
    before = applying._HANDLERS[ev.RunTimedOut]

    def timed_out(state: State, event: ev.RunTimedOut) -> LiveRun | None:
        run = before(state, event)
        state.release(state.runs[event.run_id])
        return run

    handle(patch, ev.RunTimedOut, timed_out)


def expiry_instead_of_a_retry(patch: Patch) -> None:
    """A run with a time to live expires when it should try again."""
    before = decide._rung

    def rung(run: LiveRun, now: int) -> Iterator[ev.AnyEvent]:
        if run.ttl and run.retry_at and run.status is RunStatus.QUEUED:
            return iter([ev.RunFinished(now, run.id, RunStatus.EXPIRED)])
        return before(run, now)

    patch.setattr(decide, "_rung", rung)


def duration_not_timed(patch: Patch) -> None:
    """The start of an attempt sets no timer for the longest it may take."""
    before = applying._HANDLERS[ev.AttemptStarted]

    def started(state: State, event: ev.AttemptStarted) -> LiveRun | None:
        run = before(state, event)
        state.due = [(at, run_id) for at, run_id in state.due if run_id != event.run_id]
        heapq.heapify(state.due)
        return run

    handle(patch, ev.AttemptStarted, started)


def duration_counted_over_all_attempts(patch: Patch) -> None:
    """What the attempts before took counts as well."""
    before = applying._HANDLERS[ev.AttemptStarted]

    def started(state: State, event: ev.AttemptStarted) -> LiveRun | None:
        return before(state, replace(event, started_at=state.runs[event.run_id].started_at))

    handle(patch, ev.AttemptStarted, started)


def processes_trigger_for_attempts_that_are_over(patch: Patch) -> None:
    """A process that outlived its attempt goes on triggering children of its run."""

    def parent(state: State, command: c.TriggerRuns) -> LiveRun | None:
        return state.runs.get(command.parent_id)

    patch.setattr(triggers, "_parent", parent)


def processes_of_attempts_forgotten(patch: Patch) -> None:
    """What a process of an attempt triggers is nobody's child."""
    patch.setattr(triggers, "_parent", lambda state, command: None)


OPTION_MUTANTS = (
    Mutant(processes_trigger_for_attempts_that_are_over, {"a_process_triggers_for_the_attempt_that_started_it"}),
    Mutant(processes_of_attempts_forgotten, {"a_process_triggers_for_the_attempt_that_started_it"}),
    Mutant(delay_ignored, {"moves_follow_the_lifecycle", "timers_are_set", "the_book_agrees"}),
    Mutant(delay_holds_slot, {"slots_are_held_by_who_holds_them"}),
    Mutant(reschedule_forgets_timer, {"timers_are_set", "snapshots_lose_nothing"}),
    Mutant(reschedule_of_any_run, {"only_delayed_runs_are_rescheduled"}),
    Mutant(retry_now_of_any_run, {"retries_wait_for_their_moment"}),
    Mutant(ttl_armed_again_by_an_undone_dispatch, {"timers_are_set", "the_book_agrees", "runs_expire_in_their_queue"}),
    Mutant(ttl_armed_again_by_a_retry, {"runs_expire_in_their_queue", "timers_are_set", "the_book_agrees"}),
    Mutant(ttl_counted_from_the_trigger, {"timers_are_set", "the_book_agrees", "runs_expire_in_their_queue"}),
    Mutant(expiry_instead_of_a_retry, {"runs_expire_in_their_queue"}),
    Mutant(priority_turned_round, {"machines_go_by_their_turn", "queued_runs_say_why", "lanes_go_by_their_order"}),
    Mutant(
        order_by_the_machines_clock, {"machines_go_by_their_turn", "lanes_go_by_their_order", "queued_runs_say_why"}
    ),
    Mutant(
        copies_share_one_limit,
        {
            "no_run_that_could_start_is_left_standing",
            "queued_runs_say_why",
            "an_error_of_the_engine",
            "snapshots_lose_nothing",
            "machines_go_by_their_turn",
            "no_key_starves",
        },
    ),
    Mutant(copies_have_no_limit, {"no_run_that_could_start_is_left_standing", "queues_keep_their_limits"}),
    Mutant(
        limit_at_trigger_forgotten,
        {
            "machines_go_by_their_turn",
            "queues_keep_their_limits",
            "no_run_that_could_start_is_left_standing",
            "timers_are_set",
            "the_book_agrees",
        },
    ),
    Mutant(timed_out_run_retried, {"a_timed_out_run_is_never_retried", "moves_follow_the_lifecycle"}),
    Mutant(timed_out_run_succeeds, {"moves_follow_the_lifecycle"}),
    Mutant(duration_not_timed, {"timers_are_set", "snapshots_lose_nothing"}),
    Mutant(
        timeout_frees_slot_at_once,
        {
            "the_project_keeps_its_limits",
            "queues_keep_their_limits",
            "slots_are_held_by_who_holds_them",
            "workers_are_what_attempts_need",
        },
    ),
    Mutant(
        duration_counted_over_all_attempts,
        {"timers_are_set", "the_book_agrees", "attempts_time_out_at_their_moment"},
    ),
)
