"""What follows from a command: events, or a refusal. Pure: state, command, `now` and a roll in; events out.

`decide` answers one command, by the room of what it is about (`triggers.py`, `attempts.py`, `waits.py` and so on); what
time brings is here. `step` is how every driver (daemon, test engine, simulation) uses it: decide, apply, then start
whoever may start now, so that a finish and the dispatch it allows are events of one commit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import assert_never

import msgspec

from kernelkit.clock import MICROS
from kernelkit.engine import commands as c
from kernelkit.engine import schedules
from kernelkit.engine.apply import apply
from kernelkit.engine.attempts import (
    decide_ended_worker,
    decide_report,
    decide_unbegun_worker,
    decide_undelivered,
    retry_now,
)
from kernelkit.engine.bulk import abort_bulk, advance_bulk, start_bulk
from kernelkit.engine.cancels import cancel
from kernelkit.engine.definitions import define
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.machines import with_machines_checked
from kernelkit.engine.newruns import again, fired
from kernelkit.engine.placement import next_dispatch
from kernelkit.engine.queues import decide_override, decide_pause
from kernelkit.engine.sameness import decide_reset
from kernelkit.engine.state import State
from kernelkit.engine.streams import appended_by_client
from kernelkit.engine.triggers import child_trigger, trigger
from kernelkit.engine.waits import complete_token, due_waits, let_go, make_token, waits_over
from kernelkit.errors import InvalidOptionError
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import RunStatus
from kernelkit.wire.messages import ChildTrigger, MakeToken


class Change(msgspec.Struct, frozen=True, gc=False):
    """One applied event, its place in the log, and the run it was about."""

    seq: int
    event: ev.AnyEvent
    run: LiveRun | None


def step(state: State, command: c.Command, capacity: c.Capacity, now: int, roll: c.Roll) -> list[Change]:
    """Carry out `command` on `state`: the changes made, in order. A refusal raises and changes nothing."""
    command = with_machines_checked(command, capacity)
    changes = [_change(state, event) for event in decide(state, command, now, roll, capacity.queue_size)]
    if isinstance(command, c.Tick):  # after the runs' own timers: one that has just ended is in no schedule's way
        changes += [_change(state, event) for event in list(_slots_due(state, now))]
    while events := waits_over(state, now) or let_go(state, capacity, now):
        changes.extend(_change(state, event) for event in events)
    while events := next_dispatch(state, capacity, now, roll):
        changes.extend(_change(state, event) for event in events)
    return changes


def _change(state: State, event: ev.AnyEvent) -> Change:
    run = apply(state, event)
    return Change(state.seq, event, run)


def decide(
    state: State, command: c.Command, now: int, roll: c.Roll, queue_size: int | None = None
) -> Sequence[ev.AnyEvent]:
    """The events of `command`; raises a `KernelKitError` when it is refused."""
    match command:
        case c.TriggerRuns():
            return trigger(state, command, now, queue_size)
        case c.TakeReport():
            if isinstance(command.body, ChildTrigger):
                return child_trigger(state, command, command.body, now, queue_size)
            return decide_report(state, command, now, roll)
        case c.ChangeToken():
            if isinstance(command.body, MakeToken):
                return list(make_token(state, command.body, now))
            return list(complete_token(state, command.body, now))
        case c.AppendStream():
            return appended_by_client(state, command.body, now)
        case c.CancelRun():
            return list(cancel(state, command.run_id, command.reason, now))
        case c.StartBulk():
            return start_bulk(state, command, now)
        case c.AdvanceBulk():
            return advance_bulk(state, command, now, cancel, again(state, queue_size))
        case c.AbortBulk():
            return abort_bulk(state, command, now)
        case c.RescheduleRun():
            return _reschedule(state, command, now)
        case c.RetryNow():
            return retry_now(state, command, now)
        case c.ResetKey():
            return decide_reset(state, command, now)
        case c.PauseQueue():
            return decide_pause(state, command, now)
        case c.OverrideQueue():
            return decide_override(state, command, now)
        case c.DefineTask():
            return [*define(state, command, now), *schedules.own(state, command.spec, now)]
        case c.SaveSchedule():
            return schedules.save(state, command, now)
        case c.SwitchSchedule():
            return schedules.switch(state, command, now)
        case c.DeleteSchedule():
            return schedules.delete(state, command, now)
        case c.RunSchedule():
            return [fired(state, fire, now, queue_size) for fire in schedules.run_now(state, command, now)]
        case c.WorkerAppeared():
            if command.worker_id not in state.workers:
                return ()
            return (ev.WorkerRunning(now, command.worker_id, command.pid, command.started_at, command.boot_id),)
        case c.WorkerEnded():
            return decide_ended_worker(state, command, now, roll)
        case c.WorkerNeverBegan():
            return decide_unbegun_worker(state, command, now)
        case c.AttemptNeverArrived():
            return decide_undelivered(state, command, now)
        case c.RetireWorker():
            worker = state.workers.get(command.worker_id)
            return () if worker is None or worker.retired else (ev.WorkerRetired(now, command.worker_id),)
        case c.Tick():
            return list(_due(state, now))
        case _:
            assert_never(command)


def _reschedule(state: State, command: c.RescheduleRun, now: int) -> Sequence[ev.AnyEvent]:
    if command.asked in state.answers:
        return ()
    run = state.runs.get(command.run_id)
    if run is None or run.status is not RunStatus.DELAYED:
        status = run.status if run is not None else "over"
        raise InvalidOptionError(
            f"Cannot reschedule a run that is not delayed: {command.run_id} is {status}.", run_id=command.run_id
        )
    moment = command.delay_until or now + round(command.delay_s * MICROS)
    return (ev.RunRescheduled(now, run.id, moment, command.asked),)


# ---- time --------------------------------------------------------------------------------------------------------


def next_due(state: State) -> int | None:
    """The next moment at which `Tick` has something to do; drops timers that no longer matter."""
    if not (state.due or state.slots or state.turns.throttled or state.kept):
        return None
    moments = [at for at in (schedules.next_due(state), state.next_token_at()) if at is not None]
    while state.due:
        at, whose = state.due[0]
        if state.timer_of(whose) == at:
            moments.append(at)
            break
        heapq.heappop(state.due)
    return min(moments, default=None)


def _due(state: State, now: int) -> Iterator[ev.AnyEvent]:
    seen: set[str] = set()
    for at, whose in sorted(_over(state.due, now)):
        if state.timer_of(whose) != at or whose in seen:
            continue
        seen.add(whose)
        run = state.runs.get(whose)
        if run is None:
            yield ev.TokenTimedOut(now, whose)
        else:
            yield from _rung(run, now)


def _slots_due(state: State, now: int) -> Iterator[ev.AnyEvent]:
    for what in schedules.due(state, now):
        yield fired(state, what, now) if isinstance(what, schedules.Fire) else what


def _over(timers: list[tuple[int, str]], now: int) -> Iterator[tuple[int, str]]:
    """Those of a heap whose moment has come: what lies below one that has not come has not come either."""
    places = [0]
    while places:
        place = places.pop()
        if place < len(timers) and timers[place][0] <= now:
            yield timers[place]
            places += (2 * place + 1, 2 * place + 2)


def _rung(run: LiveRun, now: int) -> Iterator[ev.AnyEvent]:
    """What the moment of a run's timer brings."""
    yield from due_waits(run, now)
    if run.status is RunStatus.DELAYED:
        yield ev.DelayOver(now, run.id)
    elif run.retry_at:
        yield ev.RetryDue(now, run.id)
    elif run.status is RunStatus.QUEUED and 0 < run.expires_at <= now:
        error = Error(
            name="Expired", message=f"Run expired because the TTL ({run.ttl:g} s) was reached", code="expired"
        )
        yield ev.RunFinished(now, run.id, RunStatus.EXPIRED, error=error)
    elif run.status is RunStatus.EXECUTING and run.fence and run.max_duration and run.times_out_at <= now:
        yield ev.RunTimedOut(now, run.id, run.fence)


def seconds_until(at: int, now: int) -> float:
    return max(0.0, (at - now) / MICROS)
