"""The part of `apply.py` that changes waits, and the runs that are suspended over them.

A suspended attempt holds no slot, and it may outlive its worker: then it is parked, and a later dispatch resumes it.
"""

from __future__ import annotations

from sys import intern

from kernelkit.engine.folds.attempts import go_on
from kernelkit.engine.folds.moves import move
from kernelkit.engine.liverun import EMPTY, LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.wait import Done, Wait


def opened(state: State, event: ev.WaitOpened) -> LiveRun:
    run = state.runs[event.run_id]
    op = intern(event.op)  # equal in all runs of a task that wait alike
    run.waits = run.waits or {}
    run.waits[op] = event.wait
    state.waiting.opened((run.id, op), event.wait, state)
    if event.wait.until:
        state.set_timer(run)
    return run


def over(state: State, event: ev.WaitOver) -> LiveRun:
    run = state.runs[event.run_id]
    wait = close_wait(state, run, event.op)
    run.done = run.done or {}
    run.done[event.op] = Done(wait, event.value, event.timed_out)
    if run.suspended_at:
        run.fresh = (*run.fresh, event.op)
        if run.status is RunStatus.WAITING:
            move(run, RunStatus.QUEUED)
            state.line_up(run)
    state.set_timer(run)
    return run


def dropped(state: State, event: ev.WaitDropped) -> LiveRun:
    run = state.runs[event.run_id]
    close_wait(state, run, event.op)
    state.set_timer(run)
    return run


def close_wait(state: State, run: LiveRun, op: str) -> Wait:
    wait = run.waits.pop(op)
    run.waits = run.waits or EMPTY
    state.waiting.closed((run.id, op), wait)
    return wait


def suspended(state: State, event: ev.RunSuspended) -> LiveRun:
    run = state.runs[event.run_id]
    move(run, RunStatus.WAITING)
    run.suspended_at = event.at
    run.computed, run.calls, run.held_until = event.compute, event.calls, event.held_until
    state.give_slot_back(run)
    if run.held_until:
        state.held[run.id] = None
    if run.held_until or run.max_duration:  # else its timer is that of its waits, set when they were opened
        state.set_timer(run)
    return run


def resumed(state: State, event: ev.RunResumed) -> LiveRun:
    run = state.runs[event.run_id]
    move(run, RunStatus.DEQUEUED)
    go_on(run, event.at)
    run.resumes = True
    state.take_turn(run)
    state.held.pop(run.id, None)
    state.hold(run)
    state.set_timer(run)
    return run


def parked(state: State, event: ev.AttemptParked) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    run.fence = run.worker_id = ""
    run.held_until = 0
    state.set_timer(run)
    return run
