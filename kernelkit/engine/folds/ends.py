"""The part of `apply.py` that ends runs.

A run that is canceled or timed out while its code executes stays in the live set: its slot comes back, and it is
forgotten, only when that code was seen to have stopped.
"""

from __future__ import annotations

from kernelkit.engine.folds.attempts import end_attempt
from kernelkit.engine.folds.moves import move
from kernelkit.engine.folds.schedules import tell_schedule
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.sameness import free_key, take_no_pushes
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import AttemptStatus, RunStatus


def finished(state: State, event: ev.RunFinished) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    state.stop_waiting(run)
    move(run, event.status)
    free_key(state, run, event.status)
    tell_schedule(state, run)
    state.waiting.run_ended(run.id)
    if run.fence:
        end_attempt(
            run, _ATTEMPT[event.status], event.at, event.started_at, event.error, event.peak_memory, event.compute
        )
    state.forget(run)
    return run


def canceled(state: State, event: ev.RunCanceled) -> LiveRun:
    run = state.runs[event.run_id]
    take_no_pushes(state, run)
    move(run, RunStatus.CANCELED)
    tell_schedule(state, run)
    run.canceled_reason = event.reason
    run.stopped_at = event.at
    run.retry_at = run.held_until = 0
    state.dequeue(run)
    state.held.pop(run.id, None)
    state.stop_waiting(run)
    state.waiting.run_ended(run.id)
    if not run.fence:  # no code of it runs: it is over
        run.keeps_slot = False
        state.release(run)
        state.forget(run)
    return run


def timed_out(state: State, event: ev.RunTimedOut) -> LiveRun:
    run = state.runs[event.run_id]
    move(run, RunStatus.TIMED_OUT)
    free_key(state, run, RunStatus.TIMED_OUT)
    tell_schedule(state, run)
    run.stopped_at = event.at
    state.stop_waiting(run)
    state.waiting.run_ended(run.id)
    return run


def attempt_stopped(state: State, event: ev.AttemptStopped) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    end_attempt(run, _ATTEMPT[run.status], event.at, event.started_at, None, None, event.compute)
    state.forget(run)
    return run


_ATTEMPT: dict[RunStatus, AttemptStatus] = {
    RunStatus.COMPLETED: "COMPLETED",
    RunStatus.FAILED: "FAILED",
    RunStatus.CRASHED: "CRASHED",
    RunStatus.SYSTEM_FAILURE: "CRASHED",
    RunStatus.TIMED_OUT: "TIMED_OUT",
    RunStatus.CANCELED: "CANCELED",
}
