"""The only code that changes state: one event, one change.

Total and unconditional: an event was decided once and is never judged again, so folding a log always succeeds. What a
status may become is checked here all the same, as a bug in `decide` must not reach the disk unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any

from msgspec.structs import replace

from kernelkit.clock import MICROS
from kernelkit.engine import apply_tokens
from kernelkit.engine.sameness import clear_key, free_key, hold_key, remember, take_no_pushes, take_pushes
from kernelkit.engine.state import EMPTY, LiveRun, PastAttempt, State, Worker
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import AttemptStatus, RunStatus
from kernelkit.models.sameness import Answer
from kernelkit.models.schedule import KEPT_MISSED, Missed
from kernelkit.models.stream import StreamLength
from kernelkit.models.task import TaskVersion
from kernelkit.models.wait import Done, Wait
from kernelkit.rules.lifecycle import allows


def apply(state: State, event: ev.AnyEvent) -> LiveRun | None:
    """Change `state` by `event`, and return the run it was about, also when that run has just left the live set."""
    state.seq += 1
    if event.at > state.clock:
        state.clock = event.at
    handler = _HANDLERS[type(event)]
    return handler(state, event)


def _task_defined(state: State, event: ev.TaskDefined) -> None:
    spec = event.version.spec
    numbers = state.numbers.setdefault(spec.id, [])
    if not numbers or numbers[-1] != event.version.number:
        numbers.append(event.version.number)
    _keep(state, event.version)
    record = state.record_of(spec.queue_name)
    if spec.concurrency_limit is not None or not spec.queue:  # a shared queue keeps what others have said of it
        record.limit = spec.concurrency_limit
    if spec.rate_limit is not None or not spec.queue:
        record.set_rate(spec.rate_limit, state.clock)
    state.queue_changed(spec.queue_name)


_KEPT_BUNDLES = 64


def _keep(state: State, version: TaskVersion) -> None:
    """Make `version` the latest; now and then drop bundles that neither a live run nor a latest version needs.

    Those used last are kept as well, in the order of their use.
    """
    state.tasks[version.spec.id] = version
    state.bundles.pop(version.spec.bundle, None)
    state.bundles[version.spec.bundle] = version
    if len(state.bundles) % _KEPT_BUNDLES == 0:
        needed = {run.bundle for run in state.runs.values()} | {latest.spec.bundle for latest in state.tasks.values()}
        recent = set(list(state.bundles)[-_KEPT_BUNDLES // 2 :])  # their Task objects are likely still in use
        state.bundles = {key: kept for key, kept in state.bundles.items() if key in needed or key in recent}


def _queue_limited(state: State, event: ev.QueueLimited) -> None:
    state.record_of(event.queue).limit = event.limit
    state.queue_changed(event.queue)


def _queue_rated(state: State, event: ev.QueueRated) -> None:
    state.record_of(event.queue).set_rate(event.rate, state.clock)
    state.queue_changed(event.queue)


def _queue_overridden(state: State, event: ev.QueueOverridden) -> None:
    record = state.record_of(event.queue)
    record.override = event.limit
    record.overridden_at = 0 if event.limit is None else event.at
    state.queue_changed(event.queue)


def _queue_paused(state: State, event: ev.QueuePaused) -> None:
    _set_paused(state, event.queue, paused=True)


def _queue_resumed(state: State, event: ev.QueueResumed) -> None:
    _set_paused(state, event.queue, paused=False)


def _set_paused(state: State, queue: str, *, paused: bool) -> None:
    if not queue:
        state.paused = paused
        return
    state.record_of(queue).paused = paused
    state.queue_changed(queue)


def _schedule_saved(state: State, event: ev.ScheduleSaved) -> None:
    known = state.schedules.get(event.schedule.id)
    if known is not None and known.deduplication_key != event.schedule.deduplication_key:
        state.schedule_keys.pop(known.deduplication_key, None)
    state.schedules[event.schedule.id] = event.schedule
    state.index_schedule(event.schedule)


def _schedule_deleted(state: State, event: ev.ScheduleDeleted) -> None:
    schedule = state.schedules.pop(event.schedule_id)
    state.schedule_keys.pop(schedule.deduplication_key, None)
    if schedule.kind == "DECLARATIVE":
        del state.own_schedules[schedule.task_id]


def _slots_passed(state: State, event: ev.SlotsPassed) -> None:
    schedule = state.schedules[event.schedule_id]
    missed, count = schedule.missed, schedule.missed_count
    dealt_with = event.fired + (event.missed.count if event.missed else 0)
    if event.passed <= schedule.passed:  # given up once and reopened: what comes behind is still given up
        count -= dealt_with
        missed = tuple([left for one in missed if (left := _behind(one, event, dealt_with)) is not None])
    if event.missed is not None:
        missed, count = (*missed, event.missed)[-KEPT_MISSED:], count + event.missed.count
    schedule = state.schedules[schedule.id] = replace(
        schedule,
        next_at=event.next_at,
        passed=max(schedule.passed, event.passed),
        last_slot=event.slot or schedule.last_slot,
        last_run_id=event.run_id or schedule.last_run_id,
        last_status="" if event.run_id else schedule.last_status,
        fired=schedule.fired + event.fired,
        missed_count=count,
        missed=missed,
    )
    state.set_slot(schedule)


def _behind(missed: Missed, event: ev.SlotsPassed, dealt_with: int) -> Missed | None:
    if not missed.first <= event.passed <= missed.last:
        return missed
    if not event.next_at or event.next_at > missed.last:
        return None
    return replace(missed, first=event.next_at, count=max(1, missed.count - dealt_with))


def _tell_schedule(state: State, run: LiveRun) -> None:
    """How the last run of a schedule ended is remembered with it."""
    schedule = state.schedules.get(run.schedule_id) if run.schedule_id else None
    if schedule is not None and schedule.last_run_id == run.id:
        state.schedules[schedule.id] = replace(schedule, last_status=run.status.value)


def _slots_reopened(state: State, event: ev.SlotsReopened) -> None:
    schedule = state.schedules[event.schedule_id]
    schedule = state.schedules[schedule.id] = replace(schedule, next_at=event.next_at)
    state.set_slot(schedule)


_NO_METADATA = "{}"


def _run_triggered(state: State, event: ev.RunTriggered) -> LiveRun:
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
    _use(state, run.bundle)
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
        _enter_queue(state, run, event.at)
    return run


def _first_status(awaited: tuple[str, ...] | None) -> RunStatus:
    """What a run is once its delay is over."""
    return RunStatus.QUEUED if awaited is None else RunStatus.PENDING_VERSION


def _version_found(state: State, event: ev.VersionFound) -> LiveRun:
    run = state.runs[event.run_id]
    run.queue, run.isolation, run.tags = event.queue, event.isolation, event.tags
    run.ttl, run.max_duration, run.machine = event.ttl, event.max_duration, event.machine
    run.awaited = None
    state.drop_undefined(run)
    if run.status is RunStatus.PENDING_VERSION:
        _move(run, RunStatus.QUEUED)
        _enter_queue(state, run, event.at)
    return run


def _run_refused(state: State, event: ev.RunRefused) -> LiveRun:
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


def _batch_made(state: State, event: ev.BatchMade) -> None:
    """Nothing: a batch is kept beside the log, and what lives of it are its runs."""


def _use(state: State, bundle: str) -> None:
    """The bundle was asked for: it goes to the end of those that may be dropped."""
    used = state.bundles.pop(bundle, None)
    if used is not None:
        state.bundles[bundle] = used


def _trigger_answered(state: State, event: ev.TriggerAnswered) -> LiveRun | None:
    remember(state, event.asked, Answer(event.run_id, is_cached=True))
    return state.runs.get(event.run_id)


def _run_debounced(state: State, event: ev.RunDebounced) -> LiveRun:
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
        _use(state, run.bundle)
        run.tags = run.tags if event.tags is None else event.tags
        run.metadata = run.metadata if event.metadata is None else event.metadata
        run.max_attempts = run.max_attempts if event.max_attempts is None else event.max_attempts
        run.max_duration = run.max_duration if event.max_duration is None else event.max_duration
        if run.awaited is not None:
            given = {"tags": event.tags, "max_duration": event.max_duration, "machine": event.machine or None}
            run.awaited = tuple(name for name in run.awaited if given.get(name) is None)
    return run


def _key_cleared(state: State, event: ev.KeyCleared) -> None:
    clear_key(state, event)
    remember(state, event.asked, Answer(""))


def _bulk_began(state: State, event: ev.BulkBegan) -> None:
    state.bulks[event.bulk.id] = event.bulk


def _bulk_advanced(state: State, event: ev.BulkAdvanced) -> None:
    bulk = state.bulks[event.bulk_id]
    success, failure = bulk.success + event.success, bulk.failure + event.failure
    state.bulks[bulk.id] = replace(bulk, cursor=event.cursor, success=success, failure=failure)


_KEPT_BULKS = 100


def _bulk_ended(state: State, event: ev.BulkEnded) -> None:
    bulk = state.bulks[event.bulk_id]
    total = bulk.success + bulk.failure if event.status == "COMPLETED" else bulk.total
    state.bulks[bulk.id] = replace(bulk, status=event.status, completed=event.at, total=total)
    ended = [other.id for other in state.bulks.values() if other.is_completed]
    for bulk_id in ended[:-_KEPT_BULKS]:
        del state.bulks[bulk_id]


def _enter_queue(state: State, run: LiveRun, at: int) -> None:
    """The run stands in its queue for the first time: its place and its time to live count from here."""
    run.queued_at = at
    run.order = (state.clock - round(run.priority * MICROS) if run.priority else state.clock, state.seq)
    if run.ttl:
        run.expires_at = at + round(run.ttl * MICROS)
        state.set_timer(run)
    state.line_up(run)


def _run_rescheduled(state: State, event: ev.RunRescheduled) -> LiveRun:
    run = state.runs[event.run_id]
    run.delay_until = event.delay_until
    state.set_timer(run)
    remember(state, event.asked, Answer(run.id))
    return run


def _delay_over(state: State, event: ev.DelayOver) -> LiveRun:
    run = state.runs[event.run_id]
    take_no_pushes(state, run)
    _move(run, _first_status(run.awaited))
    if run.awaited is None:
        _enter_queue(state, run, event.at)
    return run


def _op_done(state: State, event: ev.OpDone) -> LiveRun:
    run = state.runs[event.run_id]
    run.ops = run.ops or {}
    run.ops[event.op] = event.result
    if len(run.ops) > _KEPT_OPS:
        # An hour of progress is tens of thousands of these, and only those without an answer may come again.
        newest = set(list(run.ops)[-_KEPT_OPS // 2 :])
        run.ops = {op: result for op, result in run.ops.items() if op in newest or not op.startswith("metadata:")}
    return run


_KEPT_OPS = 2_000


def _worker_planned(state: State, event: ev.WorkerPlanned) -> None:
    state.workers[event.worker_id] = Worker(
        id=event.worker_id, env_id=event.env_id, isolation=event.isolation, machine=event.machine
    )
    state.by_env.setdefault(event.env_id, set()).add(event.worker_id)


def _worker_running(state: State, event: ev.WorkerRunning) -> None:
    worker = state.workers[event.worker_id]
    worker.pid, worker.started_at, worker.boot_id = event.pid, event.started_at, event.boot_id


def _worker_retired(state: State, event: ev.WorkerRetired) -> None:
    state.workers[event.worker_id].retired = True


def _worker_gone(state: State, event: ev.WorkerGone) -> None:
    worker = state.workers.pop(event.worker_id)
    members = state.by_env[worker.env_id]
    members.discard(worker.id)
    if not members:
        del state.by_env[worker.env_id]


def _run_dispatched(state: State, event: ev.RunDispatched) -> LiveRun:
    run = state.runs[event.run_id]
    _move(run, RunStatus.DEQUEUED)
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
        _go_on(run, event.at)
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


def _go_on(run: LiveRun, at: int) -> None:
    """The suspended attempt holds a slot again."""
    run.paused += max(0, at - run.suspended_at)
    run.suspended_at = run.held_until = 0
    run.fresh = ()


def _dispatch_undone(state: State, event: ev.DispatchUndone) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    _move(run, RunStatus.QUEUED)
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


def _attempt_started(state: State, event: ev.AttemptStarted) -> LiveRun:
    run = state.runs[event.run_id]
    if run.status is RunStatus.DEQUEUED:  # a canceled run stays canceled
        _move(run, RunStatus.EXECUTING)
    run.start_failures = 0
    run.attempt_started_at = run.attempt_started_at or event.started_at  # a resumed attempt began long before
    if run.max_duration:
        state.set_timer(run)
    return run


def _attempt_failed(state: State, event: ev.AttemptFailed) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    status: AttemptStatus = "CRASHED" if event.crashed else "FAILED"
    state.stop_waiting(run)
    _end_attempt(run, status, event.at, event.started_at, event.error, event.peak_memory, event.compute)
    _move(run, RunStatus.EXECUTING if event.keeps_slot else RunStatus.QUEUED)
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


def _retry_due(state: State, event: ev.RetryDue) -> LiveRun:
    run = state.runs[event.run_id]
    run.retry_at = 0
    if run.keeps_slot:
        state.kept[run.id] = None
    else:
        state.line_up(run)
    return run


def _run_finished(state: State, event: ev.RunFinished) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    state.stop_waiting(run)
    _move(run, event.status)
    free_key(state, run, event.status)
    _tell_schedule(state, run)
    state.waiting.run_ended(run.id)
    if run.fence:
        _end_attempt(
            run, _ATTEMPT[event.status], event.at, event.started_at, event.error, event.peak_memory, event.compute
        )
    state.forget(run)
    return run


def _run_canceled(state: State, event: ev.RunCanceled) -> LiveRun:
    run = state.runs[event.run_id]
    take_no_pushes(state, run)
    _move(run, RunStatus.CANCELED)
    _tell_schedule(state, run)
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


def _run_timed_out(state: State, event: ev.RunTimedOut) -> LiveRun:
    run = state.runs[event.run_id]
    _move(run, RunStatus.TIMED_OUT)
    free_key(state, run, RunStatus.TIMED_OUT)
    _tell_schedule(state, run)
    run.stopped_at = event.at
    state.stop_waiting(run)
    state.waiting.run_ended(run.id)
    return run


def _attempt_stopped(state: State, event: ev.AttemptStopped) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    _end_attempt(run, _ATTEMPT[run.status], event.at, event.started_at, None, None, event.compute)
    state.forget(run)
    return run


def _wait_opened(state: State, event: ev.WaitOpened) -> LiveRun:
    run = state.runs[event.run_id]
    op = intern(event.op)  # equal in all runs of a task that wait alike
    run.waits = run.waits or {}
    run.waits[op] = event.wait
    state.waiting.opened((run.id, op), event.wait, state)
    if event.wait.until:
        state.set_timer(run)
    return run


def _wait_over(state: State, event: ev.WaitOver) -> LiveRun:
    run = state.runs[event.run_id]
    wait = _close_wait(state, run, event.op)
    run.done = run.done or {}
    run.done[event.op] = Done(wait, event.value, event.timed_out)
    if run.suspended_at:
        run.fresh = (*run.fresh, event.op)
        if run.status is RunStatus.WAITING:
            _move(run, RunStatus.QUEUED)
            state.line_up(run)
    state.set_timer(run)
    return run


def _wait_dropped(state: State, event: ev.WaitDropped) -> LiveRun:
    run = state.runs[event.run_id]
    _close_wait(state, run, event.op)
    state.set_timer(run)
    return run


def _close_wait(state: State, run: LiveRun, op: str) -> Wait:
    wait = run.waits.pop(op)
    run.waits = run.waits or EMPTY
    state.waiting.closed((run.id, op), wait)
    return wait


def _run_suspended(state: State, event: ev.RunSuspended) -> LiveRun:
    run = state.runs[event.run_id]
    _move(run, RunStatus.WAITING)
    run.suspended_at = event.at
    run.computed, run.calls, run.held_until = event.compute, event.calls, event.held_until
    state.give_slot_back(run)
    if run.held_until:
        state.held[run.id] = None
    if run.held_until or run.max_duration:  # else its timer is that of its waits, set when they were opened
        state.set_timer(run)
    return run


def _run_resumed(state: State, event: ev.RunResumed) -> LiveRun:
    run = state.runs[event.run_id]
    _move(run, RunStatus.DEQUEUED)
    _go_on(run, event.at)
    run.resumes = True
    state.take_turn(run)
    state.held.pop(run.id, None)
    state.hold(run)
    state.set_timer(run)
    return run


def _attempt_parked(state: State, event: ev.AttemptParked) -> LiveRun:
    run = state.runs[event.run_id]
    state.release(run)
    run.fence = run.worker_id = ""
    run.held_until = 0
    state.set_timer(run)
    return run


def _step_kept(state: State, event: ev.StepKept) -> LiveRun:
    run = state.runs[event.run_id]
    run.steps = run.steps or {}
    run.steps[event.op] = event.value
    return run


def _stream_appended(state: State, event: ev.StreamAppended) -> LiveRun:
    run = state.runs[event.run_id]
    run.streams = run.streams or {}
    length = run.streams.setdefault(event.stream, StreamLength())
    length.count += event.count
    length.size += event.size
    if event.asked:
        remember(state, event.asked, Answer(""))
    if event.writer:
        writer = state.runs[event.writer]
        writer.sent = writer.sent or {}
        writer.sent[event.op] = event.upto
    if event.count:
        state.waiting.appended(run.id, event.stream, state)
    return run


def _tags_added(state: State, event: ev.TagsAdded) -> LiveRun:
    run = state.runs[event.run_id]
    run.tags = (*run.tags, *(tag for tag in event.tags if tag not in run.tags))
    return run


def _metadata_changed(state: State, event: ev.MetadataChanged) -> LiveRun:
    run = state.runs[event.run_id]
    if run.seed is None:
        run.seed = run.metadata
    run.metadata = event.metadata
    return run


def _move(run: LiveRun, status: RunStatus) -> None:
    assert allows(run.status, status), f"{run.id}: {run.status} may not become {status}"
    run.status = status


def _end_attempt(
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


_ATTEMPT: dict[RunStatus, AttemptStatus] = {
    RunStatus.COMPLETED: "COMPLETED",
    RunStatus.FAILED: "FAILED",
    RunStatus.CRASHED: "CRASHED",
    RunStatus.SYSTEM_FAILURE: "CRASHED",
    RunStatus.TIMED_OUT: "TIMED_OUT",
    RunStatus.CANCELED: "CANCELED",
}

# Each handler takes the one event class it stands under; a dict cannot say that in types.
_HANDLERS: dict[type[ev.Event], Callable[[State, Any], LiveRun | None]] = {
    ev.TaskDefined: _task_defined,
    ev.QueueLimited: _queue_limited,
    ev.ScheduleSaved: _schedule_saved,
    ev.ScheduleDeleted: _schedule_deleted,
    ev.SlotsPassed: _slots_passed,
    ev.SlotsReopened: _slots_reopened,
    ev.QueueRated: _queue_rated,
    ev.QueueOverridden: _queue_overridden,
    ev.QueuePaused: _queue_paused,
    ev.QueueResumed: _queue_resumed,
    ev.RunTriggered: _run_triggered,
    ev.VersionFound: _version_found,
    ev.RunRefused: _run_refused,
    ev.BatchMade: _batch_made,
    ev.TriggerAnswered: _trigger_answered,
    ev.RunDebounced: _run_debounced,
    ev.KeyCleared: _key_cleared,
    ev.BulkBegan: _bulk_began,
    ev.BulkAdvanced: _bulk_advanced,
    ev.BulkEnded: _bulk_ended,
    ev.RunRescheduled: _run_rescheduled,
    ev.DelayOver: _delay_over,
    ev.OpDone: _op_done,
    ev.WorkerPlanned: _worker_planned,
    ev.WorkerRunning: _worker_running,
    ev.WorkerRetired: _worker_retired,
    ev.WorkerGone: _worker_gone,
    ev.RunDispatched: _run_dispatched,
    ev.DispatchUndone: _dispatch_undone,
    ev.AttemptStarted: _attempt_started,
    ev.AttemptFailed: _attempt_failed,
    ev.RetryDue: _retry_due,
    ev.RunFinished: _run_finished,
    ev.RunCanceled: _run_canceled,
    ev.RunTimedOut: _run_timed_out,
    ev.AttemptStopped: _attempt_stopped,
    ev.WaitOpened: _wait_opened,
    ev.WaitOver: _wait_over,
    ev.WaitDropped: _wait_dropped,
    ev.RunSuspended: _run_suspended,
    ev.RunResumed: _run_resumed,
    ev.AttemptParked: _attempt_parked,
    ev.StepKept: _step_kept,
    ev.TokenMade: apply_tokens.made,
    ev.TokenAliased: apply_tokens.aliased,
    ev.TokenCompleted: apply_tokens.completed,
    ev.TokenTimedOut: apply_tokens.timed_out,
    ev.StreamAppended: _stream_appended,
    ev.TagsAdded: _tags_added,
    ev.MetadataChanged: _metadata_changed,
}
