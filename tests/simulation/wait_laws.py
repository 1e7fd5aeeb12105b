"""What must hold of waits, tokens and steps. As in `laws.py`, the book does not know the event yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.simulation.laws import (
    EventLaw,
    broken,
    lanes_go_by_their_order,
    machines_go_by_their_turn,
    moves_follow_the_lifecycle,
    news_come_under_the_current_fence,
    no_key_starves,
    paused_queues_start_nothing,
    terminal_is_final,
)

if TYPE_CHECKING:
    from tests.simulation.world import World


def a_completed_wait_resumes_its_run_once(world: World, event: ev.WaitOver) -> None:
    """A wait is over once, while it is open."""
    entry = world.book.runs[event.run_id]
    if event.op not in entry.waits or event.op in entry.over:
        broken(a_completed_wait_resumes_its_run_once, f"{event} of {entry}")


def waits_are_over_for_a_reason(world: World, event: ev.WaitOver) -> None:
    """A wait is over when its time is, its token has ended, or all its runs have; the result says which."""
    book = world.book
    wait = book.runs[event.run_id].waits.get(event.op, Wait("duration"))
    token = book.tokens.get(wait.token)
    in_time = bool(wait.until) and wait.until <= event.at
    runs_ended = bool(wait.runs) and all(i not in book.live or book.live[i].status in FINAL for i in wait.runs)
    if not (in_time or runs_ended or (token is not None and token.ended) or book.has_come(event.run_id, wait)):
        broken(waits_are_over_for_a_reason, f"{event} of {wait}")
    if wait.stream and event.timed_out == book.has_come(event.run_id, wait):
        broken(waits_are_over_for_a_reason, f"{event} of {wait}")
    if wait.type == "token" and token is not None:
        expected = token.value if token.ended else None
        if event.value != expected or event.timed_out != (expected is None):
            broken(waits_are_over_for_a_reason, f"{event} has not {expected}")


def only_open_waits_suspend(world: World, event: ev.RunSuspended) -> None:
    """A run is suspended while it executes and only if nothing that it waits for is over."""
    entry, command = world.book.runs[event.run_id], world.host.command
    assert isinstance(command, c.TakeReport) and isinstance(command.body, m.Suspend)
    if entry.status is not RunStatus.EXECUTING or not set(command.body.ops) <= entry.waits.keys():
        broken(only_open_waits_suspend, f"{event} of {entry}")


def resumed_runs_have_a_slot(world: World, event: ev.RunResumed) -> None:
    """A suspended attempt goes on only where a slot is free, in its turn, and is told of all that is over."""
    entry, book = world.book.runs[event.run_id], world.book
    if _was_woken(world, event):
        return
    exclusive = sum(1 for other in book.holders() if other.isolation == "process")
    if (
        entry.status is not RunStatus.QUEUED
        or not entry.fence
        or set(event.ops) != entry.untold
        or book.is_full(entry.slots)
        or len(book.holders()) >= world.capacity.attempts
        or (entry.isolation == "process" and exclusive >= world.capacity.exclusive)
    ):
        broken(resumed_runs_have_a_slot, f"{event} of {entry}")


def resumed_runs_keep_the_rules_of_starts(world: World, event: ev.RunResumed) -> None:
    """A suspended attempt goes on where another could start, and in its turn."""
    if not _was_woken(world, event):
        for law in (paused_queues_start_nothing, no_key_starves, lanes_go_by_their_order, machines_go_by_their_turn):
            law(world, event)


def _was_woken(world: World, event: ev.RunResumed) -> bool:
    """Something that nobody saw has woken the body, and it has ended."""
    command = world.host.command
    if not isinstance(command, c.TakeReport) or not isinstance(command.body, m.Succeeded | m.Failed):
        return False
    return command.run_id == event.run_id


def only_who_waits_is_parked(world: World, event: ev.AttemptParked) -> None:
    """An attempt survives its worker only while it is suspended, and is let go only from a process of its own."""
    entry = world.book.runs[event.run_id]
    if not entry.suspended_at or (event.let_go and (entry.isolation != "process" or event.let_go != entry.worker)):
        broken(only_who_waits_is_parked, f"{event} of {entry}")


def whoever_waits_survives_its_worker(world: World, event: ev.AttemptFailed) -> None:
    """An attempt that is suspended does not fail."""
    if world.book.runs[event.run_id].suspended_at:
        broken(whoever_waits_survives_its_worker, event)


def first_completion_wins(world: World, event: ev.TokenCompleted | ev.TokenTimedOut) -> None:
    """A token is completed or times out once; what comes later changes nothing."""
    token = world.book.tokens.get(event.token_id)
    if token is None or token.ended:
        broken(first_completion_wins, event)


def answers_fit_what_is_asked_for(world: World, event: ev.TokenCompleted) -> None:
    """A token that asks for a text is completed with one."""
    if world.book.tokens[event.token_id].schema and not (event.value.text or "").startswith('"'):
        broken(answers_fit_what_is_asked_for, event)


def tokens_time_out_at_their_moment(world: World, event: ev.TokenTimedOut) -> None:
    """No token times out before its time."""
    if not 0 < world.book.tokens[event.token_id].timeout_at <= event.at:
        broken(tokens_time_out_at_their_moment, event)


def steps_are_kept_once(world: World, event: ev.StepKept) -> None:
    """A step of a run has one result, whatever attempt it comes from."""
    if event.op in world.book.runs[event.run_id].steps:
        broken(steps_are_kept_once, event)


def tokens_are_made_once(world: World, event: ev.TokenMade) -> None:
    """An id makes one token."""
    if event.token.id in world.book.tokens:
        broken(tokens_are_made_once, event)


WAIT_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.WaitOpened: (terminal_is_final,),
    ev.WaitOver: (terminal_is_final, a_completed_wait_resumes_its_run_once, waits_are_over_for_a_reason),
    ev.WaitDropped: (terminal_is_final,),
    ev.RunSuspended: (
        terminal_is_final,
        news_come_under_the_current_fence,
        moves_follow_the_lifecycle,
        only_open_waits_suspend,
    ),
    ev.RunResumed: (
        terminal_is_final,
        news_come_under_the_current_fence,
        moves_follow_the_lifecycle,
        resumed_runs_have_a_slot,
        resumed_runs_keep_the_rules_of_starts,
    ),
    ev.AttemptParked: (terminal_is_final, news_come_under_the_current_fence, only_who_waits_is_parked),
    ev.AttemptFailed: (whoever_waits_survives_its_worker,),
    ev.StepKept: (terminal_is_final, steps_are_kept_once),
    ev.TokenMade: (tokens_are_made_once,),
    ev.TokenCompleted: (first_completion_wins, answers_fit_what_is_asked_for),
    ev.TokenTimedOut: (first_completion_wins, tokens_time_out_at_their_moment),
}
