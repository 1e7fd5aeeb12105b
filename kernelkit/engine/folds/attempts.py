"""The part of `apply.py` that changes a run from its dispatch until its attempt has ended.

The run may go on after that, with another attempt; what ends the run itself is in `ends.py`, and how an attempt is
suspended and resumed in `waits.py`.
"""

from __future__ import annotations

from msgspec.structs import replace

from kernelkit.engine.folds.moves import move
from kernelkit.engine.liverun import EMPTY, LiveRun, PastAttempt
from kernelkit.engine.sameness import remember
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import AttemptStatus, RunStatus
from kernelkit.models.sameness import Answer


def dispatched(state: State, event: ev.RunDispatched) -> LiveRun:
    run = state.runs[event.run_id]
    move(run, RunStatus.DEQUEUED)
    run.fence = event.fence
    run.worker_id = event.worker_id
    run.attempt = event.attempt
    run.version = event.version
    run.bundle = event.bundle
    run.env_id = event.env_id
    run.max_attempts = event.max_attempts
    run.retry = event.retry
    run.resumes = event.resumes
    if event.resumes:
        go_on(run, event.at)
    else:
        run.attempt_started_at = 0
        run.metadata_before = run.metadata
    run.retry_at = 0
    run.expires_at = 0
    if not event.resumes:  # what has started once has its token
        state.take_token(run.queue)
    if not run.keeps_slot:
        state.take_turn(run)
    run.keeps_slot = False
    state.kept.pop(run.id, None)
    run.started_at = run.started_at or event.at
    state.hold(run)
    if run.waits:  # they are timers as well
        state.set_timer(run)
    return run


def dispatch_undone(state: State, event: ev.DispatchUndone) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    move(run, RunStatus.QUEUED)
    run.fence = ""
    if run.resumes:
        run.worker_id = ""
        run.suspended_at = event.at
    else:
        run.attempt -= 1
    run.start_failures += event.blames_worker
    if not run.past and not run.resumes:
        run.started_at = 0
    run.resumes = False
    state.line_up(run)
    state.set_timer(run)
    return run


def started(state: State, event: ev.AttemptStarted) -> LiveRun:
    run = state.runs[event.run_id]
    if run.status is RunStatus.DEQUEUED:  # a canceled run stays canceled
        move(run, RunStatus.EXECUTING)
    run.start_failures = 0
    run.attempt_started_at = run.attempt_started_at or event.started_at  # a resumed attempt began long before
    if run.max_duration:
        state.set_timer(run)
    return run


def failed(state: State, event: ev.AttemptFailed) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    status: AttemptStatus = "CRASHED" if event.crashed else "FAILED"
    state.stop_waiting(run)
    end_attempt(run, status, event.at, event.started_at, event.error, event.peak_memory, event.compute)
    move(run, RunStatus.EXECUTING if event.keeps_slot else RunStatus.QUEUED)
    run.retry_at = event.retry_at
    run.keeps_slot = event.keeps_slot
    if event.machine:
        run.machine, run.isolation = event.machine, "process"
    if run.keeps_slot:
        state.hold(run)
    else:
        state.enqueue(run)
    state.set_timer(run)
    return run


def retry_due(state: State, event: ev.RetryDue) -> LiveRun:
    run = state.runs[event.run_id]
    run.retry_at = 0
    if run.keeps_slot:
        state.kept[run.id] = None
    else:
        state.line_up(run)
    remember(state, event.asked, Answer(run.id))
    return run


def go_on(run: LiveRun, at: int) -> None:
    """The suspended attempt holds a slot again."""
    run.paused += max(0, at - run.suspended_at)
    run.suspended_at = run.held_until = 0
    run.fresh = ()


def end_attempt(
    run: LiveRun,
    status: AttemptStatus,
    at: int,
    started_at: int,
    error: Error | None,
    peak_memory: int | None,
    compute: int,
) -> None:
    began = started_at or run.attempt_started_at or at
    earlier = tuple(_in_short(attempt) for attempt in run.past)
    used = compute or run.computed
    run.past = (*earlier, PastAttempt(run.attempt, status, began, at, run.worker_id, error, peak_memory, used))
    run.fence = ""
    run.ops = run.sent = EMPTY
    if run.done or run.suspended_at or run.paused:
        run.done, run.fresh, run.resumes = EMPTY, (), False
        run.suspended_at = run.paused = run.computed = run.calls = run.held_until = 0


def _in_short(attempt: PastAttempt) -> PastAttempt:
    """Only the newest error keeps its traceback here; the log has them all."""
    if attempt.error is None or not attempt.error.traceback:
        return attempt
    return replace(attempt, error=replace(attempt.error, traceback="", frames=()))
