"""What follows from news of an attempt: its reports, and the end of the worker that ran it.

Every report stands under a fence. A report under a fence that is no longer current is refused (`StaleFence`); the
server then tells that worker to stop, and nothing changes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from kernelkit import jsonvalues
from kernelkit.clock import MICROS
from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.machines import larger_machine, out_of_memory_error
from kernelkit.engine.sameness import decide_reset
from kernelkit.engine.state import State
from kernelkit.engine.streams import appended_by_attempt
from kernelkit.engine.waits import complete_token, decide_wait_report, make_token
from kernelkit.errors import InvalidOptionError, KernelKitError, RunOverError, WorkerLostError
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.machine import Machine
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.models.value import MAX_METADATA_BYTES
from kernelkit.rules.backoff import KEEPS_SLOT_BELOW_S, retry_delay_s
from kernelkit.rules.limits import check_tags
from kernelkit.rules.metadata import apply_ops
from kernelkit.wire import messages as m

MAX_START_FAILURES = 3


class StaleFence(KernelKitError):
    """A report of an attempt that is no longer the run's."""

    code = "stale_fence"


def run_of(state: State, command: c.TakeReport) -> LiveRun:
    """The run a report is about; raises `StaleFence` unless its fence is the current one."""
    run = state.runs.get(command.run_id)
    if run is None or run.fence != command.fence or not command.fence:
        raise StaleFence(
            f"The attempt of {command.run_id} that reports here is no longer the run's current one.",
            run_id=command.run_id,
        )
    return run


def retry_now(state: State, command: c.RetryNow, now: int) -> Sequence[ev.AnyEvent]:
    """The next attempt of a run without the rest of its backoff; its queue and its limits hold as ever."""
    if command.asked in state.answers:
        return ()
    run = state.runs.get(command.run_id)
    if run is None or not run.retry_at:
        why = "no run of that id is going on" if run is None else f"it waits for no other attempt, it is {run.status}"
        raise InvalidOptionError(
            f"Cannot retry {command.run_id} now: {why}. A run that has ended is made anew by kk.runs.replay(id).",
            run_id=command.run_id,
        )
    return (ev.RetryDue(now, run.id, command.asked),)


