"""The only code that changes state: one event, one change.

Total and unconditional: an event was decided once and is never judged again, so folding a log always succeeds. What the
events of one kind of thing change is in a room of `folds/`; those call `State` for its indexes and `sameness.py` for
keys and answers, and nobody else writes into the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernelkit.engine.folds import (
    attempts,
    bulks,
    ends,
    notes,
    queues,
    schedules,
    tasks,
    tokens,
    triggers,
    waits,
    workers,
)
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev


def apply(state: State, event: ev.AnyEvent) -> LiveRun | None:
    """Change `state` by `event`, and return the run it was about, also when that run has just left the live set."""
    state.seq += 1
    if event.at > state.clock:
        state.clock = event.at
    handler = _HANDLERS[type(event)]
    return handler(state, event)


# Each handler takes the one event class it stands under; a dict cannot say that in types.
_HANDLERS: dict[type[ev.Event], Callable[[State, Any], LiveRun | None]] = {
    ev.TaskDefined: tasks.defined,
    ev.QueueLimited: queues.limited,
    ev.QueueRated: queues.rated,
    ev.QueueOverridden: queues.overridden,
    ev.QueuePaused: queues.paused,
    ev.QueueResumed: queues.resumed,
    ev.ScheduleSaved: schedules.saved,
    ev.ScheduleDeleted: schedules.deleted,
    ev.SlotsPassed: schedules.slots_passed,
    ev.SlotsReopened: schedules.slots_reopened,
    ev.RunTriggered: triggers.triggered,
    ev.VersionFound: triggers.version_found,
    ev.RunRefused: triggers.refused,
    ev.BatchMade: triggers.batch_made,
    ev.TriggerAnswered: triggers.answered,
    ev.RunDebounced: triggers.debounced,
    ev.KeyCleared: triggers.key_cleared,
    ev.RunRescheduled: triggers.rescheduled,
    ev.DelayOver: triggers.delay_over,
    ev.RunDispatched: attempts.dispatched,
    ev.DispatchUndone: attempts.dispatch_undone,
    ev.AttemptStarted: attempts.started,
    ev.AttemptFailed: attempts.failed,
    ev.RetryDue: attempts.retry_due,
    ev.WaitOpened: waits.opened,
    ev.WaitOver: waits.over,
    ev.WaitDropped: waits.dropped,
    ev.RunSuspended: waits.suspended,
    ev.RunResumed: waits.resumed,
    ev.AttemptParked: waits.parked,
    ev.RunFinished: ends.finished,
    ev.RunCanceled: ends.canceled,
    ev.RunTimedOut: ends.timed_out,
    ev.AttemptStopped: ends.attempt_stopped,
    ev.OpDone: notes.op_done,
    ev.StepKept: notes.step_kept,
    ev.StreamAppended: notes.stream_appended,
    ev.TagsAdded: notes.tags_added,
    ev.MetadataChanged: notes.metadata_changed,
    ev.TokenMade: tokens.made,
    ev.TokenAliased: tokens.aliased,
    ev.TokenCompleted: tokens.completed,
    ev.TokenTimedOut: tokens.timed_out,
    ev.BulkBegan: bulks.began,
    ev.BulkAdvanced: bulks.advanced,
    ev.BulkEnded: bulks.ended,
    ev.WorkerPlanned: workers.planned,
    ev.WorkerRunning: workers.running,
    ev.WorkerRetired: workers.retired,
    ev.WorkerGone: workers.gone,
}
