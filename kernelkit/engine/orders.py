"""What workers are told of attempts: to start one, to stop one, and what came of its waits.

An attempt is told nothing before it was sent itself (`Core.unsent`): what comes meanwhile goes along with it, or right
after it (`catch_up`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kernelkit.clock import MICROS
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.placement import locked_version
from kernelkit.engine.results import gather, replay_of
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.task import RetryPolicy
from kernelkit.models.value import Value
from kernelkit.wire import messages as m

if TYPE_CHECKING:
    from kernelkit.engine.core import Core

SIGNAL_S = 30.0  # how long a body that takes the cancel signal may go on by itself
TIMEOUT_SIGNAL_S = 5.0  # the same for a body that has taken longer than it may
_DEFAULT_RETRY = RetryPolicy()


def stop_order(core: Core, run: LiveRun) -> m.StopAttempt:
    """What to tell the worker of a canceled or timed-out run; of the time its body may still take, what is left."""
    canceled = run.status is RunStatus.CANCELED
    left = 0.0
    if locked_version(core.state, run).spec.takes_signal:
        since = (core.clock.now() - run.stopped_at) / MICROS
        left = max(0.0, (SIGNAL_S if canceled else TIMEOUT_SIGNAL_S) - since)
    if run.suspended_at:  # its body stands still: nobody can heed the signal, and on_cancel is not called
        left, canceled = 0.0, False
    return m.StopAttempt(run.id, run.fence, run.stop_reason or "", left, canceled)


def start_attempt(core: Core, run: LiveRun, event: ev.RunDispatched) -> None:
    """Send the dispatched attempt to its worker, with its payload and what it goes on from, wherever these lie."""
    payload = run.payload
    if payload.ref is None and payload.text is not None:
        _start_with(core, run, event, payload.text)
    else:
        core.text_of(payload, lambda text: _start_with(core, run, event, text))


def _start_with(core: Core, run: LiveRun, event: ev.RunDispatched, payload: str) -> None:
    if not run.steps and not event.resumes:
        _start_whole(core, run, event, payload, {}, None)
        return
    replay_of(core, run, event.resumes, lambda steps, replay: _start_whole(core, run, event, payload, steps, replay))


def _start_whole(
    core: Core, run: LiveRun, event: ev.RunDispatched, payload: str, steps: dict[str, str], replay: m.Resumption | None
) -> None:
    worker = core.state.workers.get(event.worker_id)
    spec = locked_version(core.state, run).spec
    core.workers.start(
        event.worker_id,
        event.env_id,
        m.StartAttempt(
            run_id=run.id,
            task_id=run.task_id,
            fence=event.fence,
            attempt=event.attempt,
            max_attempts=event.max_attempts,
            bundle=event.bundle,
            payload=Value(text=payload, size=run.payload.size),
            version=event.version,
            queue=run.queue,
            created_at=run.created_at,
            tags=run.tags,
            metadata=run.metadata,
            parent_id=run.parent_id,
            root_id=run.root_id,
            depth=run.depth,
            batch_id=run.batch_id,
            max_duration=run.max_duration or None,
            priority=run.priority,
            is_test=run.is_test,
            is_replay=run.is_replay,
            machine=None if worker is None else worker.machine,
            log_level=spec.log_level,
            run_started_at=run.started_at,
            file_path=spec.file_path,
            environment=core.environment,
            project=core.project,
            key=run.key,
            compute_before=sum([attempt.compute for attempt in run.past]),
            retry=None if event.retry == _DEFAULT_RETRY else event.retry,
            steps=steps,
            replay=replay,
            suspend_after=core.suspend_after,
            hold_for=core.hold_for,
        ),
    )
    if core.notices.are_heard:
        core.notices.changed(run.id, status_changed=True)


def tell_results(core: Core, run: LiveRun, ops: Iterable[str]) -> None:
    """Give the run's attempt the results of those of its waits that are over, unless it is still on its way.

    One on its way is told when it is sent (`catch_up`); told twice it does not mind."""
    fence, worker_id = run.fence, run.worker_id
    done = {op: run.done[op] for op in ops if op in run.done}
    if fence and done and fence not in core.unsent:
        gather(core, run.id, done, lambda found: core.workers.tell(worker_id, m.WaitsOver(run.id, fence, found)))


def catch_up(core: Core, start: m.StartAttempt) -> None:
    """The attempt was just sent: tell it of waits that were over after its checkpoints were gathered."""
    run = core.state.runs.get(start.run_id)
    if run is not None and run.fence == start.fence and start.replay is not None:
        known = {result.op for result in start.replay.results}
        tell_results(core, run, [op for op in run.done if op not in known])
