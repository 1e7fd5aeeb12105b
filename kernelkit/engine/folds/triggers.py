"""The part of `apply.py` that changes a run from its trigger until it stands in its queue.

A delayed run, or one whose task nobody has defined yet, is in no queue: its place and its time to live count from
`enter_queue`. A trigger that means a run of before makes none: it is remembered with its answer, and may push that run.
"""

from __future__ import annotations

from sys import intern

from kernelkit.clock import MICROS
from kernelkit.engine.folds.moves import move
from kernelkit.engine.folds.tasks import use_bundle
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.sameness import clear_key, hold_key, remember, take_no_pushes, take_pushes
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import Answer

_NO_METADATA = "{}"
"""One text for all runs without metadata."""


def triggered(state: State, event: ev.RunTriggered) -> LiveRun:
    run = LiveRun(
        id=event.run_id,
        task_id=intern(event.task_id),
        queue=intern(event.queue),
        isolation=event.isolation,
        created_at=event.at,
        queued_at=event.at,
        order=(0, 0),
        status=RunStatus.DELAYED if event.delay_until else _first_status(event.awaited),
        payload=event.payload,
        bundle=intern(event.bundle),
        env_id=intern(event.env_id),
        tags=event.tags,
        metadata=_NO_METADATA if event.metadata == _NO_METADATA else event.metadata,
        max_attempts=event.max_attempts,
        parent_id=event.parent_id,
        root_id=event.root_id,
        depth=event.depth,
        batch_id=event.batch_id,
        concurrency_key=event.concurrency_key,
        priority=event.priority or 0.0,
        delay_until=event.delay_until,
        ttl=event.ttl,
        max_duration=event.max_duration,
        is_test=event.is_test,
        is_replay=event.is_replay,
        machine=event.machine,
        key=event.key,
        debounce=event.debounce,
        schedule_id=event.schedule_id,
    )
    run.awaited = event.awaited
    state.runs[run.id] = run
    if run.awaited is not None:
        state.undefined.setdefault(run.task_id, set()).add(run.id)
    if event.key is not None:
        hold_key(state, run, event.key)
    use_bundle(state, run.bundle)
    if run.parent_id:
        state.by_parent.setdefault(run.parent_id, set()).add(run.id)
        parent = state.runs.get(run.parent_id)
        if parent is not None:
            parent.children += 1
    if run.delay_until:
        state.set_timer(run)
        if run.debounce:
            take_pushes(state, run)
    elif run.awaited is None:
        enter_queue(state, run, event.at)
    return run


def refused(state: State, event: ev.RunRefused) -> LiveRun:
    parent = state.runs.get(event.parent_id or "")
    if parent is not None:
        parent.children += 1
    return LiveRun(
        id=event.run_id,
        task_id=event.task_id,
        queue=event.queue,
        isolation="shared",
        created_at=event.at,
        queued_at=event.at,
        order=(0, 0),
        status=RunStatus.SYSTEM_FAILURE,
        tags=event.tags,
        metadata=event.metadata,
        parent_id=event.parent_id,
        root_id=event.root_id,
        depth=event.depth,
        batch_id=event.batch_id,
        is_test=event.is_test,
    )


def batch_made(state: State, event: ev.BatchMade) -> None:
    """Nothing: a batch is kept beside the log, and what lives of it are its runs."""


def answered(state: State, event: ev.TriggerAnswered) -> LiveRun | None:
    remember(state, event.asked, Answer(event.run_id, is_cached=True))
    return state.runs.get(event.run_id)


def debounced(state: State, event: ev.RunDebounced) -> LiveRun:
    run = state.runs[event.run_id]
    run.delay_until = event.delay_until
    state.set_timer(run)
    remember(state, event.asked, Answer(run.id))
    if event.key is not None:
        hold_key(state, run, event.key)
    if event.trailing:
        run.payload, run.bundle, run.env_id = event.payload, event.bundle, event.env_id
        run.machine = event.machine or run.machine
        run.isolation = "process" if run.machine else event.isolation
        use_bundle(state, run.bundle)
        run.tags = run.tags if event.tags is None else event.tags
        run.metadata = run.metadata if event.metadata is None else event.metadata
        run.max_attempts = run.max_attempts if event.max_attempts is None else event.max_attempts
        run.max_duration = run.max_duration if event.max_duration is None else event.max_duration
        if run.awaited is not None:
            given = {"tags": event.tags, "max_duration": event.max_duration, "machine": event.machine or None}
            run.awaited = tuple(name for name in run.awaited if given.get(name) is None)
    return run


def key_cleared(state: State, event: ev.KeyCleared) -> None:
    clear_key(state, event)
    remember(state, event.asked, Answer(""))


def rescheduled(state: State, event: ev.RunRescheduled) -> LiveRun:
    run = state.runs[event.run_id]
    run.delay_until = event.delay_until
    state.set_timer(run)
    remember(state, event.asked, Answer(run.id))
    return run


def delay_over(state: State, event: ev.DelayOver) -> LiveRun:
    run = state.runs[event.run_id]
    take_no_pushes(state, run)
    move(run, _first_status(run.awaited))
    if run.awaited is None:
        enter_queue(state, run, event.at)
    return run


def version_found(state: State, event: ev.VersionFound) -> LiveRun:
    run = state.runs[event.run_id]
    run.queue, run.isolation, run.tags = event.queue, event.isolation, event.tags
    run.ttl, run.max_duration, run.machine = event.ttl, event.max_duration, event.machine
    run.awaited = None
    state.drop_undefined(run)
    if run.status is RunStatus.PENDING_VERSION:
        move(run, RunStatus.QUEUED)
        enter_queue(state, run, event.at)
    return run


def _first_status(awaited: tuple[str, ...] | None) -> RunStatus:
    """What a run is once its delay is over."""
    return RunStatus.QUEUED if awaited is None else RunStatus.PENDING_VERSION


def enter_queue(state: State, run: LiveRun, at: int) -> None:
    """The run stands in its queue for the first time: its place and its time to live count from here."""
    run.queued_at = at
    run.order = (state.clock - round(run.priority * MICROS) if run.priority else state.clock, state.seq)
    if run.ttl:
        run.expires_at = at + round(run.ttl * MICROS)
        state.set_timer(run)
    state.line_up(run)
