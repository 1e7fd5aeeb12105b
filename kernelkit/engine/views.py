"""The engine's live runs as the `Run` snapshots that everyone else sees."""

from __future__ import annotations

from datetime import datetime

from kernelkit.clock import MICROS, to_datetime
from kernelkit.engine.commands import Capacity
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.machines import clamped_notice
from kernelkit.engine.reasons import is_queue_paused, queued_reason
from kernelkit.engine.state import State
from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, Run
from kernelkit.models.value import Value
from kernelkit.models.wait import Wait, Waiting


def run_view(
    run: LiveRun,
    state: State,
    capacity: Capacity,
    *,
    finished_at: int = 0,
    output: Value | None = None,
    error: Error | None = None,
    notice: str | None = None,
    count_ahead: bool = True,
) -> Run:
    """`run` as it is now. Payload and output are given as text only where they are small."""
    last = run.past[-1] if run.past else None
    created_at = to_datetime(run.created_at)
    return Run(
        id=run.id,
        task_id=run.task_id,
        status=run.status,
        payload_json=run.payload.text,
        payload_size=run.payload.size,
        output_json=output.text if output else None,
        output_size=output.size if output else 0,
        error=error or (last.error if last and run.retry_at else None),
        tags=tuple(sorted(run.tags)) if run.tags else (),
        metadata_json=run.metadata,
        seed_json=run.seed,
        attempts=_attempts(run),
        attempt_number=run.attempt,
        max_attempts=run.max_attempts or _max_attempts(run, state),
        created_at=created_at,
        queued_at=created_at if run.queued_at == run.created_at else to_datetime(run.queued_at),
        started_at=_moment(run.started_at),
        finished_at=_moment(finished_at),
        retry_at=_moment(run.retry_at),
        queue=run.queue,
        version=run.version or None,
        parent_id=run.parent_id,
        root_id=run.root_id,
        depth=run.depth,
        concurrency_key=run.concurrency_key or None,
        priority=run.priority,
        delay_until=_moment(run.delay_until),
        ttl=run.ttl or None,
        max_duration=run.max_duration or None,
        machine=run.machine or None,
        is_test=run.is_test,
        is_replay=run.is_replay,
        idempotency_key=run.key.text if run.key is not None else None,
        idempotency_key_scope=run.key.scope if run.key is not None else None,
        debounce_key=run.debounce or None,
        batch_id=run.batch_id,
        schedule_id=run.schedule_id,
        waiting_for=_waiting_for(run, state) if run.waits else (),
        queued_reason=queued_reason(state, run, capacity, count_ahead=count_ahead),
        is_queue_paused=is_queue_paused(state, run, capacity),
        canceled_reason=run.canceled_reason,
        notice=notice if notice and run.fence else clamped_notice(run.machine, capacity),
        children=run.children,
        worker=run.worker_id or None,
        peak_memory=last.peak_memory if last else None,
    )


def _max_attempts(run: LiveRun, state: State) -> int:
    version = state.bundles.get(run.bundle) or state.tasks.get(run.task_id)
    return version.spec.retry.max_attempts if version else 1


def _attempts(run: LiveRun) -> tuple[Attempt, ...]:
    past = tuple(
        [  # a list is half as dear as a generator, and there is mostly one
            Attempt(
                attempt.number,
                attempt.status,
                to_datetime(attempt.started_at),
                to_datetime(attempt.finished_at),
                attempt.error,
                attempt.worker_id,
                attempt.peak_memory,
                attempt.compute / MICROS,
            )
            for attempt in run.past
        ]
    )
    if not run.fence and not run.suspended_at:
        return past
    live = Attempt(
        number=run.attempt,
        status="WAITING" if run.suspended_at else "EXECUTING",
        started_at=_moment(run.attempt_started_at),
        worker=run.worker_id,
        compute_s=run.computed / MICROS,
    )
    return (*past, live)


def _waiting_for(run: LiveRun, state: State) -> tuple[Waiting, ...]:
    """The open waits of a run, in the order in which they were opened."""
    return tuple(
        [
            Waiting(
                wait.type,
                until=_moment(_end_of(wait, state)),
                token_id=wait.token or None if wait.type == "token" else None,
                run_id=wait.runs[0] if wait.type == "task" else None,
                batch_id=wait.batch or None,
                shown=wait.shown,
                left=len(state.waiting.left.get((run.id, op), ())),
            )
            for op, wait in run.waits.items()
        ]
    )


def _end_of(wait: Wait, state: State) -> int:
    """When the wait is over at the latest: its own moment, or its token's where that is sooner; 0 = never."""
    token = state.tokens.get(wait.token)
    moments = (wait.until, 0 if token is None or not token.is_open else token.timeout_at)
    return min([moment for moment in moments if moment], default=0)


def _moment(micros: int) -> datetime | None:
    return to_datetime(micros) if micros else None
