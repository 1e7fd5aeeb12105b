"""All events together, and their JSON as it stands in the log.

An event is known to the log only when it stands in `AnyEvent`.
"""

from __future__ import annotations

import msgspec

from kernelkit.models.event.attempts import (
    AttemptFailed,
    AttemptParked,
    AttemptStarted,
    AttemptStopped,
    DispatchUndone,
    OpDone,
    RetryDue,
    RunDispatched,
    RunResumed,
    RunSuspended,
    StepKept,
)
from kernelkit.models.event.definitions import (
    QueueLimited,
    QueueOverridden,
    QueuePaused,
    QueueRated,
    QueueResumed,
    ScheduleDeleted,
    ScheduleSaved,
    SlotsPassed,
    SlotsReopened,
    TaskDefined,
)
from kernelkit.models.event.runs import (
    BatchMade,
    BulkAdvanced,
    BulkBegan,
    BulkEnded,
    DelayOver,
    KeyCleared,
    MetadataChanged,
    RunCanceled,
    RunDebounced,
    RunFinished,
    RunRefused,
    RunRescheduled,
    RunTimedOut,
    RunTriggered,
    TagsAdded,
    TriggerAnswered,
    VersionFound,
)
from kernelkit.models.event.waits import (
    StreamAppended,
    TokenAliased,
    TokenCompleted,
    TokenMade,
    TokenTimedOut,
    WaitDropped,
    WaitOpened,
    WaitOver,
)
from kernelkit.models.event.workers import WorkerGone, WorkerPlanned, WorkerRetired, WorkerRunning

AnyEvent = (
    TaskDefined
    | QueueLimited
    | ScheduleSaved
    | ScheduleDeleted
    | SlotsPassed
    | SlotsReopened
    | QueueRated
    | QueueOverridden
    | QueuePaused
    | QueueResumed
    | RunTriggered
    | VersionFound
    | RunRefused
    | BatchMade
    | TriggerAnswered
    | RunDebounced
    | KeyCleared
    | BulkBegan
    | BulkAdvanced
    | BulkEnded
    | RunRescheduled
    | DelayOver
    | OpDone
    | WorkerPlanned
    | WorkerRunning
    | WorkerRetired
    | WorkerGone
    | RunDispatched
    | DispatchUndone
    | AttemptStarted
    | AttemptFailed
    | RetryDue
    | RunFinished
    | RunCanceled
    | RunTimedOut
    | AttemptStopped
    | WaitOpened
    | WaitOver
    | WaitDropped
    | RunSuspended
    | RunResumed
    | AttemptParked
    | StepKept
    | TokenMade
    | TokenAliased
    | TokenCompleted
    | TokenTimedOut
    | StreamAppended
    | TagsAdded
    | MetadataChanged
)

_encoder = msgspec.json.Encoder()

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def to_json(event: AnyEvent) -> str:
    return _encoder.encode(event).decode()


def from_json(text: str) -> AnyEvent:
    return _decoder.decode(text)
