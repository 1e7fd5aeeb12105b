"""Engines that are mistaken about waits, tokens and steps. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import attempts, decide, placement, waits
from kernelkit.engine.folds.waits import close_wait
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.engine.waiting import Waiting
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.wait import Done
from kernelkit.wire import messages as m
from tests.simulation.mutants import Mutant, Patch, handle


def slot_kept_while_waiting(patch: Patch) -> None:
    """A suspended run keeps its slot."""
    before = applying._HANDLERS[ev.RunSuspended]

    def suspended(state: State, event: ev.RunSuspended) -> LiveRun | None:
        run = before(state, event)
        assert run is not None
        state.hold(run)
        return run

    handle(patch, ev.RunSuspended, suspended)


def last_completion_wins(patch: Patch) -> None:
    """A token is completed as often as somebody says so."""

    def complete(state: State, body: m.CompleteToken, now: int) -> Iterator[ev.AnyEvent]:
        token = state.token(body.token)
        if token is None:
            token = waits._named(body.token, body.new_id, now)
            yield ev.TokenMade(now, token)
        yield ev.TokenCompleted(now, token.id, body.value)

    patch.setattr(decide, "complete_token", complete)
    patch.setattr(attempts, "complete_token", complete)


def any_answer_will_do(patch: Patch) -> None:
    """What a token asks for is kept, and no answer is held against it."""

    def complete(state: State, body: m.CompleteToken, now: int, by: str = "") -> Iterator[ev.AnyEvent]:
        token = state.token(body.token)
        if token is None or not token.schema:
            yield from before(state, body, now, by)
        elif token.is_open:
            yield ev.TokenCompleted(now, token.id, body.value, by)

    before = waits.complete_token
    patch.setattr(decide, "complete_token", complete)
    patch.setattr(attempts, "complete_token", complete)


def nobody_is_told(patch: Patch) -> None:
    """What a run waits for comes, and it is not told."""
    patch.setattr(decide, "waits_over", lambda state, now: ())


def told_and_not_queued(patch: Patch) -> None:
    """A wait of a suspended run is over, and it stays where it is."""

    def over(state: State, event: ev.WaitOver) -> LiveRun:
        run = state.runs[event.run_id]
        wait = close_wait(state, run, event.op)
        run.done = {**run.done, event.op: Done(wait, event.value, event.timed_out)}
        state.set_timer(run)
        return run

    handle(patch, ev.WaitOver, over)


def suspended_too_late(patch: Patch) -> None:
    """A run is suspended although the result that it waits for is on its way."""
    before = waits.decide_wait_report

    def report(state: State, run: LiveRun, body: Any, now: int) -> Iterator[ev.AnyEvent]:
        if isinstance(body, m.Suspend) and run.status is RunStatus.EXECUTING and run.waits:
            body = replace(body, ops=tuple(run.waits))
        return before(state, run, body, now)

    patch.setattr(attempts, "decide_wait_report", report)


def resumed_as_a_new_attempt(patch: Patch) -> None:
    """An attempt that goes on elsewhere is counted as another."""
    before = placement.dispatch

    def dispatch(state: State, run: LiveRun, *others: Any) -> Sequence[ev.AnyEvent]:
        events = before(state, run, *others)
        return [
            replace(event, attempt=event.attempt + 1)
            if isinstance(event, ev.RunDispatched) and event.resumes
            else event
            for event in events
        ]

    patch.setattr(placement, "dispatch", dispatch)


def waiting_fails_with_its_worker(patch: Patch) -> None:
    """A run that waits is lost with its worker."""
    patch.setattr(attempts, "_is_parked", lambda run: False)


def step_kept_again(patch: Patch) -> None:
    """A step that is reported again replaces the result that was kept."""
    before = waits.decide_wait_report

    def report(state: State, run: LiveRun, body: Any, now: int) -> Iterator[ev.AnyEvent]:
        if isinstance(body, m.KeepStep):
            return iter([ev.StepKept(now, run.id, body.op, body.value)])
        return before(state, run, body, now)

    patch.setattr(attempts, "decide_wait_report", report)


def waits_forgotten_in_snapshots(patch: Patch) -> None:
    """Who waits for what is not found again after a restart."""

    def reindex(state: State) -> None:
        before(state)
        state.waiting.by_token.clear()

    before = State.reindex
    patch.setattr(State, "reindex", reindex)


def woken_too_early(patch: Patch) -> None:
    """A batch is over with the first of its runs."""

    def ended(self: Waiting, run_id: str) -> None:
        for waiter in sorted(self.by_run.pop(run_id, ())):
            self.complete[waiter] = None

    patch.setattr(Waiting, "run_ended", ended)


WAIT_MUTANTS = (
    Mutant(slot_kept_while_waiting, {"slots_are_held_by_who_holds_them"}),
    Mutant(last_completion_wins, {"first_completion_wins", "answers_fit_what_is_asked_for"}),
    Mutant(any_answer_will_do, {"answers_fit_what_is_asked_for"}),
    Mutant(nobody_is_told, {"what_has_come_is_told"}),
    Mutant(
        told_and_not_queued,
        {
            "whoever_waits_has_nothing_else_to_do",
            "no_run_that_could_start_is_left_standing",
            "machines_go_by_their_turn",
            "no_key_starves",
            "lanes_go_by_their_order",
            "queued_runs_say_why",
            "timers_are_set",
        },
    ),
    Mutant(suspended_too_late, {"only_open_waits_suspend"}),
    Mutant(resumed_as_a_new_attempt, {"attempts_are_counted"}),
    Mutant(waiting_fails_with_its_worker, {"whoever_waits_survives_its_worker", "the_engines_own_check"}),
    Mutant(step_kept_again, {"steps_are_kept_once"}),
    Mutant(waits_forgotten_in_snapshots, {"snapshots_lose_nothing", "what_has_come_is_told"}),
    Mutant(woken_too_early, {"waits_are_over_for_a_reason"}),
)
