"""What must leave the engine once an event is on disk: orders to workers, notices, wake-ups of those who wait.

Nothing is said here: `follow` only notes what `Core` calls after the commit, in the order in which it came. By then
the state has gone on: what is noted looks at it again, or holds what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from kernelkit.engine.decide import Change
from kernelkit.engine.ledger import history_row
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.orders import start_attempt, stop_order, tell_results
from kernelkit.models import event as ev
from kernelkit.models.run import Run
from kernelkit.models.value import Value
from kernelkit.store.batches import batch_row
from kernelkit.store.rows import HistoryRow

if TYPE_CHECKING:
    from kernelkit.engine.core import Core


def follow(core: Core, change: Change) -> None:
    """Note what must leave the engine after the commit of `change`."""
    event, run = change.event, change.run
    if run is None:
        if isinstance(event, _OF_QUEUES):
            core.outgoing.append(core.notices.queues_changed)
        elif isinstance(event, ev.TokenCompleted | ev.TokenTimedOut):
            core.outgoing.append(lambda: core.on_token(event.token_id))
        elif isinstance(event, ev.BatchMade):
            core.batch.batches.append(batch_row(event.batch, change.seq))
        return
    ended = None if run.id in core.state.runs else history_row(change, core.state, core.capacity)
    if ended is not None:
        core.ledger.add(ended)
        core.pulse.ended(event.at)
    if run.id in core.listened and run.id not in core.state.runs:
        core.outgoing.append(lambda: core.on_left(run.id))
    more = _FOLLOW.get(type(event))
    if more is None:
        _tell(core, run.id, status_changed=False)
    else:
        more(core, event, run, ended)


def _tell(core: Core, run_id: str, *, status_changed: bool) -> None:
    if core.notices.are_heard:
        core.outgoing.append(lambda: core.notices.changed(run_id, status_changed=status_changed))


def _after_change(core: Core, event: ev.AnyEvent, run: LiveRun, ended: HistoryRow | None) -> None:
    _tell(core, run.id, status_changed=True)


def _after_append(core: Core, event: ev.StreamAppended, run: LiveRun, ended: HistoryRow | None) -> None:
    core.outgoing.append(lambda: core.on_stream(run.id, event.stream))


def _after_debounce(core: Core, event: ev.RunDebounced, run: LiveRun, ended: HistoryRow | None) -> None:
    if event.replaced_ref:
        core.unwanted.append(event.replaced_ref)
    else:
        _tell(core, run.id, status_changed=False)


def _after_dispatch(core: Core, event: ev.RunDispatched, run: LiveRun, ended: HistoryRow | None) -> None:
    core.unsent.add(event.fence)
    if event.attempt == 1 and not event.resumes:
        core.pulse.started(event.at, event.at - run.queued_at)
    core.outgoing.append(lambda: start_attempt(core, run, event))


def _after_end(core: Core, event: ev.RunFinished | ev.RunRefused, run: LiveRun, ended: HistoryRow | None) -> None:
    assert ended is not None, "it has left the state, or never was in it"
    output = event.output if isinstance(event, ev.RunFinished) else None
    core.outgoing.append(lambda: _ended(core, ended.run, output))


def _after_stop(core: Core, event: ev.RunCanceled | ev.RunTimedOut, run: LiveRun, ended: HistoryRow | None) -> None:
    view = ended.run if ended else core.view(run.id)
    assert view is not None, "it is live, or has just ended"
    core.outgoing.append(lambda: _ended(core, view, None))
    if run.fence:
        stop = stop_order(core, run)
        core.outgoing.append(lambda: core.workers.stop(run.worker_id, stop))


def _after_opening(core: Core, event: ev.WaitOpened, run: LiveRun, ended: HistoryRow | None) -> None:
    token = event.wait.token
    if token:
        core.outgoing.append(lambda: core.on_token(token))
    _tell(core, run.id, status_changed=False)


def _after_wait(core: Core, event: ev.WaitOver, run: LiveRun, ended: HistoryRow | None) -> None:
    if run.fence and not run.suspended_at:
        core.outgoing.append(lambda: tell_results(core, run, (event.op,)))
    else:
        _tell(core, run.id, status_changed=True)


def _after_resume(core: Core, event: ev.RunResumed, run: LiveRun, ended: HistoryRow | None) -> None:
    core.outgoing.append(lambda: tell_results(core, run, event.ops))
    _tell(core, run.id, status_changed=True)


def _after_parking(core: Core, event: ev.AttemptParked, run: LiveRun, ended: HistoryRow | None) -> None:
    if event.let_go:
        core.outgoing.append(lambda: core.workers.let_go(event.let_go))
    else:
        _tell(core, run.id, status_changed=False)


def _ended(core: Core, run: Run, output: Value | None) -> None:
    if output is None or output.ref is None:
        core.notices.ended(run)
    else:
        core.text_of(output, lambda text: core.notices.ended(replace(run, output_json=text)))


_OF_QUEUES = (ev.QueuePaused, ev.QueueResumed, ev.QueueOverridden, ev.QueueLimited, ev.QueueRated)

# What follows from the events of a run; from all others, that it has changed. Each takes the class it stands under.
_FOLLOW: dict[type[ev.Event], Callable[[Core, Any, LiveRun, HistoryRow | None], None]] = {
    ev.AttemptStarted: _after_change,
    ev.StreamAppended: _after_append,
    ev.RunDebounced: _after_debounce,
    ev.RunDispatched: _after_dispatch,
    ev.RunFinished: _after_end,
    ev.RunRefused: _after_end,
    ev.RunCanceled: _after_stop,
    ev.RunTimedOut: _after_stop,
    ev.WaitOpened: _after_opening,
    ev.WaitOver: _after_wait,
    ev.RunResumed: _after_resume,
    ev.AttemptParked: _after_parking,
    **dict.fromkeys(
        (
            ev.RunSuspended,
            ev.AttemptFailed,
            ev.RunTriggered,
            ev.DelayOver,
            ev.RetryDue,
            ev.AttemptStopped,
        ),
        _after_change,
    ),
}
