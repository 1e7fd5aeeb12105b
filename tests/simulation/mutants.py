"""Engines with one mistake each, to show that the laws would see it.

A mutant replaces one function of the engine through pytest's `monkeypatch`; its docstring is the mistake. `MUTANTS`
names the laws that may be the first to catch it. More of them, about options of a trigger, are in `option_mutants.py`.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import attempts, decide, placement, triggers
from kernelkit.engine import commands as c
from kernelkit.engine.folds import moves
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import Lane, State
from kernelkit.models import event as ev
from kernelkit.models.machine import Machine
from kernelkit.models.run import RunStatus
from kernelkit.wire import messages as m

Patch = pytest.MonkeyPatch
Handler = Callable[[State, Any], LiveRun | None]


@dataclass(frozen=True)
class Mutant:
    """A mistake and the laws that catch it."""

    make: Callable[[Patch], None]
    laws: set[str]

    @property
    def name(self) -> str:
        return self.make.__name__


def handle(patch: Patch, kind: type[ev.Event], handler: Handler) -> None:
    """Have events of that kind change the state so."""
    patch.setitem(applying._HANDLERS, kind, handler)


def dropped_fence_check(patch: Patch) -> None:
    """A report counts under whichever fence it comes."""

    def run_of(state: State, command: c.TakeReport) -> LiveRun:
        run = state.runs.get(command.run_id)
        if run is None or not run.fence:
            raise attempts.StaleFence("gone", run_id=command.run_id)
        return run

    patch.setattr(attempts, "run_of", run_of)
    patch.setattr(triggers, "run_of", run_of)


def leaked_slot(patch: Patch) -> None:
    """A run that has ended keeps its slot."""
    before = applying._HANDLERS[ev.RunFinished]

    def finished(state: State, event: ev.RunFinished) -> LiveRun | None:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(State, "release", lambda state, run: None)
            return before(state, event)

    handle(patch, ev.RunFinished, finished)


def lost_timer(patch: Patch) -> None:
    """The moment of a retry is noted, but no timer is set for it."""
    before = applying._HANDLERS[ev.AttemptFailed]

    def failed(state: State, event: ev.AttemptFailed) -> LiveRun | None:
        run = before(state, event)
        state.due = [(at, run_id) for at, run_id in state.due if run_id != event.run_id]
        heapq.heapify(state.due)
        return run

    handle(patch, ev.AttemptFailed, failed)


def double_wake(patch: Patch) -> None:
    """One retry wakes its run twice."""
    before = decide._due

    def due(state: State, now: int) -> Iterator[ev.AnyEvent]:
        for event in before(state, now):
            yield event
            yield event

    patch.setattr(decide, "_due", due)


def early_wake(patch: Patch) -> None:
    """Whatever waits is woken with whatever is due."""
    before = decide._due

    def due(state: State, now: int) -> Iterator[ev.AnyEvent]:
        for event in before(state, now + 10_000_000):
            yield replace(event, at=now)

    patch.setattr(decide, "_due", due)


def forgotten_run_ids(patch: Patch) -> None:
    """A trigger that is sent again makes its runs again."""
    before = triggers.trigger

    def trigger(state: State, command: c.TriggerRuns, now: int, size: int | None = None) -> list[ev.AnyEvent]:
        if command.batch_id:
            return before(state, command, now, size)
        fresh = [item for item in command.items if item.run_id not in command.known]
        return triggers._made(state, fresh, now, triggers._parent(state, command), size)

    patch.setattr(decide, "trigger", trigger)


def forgotten_op_key(patch: Patch) -> None:
    """A call of an attempt that is sent again acts again."""

    def once(run: LiveRun, op: str, now: int, events: Iterator[ev.AnyEvent]) -> Sequence[ev.AnyEvent]:
        return [*events, ev.OpDone(now, run.id, op)]

    patch.setattr(attempts, "_once", once)


def forgotten_op_key_of_children(patch: Patch) -> None:
    """A child that a body triggers once more, after a lost reply, is made twice."""
    before = triggers.child_trigger

    def child_trigger(
        state: State, command: c.TakeReport, body: m.ChildTrigger, now: int, size: int | None
    ) -> Sequence[ev.AnyEvent]:
        run = state.runs.get(command.run_id)
        if run is not None:
            run.ops = {op: result for op, result in run.ops.items() if op != body.op}
        return before(state, command, body, now, size)

    patch.setattr(decide, "child_trigger", child_trigger)


def queue_limit_off_by_one(patch: Patch) -> None:
    """A queue is full one run too late."""

    def is_full(state: State, queue: str, slots: str) -> bool:
        limit = state.limit_of(queue)
        return limit is not None and state.holding(slots) > limit

    patch.setattr(State, "is_full", is_full)


def project_limit_off_by_one(patch: Patch) -> None:
    """The project runs one attempt too many."""
    before = placement.next_dispatch

    def next_dispatch(state: State, capacity: c.Capacity, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        return before(state, dataclasses.replace(capacity, attempts=capacity.attempts + 1), now, roll)

    patch.setattr(decide, "next_dispatch", next_dispatch)


def shared_exclusive_worker(patch: Patch) -> None:
    """An exclusive worker is given a second attempt."""
    before = placement._free_worker

    def free_worker(
        state: State, env_id: str, isolation: Any, capacity: c.Capacity, machine: Machine | None = None
    ) -> str | None:
        for worker in state.workers.values():
            if worker.env_id == env_id and worker.isolation == isolation == "process" and not worker.retired:
                return worker.id
        return before(state, env_id, isolation, capacity, machine)

    patch.setattr(placement, "_free_worker", free_worker)


def retired_worker_used(patch: Patch) -> None:
    """A worker that takes no more attempts is given one."""

    def retired(state: State, event: ev.WorkerRetired) -> None:
        assert event.worker_id in state.workers

    handle(patch, ev.WorkerRetired, retired)


def terminal_overwritten(patch: Patch) -> None:
    """A late result of a canceled run takes the place of its end."""
    before = attempts.decide_report

    def decide_report(state: State, command: c.TakeReport, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        run = attempts.run_of(state, command)
        if isinstance(command.body, m.Succeeded) and run.status is RunStatus.CANCELED:
            return (ev.RunFinished(now, run.id, RunStatus.COMPLETED, 0, command.body.output),)
        return before(state, command, now, roll)

    patch.setattr(decide, "decide_report", decide_report)
    patch.setattr(moves, "allows", lambda before, after: True)


def cancel_spares_children(patch: Patch) -> None:
    """A cancel does not reach the runs below."""

    def cancel(state: State, run_id: str, reason: str, now: int) -> Iterator[ev.AnyEvent]:
        run = state.runs.get(run_id)
        if run is not None and run.status is not RunStatus.CANCELED:
            yield ev.RunCanceled(now, run_id, reason)

    patch.setattr(decide, "cancel", cancel)


def cancel_frees_slot_at_once(patch: Patch) -> None:
    """A canceled run gives its slot back while its code still runs."""
    before = applying._HANDLERS[ev.RunCanceled]

    def canceled(state: State, event: ev.RunCanceled) -> LiveRun | None:
        run = before(state, event)
        state.release(state.runs.get(event.run_id) or _gone(run))
        return run

    handle(patch, ev.RunCanceled, canceled)


def _gone(run: LiveRun | None) -> LiveRun:
    assert run is not None
    return run


def kept_slot_given_away(patch: Patch) -> None:
    """A run in a short backoff says that it keeps its slot, and another gets it."""
    before = applying._HANDLERS[ev.AttemptFailed]

    def failed(state: State, event: ev.AttemptFailed) -> LiveRun | None:
        run = before(state, event)
        if run is not None:
            state.release(run)
        return run

    handle(patch, ev.AttemptFailed, failed)


def attempts_not_counted(patch: Patch) -> None:
    """Every attempt is the first."""
    before = placement.dispatch

    def dispatch(state: State, run: LiveRun, capacity: c.Capacity, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        events = before(state, run, capacity, now, roll)
        return [replace(event, attempt=1) if isinstance(event, ev.RunDispatched) else event for event in events]

    patch.setattr(placement, "dispatch", dispatch)


def starved_head(patch: Patch) -> None:
    """The newest run of a lane goes first."""

    def head(state: State, lane: Lane) -> LiveRun | None:
        ready = [
            run for _, i in state.lanes[lane[0]][lane[1]] if (run := state.runs.get(i)) is not None and run.is_ready
        ]
        return max(ready, key=lambda run: run.order, default=None)

    patch.setattr(State, "head", head)


def forgetful_snapshot(patch: Patch) -> None:
    """A snapshot leaves the limits of queues out."""
    before = State.load.__func__  # type: ignore[attr-defined]  # a bound class method has one

    def load(cls: type[State], data: bytes) -> State:
        state: State = before(cls, data)
        state.queues = {}
        return state

    patch.setattr(State, "load", classmethod(load))


def lost_worker_forgotten(patch: Patch) -> None:
    """The attempts of a lost worker stay as they are."""

    def ended(state: State, command: c.WorkerEnded, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        return (ev.WorkerGone(now, command.worker_id),) if command.worker_id in state.workers else ()

    patch.setattr(decide, "decide_ended_worker", ended)


def undone_dispatch_counted(patch: Patch) -> None:
    """An attempt that never began counts as one."""
    before = applying._HANDLERS[ev.DispatchUndone]

    def undone(state: State, event: ev.DispatchUndone) -> LiveRun | None:
        run = before(state, event)
        if run is not None:
            run.attempt += 1
        return run

    handle(patch, ev.DispatchUndone, undone)


def version_not_locked(patch: Patch) -> None:
    """A retry takes the newest code."""
    before = placement.dispatch

    def dispatch(state: State, run: LiveRun, capacity: c.Capacity, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        run.version = ""
        run.bundle = ""
        return before(state, run, capacity, now, roll)

    patch.setattr(placement, "dispatch", dispatch)


def metadata_of_the_wrong_run(patch: Patch) -> None:
    """What a run writes for its parent lands in its own metadata."""
    patch.setattr(attempts, "_target", lambda state, run, target: run)


MUTANTS = (
    Mutant(dropped_fence_check, {"the_winner_is_the_current_attempt", "slots_return_when_code_has_stopped"}),
    Mutant(leaked_slot, {"slots_are_held_by_who_holds_them", "an_error_of_the_engine"}),
    Mutant(lost_timer, {"timers_are_set", "snapshots_lose_nothing"}),
    Mutant(
        double_wake,
        {
            "retries_wait_for_their_moment",
            "the_engines_own_check",
            "an_error_of_the_engine",
            "first_completion_wins",
            "a_completed_wait_resumes_its_run_once",
        },
    ),
    Mutant(
        early_wake,
        {
            "waits_are_over_for_a_reason",
            "tokens_time_out_at_their_moment",
            "retries_wait_for_their_moment",
            "delays_are_waited_out",
            "runs_expire_in_their_queue",
            "attempts_time_out_at_their_moment",
        },
    ),
    Mutant(
        forgotten_run_ids,
        {"batches_are_refused_whole", "a_run_id_is_used_once", "a_request_acts_once", "a_key_has_one_live_run"},
    ),
    Mutant(forgotten_op_key, {"an_op_key_acts_once"}),
    Mutant(forgotten_op_key_of_children, {"a_run_id_is_used_once", "a_request_acts_once"}),
    Mutant(queue_limit_off_by_one, {"queues_keep_their_limits"}),
    Mutant(project_limit_off_by_one, {"the_project_keeps_its_limits"}),
    Mutant(shared_exclusive_worker, {"workers_are_what_attempts_need"}),
    Mutant(retired_worker_used, {"workers_are_what_attempts_need"}),
    Mutant(terminal_overwritten, {"moves_follow_the_lifecycle"}),
    Mutant(cancel_spares_children, {"cancels_reach_the_children", "the_engines_own_check"}),
    Mutant(
        cancel_frees_slot_at_once,
        {"slots_are_held_by_who_holds_them", "queues_keep_their_limits", "the_project_keeps_its_limits"},
    ),
    Mutant(
        kept_slot_given_away,
        {
            "the_host_is_not_promised_twice",
            "slots_are_held_by_who_holds_them",
            "queues_keep_their_limits",
            "the_project_keeps_its_limits",
        },
    ),
    Mutant(attempts_not_counted, {"attempts_are_counted"}),
    Mutant(starved_head, {"lanes_go_by_their_order", "machines_go_by_their_turn"}),
    Mutant(forgetful_snapshot, {"snapshots_lose_nothing"}),
    Mutant(lost_worker_forgotten, {"the_quiet_world_is_empty"}),
    Mutant(undone_dispatch_counted, {"attempts_are_counted"}),
    Mutant(version_not_locked, {"retries_keep_their_version", "runs_start_with_the_code_that_counts"}),
    Mutant(metadata_of_the_wrong_run, {"metadata_counts_every_op"}),
)