def decide_report(state: State, command: c.TakeReport, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
    """The events of one report of an attempt, all kinds but `ChildTrigger`."""
    run = run_of(state, command)
    body = command.body
    if run.suspended_at and run.status not in FINAL and isinstance(body, m.Succeeded | m.Failed):
        # Something that nobody saw has woken the body, and it has ended: for this moment it executed over its slot.
        resumed = ev.RunResumed(now, run.id, run.fence)
        return (resumed, *_decide_report(state, run, body, now, roll, woken=True))
    return _decide_report(state, run, body, now, roll)


def _decide_report(
    state: State, run: LiveRun, body: m.ReportBody, now: int, roll: c.Roll, *, woken: bool = False
) -> Sequence[ev.AnyEvent]:
    match body:
        case m.Started():
            if run.attempt_started_at and run.status is not RunStatus.DEQUEUED:
                return ()
            return (ev.AttemptStarted(now, run.id, run.fence, body.at),)
        case m.Succeeded():
            if run.status in FINAL:
                return (ev.AttemptStopped(now, run.id, run.fence, body.started_at, body.compute),)
            return (
                ev.RunFinished(
                    now,
                    run.id,
                    RunStatus.COMPLETED,
                    body.started_at,
                    body.output,
                    peak_memory=body.peak_memory,
                    compute=body.compute,
                ),
            )
        case m.Failed():
            return _failed(
                run,
                body.error,
                now,
                roll,
                started_at=body.started_at,
                may_retry=body.retry,
                crashed=body.crashed,
                out_of_memory=body.out_of_memory,
                limit=_limit_of(state, run),
                peak_memory=body.peak_memory,
                compute=body.compute,
                retry_at=body.retry_at,
                through_queue=woken,
            )
        case m.Stopped():
            if run.status not in FINAL:
                raise StaleFence(f"{run.id} was not asked to stop.", run_id=run.id)
            return (ev.AttemptStopped(now, run.id, run.fence, body.started_at, body.compute),)
        case m.AddTags():
            return _once(run, body.op, now, _tags(run, body, now))
        case m.ChangeMetadata():
            return _once(run, body.op, now, _metadata(state, run, body, now))
        case m.ResetKey():
            return () if body.op in run.ops else [*decide_reset(state, body, now), ev.OpDone(now, run.id, body.op)]
        case m.MakeToken():
            return _once(run, body.op, now, make_token(state, body, now), body.token_id)
        case m.CompleteToken():
            return _once(run, body.op, now, complete_token(state, body, now, run.id))
        case m.OpenWait() | m.DropWait() | m.Suspend() | m.KeepStep():
            return list(decide_wait_report(state, run, body, now))
        case m.AppendStream():
            return appended_by_attempt(state, run, body, now)
        case m.ChildTrigger():
            raise AssertionError("taken by decide.py")
        case _:
            assert_never(body)


def _once(run: LiveRun, op: str, now: int, events: Iterator[ev.AnyEvent], result: str = "") -> Sequence[ev.AnyEvent]:
    if op in run.ops:
        return ()
    return [*events, ev.OpDone(now, run.id, op, result)]


def _tags(run: LiveRun, body: m.AddTags, now: int) -> Iterator[ev.AnyEvent]:
    fresh = tuple(dict.fromkeys(tag for tag in body.tags if tag not in run.tags))
    check_tags((*run.tags, *fresh))
    if fresh:
        yield ev.TagsAdded(now, run.id, fresh)


def _metadata(state: State, reporter: LiveRun, body: m.ChangeMetadata, now: int) -> Iterator[ev.AnyEvent]:
    run = _target(state, reporter, body.target)
    text = jsonvalues.encode(apply_ops(jsonvalues.decode(run.metadata), body.ops), what="the metadata")
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InvalidOptionError(f"The metadata of {run.id} would be over {MAX_METADATA_BYTES:,} bytes of JSON.")
    if text != run.metadata:
        yield ev.MetadataChanged(now, run.id, text)


def _target(state: State, run: LiveRun, target: str) -> LiveRun:
    """The run whose metadata `target` names; raises `RunOverError` when that has ended."""
    wanted = {"parent": run.parent_id, "root": run.root_id}.get(target) or run.id
    found = state.runs.get(wanted)
    if found is None:
        raise RunOverError(
            f"The {target} run {wanted} is over, so its metadata no longer changes. Keep it running until this run "
            "has written, or write to kk.metadata of this run.",
            run_id=wanted,
        )
    return found


def _failed(
    run: LiveRun,
    error: Error,
    now: int,
    roll: c.Roll,
    *,
    started_at: int = 0,
    may_retry: bool = True,
    crashed: bool = False,
    through_queue: bool = False,
    out_of_memory: bool = False,
    limit: Machine | None = None,
    peak_memory: int | None = None,
    compute: int = 0,
    retry_at: int | None = None,
) -> Sequence[ev.AnyEvent]:
    if run.status in FINAL:
        return (ev.AttemptStopped(now, run.id, run.fence, started_at, compute),)
    assert run.retry is not None and run.max_attempts is not None, "set at dispatch"
    machine = ""
    if out_of_memory:  # the ordinary policy does not count: the same again would end the same
        machine = larger_machine(run)
        may_retry, crashed, through_queue, retry_at = bool(machine), True, True, None
        error = out_of_memory_error(error, peak_memory, limit)
    delay = retry_delay_s(
        run.retry, attempt=run.attempt, max_attempts=run.max_attempts, may_retry=may_retry, jitter=roll.jitter()
    )
    if delay is None:
        status = RunStatus.CRASHED if crashed else RunStatus.FAILED
        return (ev.RunFinished(now, run.id, status, started_at, error=error, peak_memory=peak_memory, compute=compute),)
    due = now + round(delay * MICROS) if retry_at is None else max(now, retry_at)  # hooks were told, or chose
    return (
        ev.AttemptFailed(
            now,
            run.id,
            run.fence,
            error,
            started_at,
            retry_at=due,
            keeps_slot=due - now < KEEPS_SLOT_BELOW_S * MICROS and not through_queue,
            crashed=crashed,
            peak_memory=peak_memory,
            compute=compute,
            machine=machine,
        ),
    )


def _limit_of(state: State, run: LiveRun) -> Machine | None:
    worker = state.workers.get(run.worker_id)
    return None if worker is None else worker.machine


# ---- workers -----------------------------------------------------------------------------------------------------


def decide_ended_worker(state: State, command: c.WorkerEnded, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
    """The worker's attempts fail; a crash always goes back through the queue.

    Those that were never sent to it have not begun: it ended at its start, so they go back uncounted, as in
    `decide_unbegun_worker`. So do those it had not begun, unless it runs out of memory or ends before they begin for
    the third time: then it is their import that ends it.
    """
    if command.worker_id not in state.workers:
        return ()
    events: list[ev.AnyEvent] = []
    for run_id in sorted(state.by_worker.get(command.worker_id, ())):
        if _is_parked(state.runs[run_id]):
            events.append(ev.AttemptParked(now, run_id, state.runs[run_id].fence))
            continue
        if run_id in command.undelivered or _is_resuming(state.runs[run_id]):
            events.append(_undone(state.runs[run_id], command.error.message, now, blames_worker=not command.began))
            continue
        if run_id in command.unbegun and not command.out_of_memory and not _is_suspect(state.runs[run_id]):
            events.append(_undone(state.runs[run_id], command.error.message, now, blames_worker=True))
            continue
        events.extend(
            _failed(
                state.runs[run_id],
                command.error,
                now,
                roll,
                crashed=True,
                through_queue=True,
                out_of_memory=command.out_of_memory,
                limit=_limit_of(state, state.runs[run_id]),
                peak_memory=command.peak_memory,
            )
        )
    events.append(ev.WorkerGone(now, command.worker_id))
    return events


def decide_unbegun_worker(state: State, command: c.WorkerNeverBegan, now: int) -> Sequence[ev.AnyEvent]:
    """Attempts that never reached a worker go back to their queue uncounted, three times at most."""
    if command.worker_id not in state.workers:
        return ()
    undone = [
        ev.AttemptParked(now, run_id, state.runs[run_id].fence)
        if _is_parked(state.runs[run_id])
        else _undone(state.runs[run_id], command.reason, now, blames_worker=command.blames_worker)
        for run_id in sorted(state.by_worker.get(command.worker_id, ()))
    ]
    return [*undone, ev.WorkerGone(now, command.worker_id)]


def decide_undelivered(state: State, command: c.AttemptNeverArrived, now: int) -> Sequence[ev.AnyEvent]:
    """A dispatch that no worker knows of is taken back."""
    run = state.runs.get(command.run_id)
    if run is None or run.fence != command.fence:
        return ()
    if _is_parked(run):
        return (ev.AttemptParked(now, run.id, run.fence),)
    return (_undone(run, "its dispatch was lost", now, blames_worker=False),)


def _is_parked(run: LiveRun) -> bool:
    """Whether the attempt only waits, and so survives its worker."""
    return bool(run.suspended_at) and run.status not in FINAL


def _is_resuming(run: LiveRun) -> bool:
    """Whether it has a slot again and its code is not known to go on: nothing is lost but the moment."""
    return run.resumes and run.status is RunStatus.DEQUEUED


def _is_suspect(run: LiveRun) -> bool:
    """Whether workers have ended before its code began so often that it may be the cause."""
    return run.start_failures + 1 >= MAX_START_FAILURES


def _undone(run: LiveRun, reason: str, now: int, *, blames_worker: bool) -> ev.AnyEvent:
    if run.status in FINAL:
        return ev.AttemptStopped(now, run.id, run.fence)
    if blames_worker and run.start_failures + 1 >= MAX_START_FAILURES:
        error = Error(
            name="WorkerNotStarted",
            message=f"No worker could be started for this run, {MAX_START_FAILURES} times: {reason}",
            code="could_not_start",
        )
        return ev.RunFinished(now, run.id, RunStatus.SYSTEM_FAILURE, error=error)
    return ev.DispatchUndone(now, run.id, run.fence, blames_worker)


def lost_worker_error(words: str) -> Error:
    """What the attempts of a lost worker fail with."""
    return Error(name=WorkerLostError.__name__, message=words, code=WorkerLostError.code)
