"""What happened, in the order it happened: the log is a list of these, and state is their fold.

An event is a fact, not a wish: it carries everything `engine/apply.py` needs, so that folding the log again gives the
same state. Never change the meaning of an event that is out in the world; add another.
"""

from __future__ import annotations

import msgspec

from kernelkit.models.batch import BatchRecord
from kernelkit.models.bulk import Bulk, BulkStatus
from kernelkit.models.error import Error
from kernelkit.models.machine import Machine
from kernelkit.models.queue import RateLimit
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import KeyUse
from kernelkit.models.schedule import Missed, Schedule
from kernelkit.models.task import Isolation, RetryPolicy, TaskVersion
from kernelkit.models.value import NULL, Value
from kernelkit.models.wait import Token, Wait


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, gc=False):
    """Base of all events; `at` is UTC microseconds."""

    at: int


class TaskDefined(Event, frozen=True):
    version: TaskVersion


class QueueLimited(Event, frozen=True):
    """A trigger created the queue or gave it another limit; None takes the limit away."""

    queue: str
    limit: int | None


class QueueRated(Event, frozen=True):
    """A trigger created the queue or gave it another rate."""

    queue: str
    rate: RateLimit


class QueueOverridden(Event, frozen=True):
    """This limit holds in place of the queue's own, whatever becomes of that; None: its own holds again."""

    queue: str
    limit: int | None


class QueuePaused(Event, frozen=True):
    """No run of the queue starts any more; of no run at all where `queue` is ""."""

    queue: str


class QueueResumed(Event, frozen=True):
    """Runs of the queue start again; where `queue` is "", those of all queues that are not paused by themselves."""

    queue: str


class RunTriggered(Event, frozen=True):
    """A run exists: queued, delayed until `delay_until`, or waiting for its task to be defined."""

    run_id: str
    task_id: str
    queue: str
    isolation: Isolation
    payload: Value = NULL
    bundle: str = ""
    tags: tuple[str, ...] = ()
    max_attempts: int | None = None
    metadata: str = "{}"
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    concurrency_key: str = ""
    priority: float = 0.0  # seconds by which it goes ahead of others
    delay_until: int = 0
    ttl: float = 0.0
    max_duration: float = 0.0
    is_test: bool = False
    is_replay: bool = False
    env_id: str = ""  # "" = that of the version it starts as
    machine: str = ""  # preset
    key: KeyUse | None = None  # it holds this idempotency key from now on
    debounce: str = ""  # later triggers of the task with this debounce key push it, while it is delayed
    awaited: tuple[str, ...] | None = None  # its task is not defined: the options its definition is to give
    schedule_id: str | None = None
    slot: int = 0  # of the schedule; 0: started by hand


class TriggerAnswered(Event, frozen=True):
    """A trigger that asked for the run `asked` made none: its idempotency key is held by `run_id`, live or over."""

    run_id: str
    asked: str


class RunDebounced(Event, frozen=True):
    """A trigger that asked for the run `asked` was merged into a delayed one, which is due at `delay_until` now.

    `trailing`: its data takes the place of what the run had; None where the trigger gave nothing.
    """

    run_id: str
    asked: str
    delay_until: int
    key: KeyUse | None = None  # the run holds this idempotency key as well from now on
    trailing: bool = False
    payload: Value = NULL
    bundle: str = ""
    env_id: str = ""
    isolation: Isolation = "shared"
    tags: tuple[str, ...] | None = None
    max_attempts: int | None = None
    metadata: str | None = None
    max_duration: float | None = None
    machine: str = ""
    replaced_ref: str = ""  # the payload that nobody needs any more


class KeyCleared(Event, frozen=True):
    """An idempotency key was taken back: the next trigger with it makes a run. `asked` names the request."""

    task_id: str
    hash: str
    asked: str


class VersionFound(Event, frozen=True):
    """The task that a run waited for is defined: these are what its definition says of the run."""

    run_id: str
    queue: str
    isolation: Isolation
    tags: tuple[str, ...] = ()
    ttl: float = 0.0
    max_duration: float = 0.0
    machine: str = ""


class RunRefused(Event, frozen=True):
    """An item of a batch that could not be triggered: a run that was over before it began."""

    run_id: str
    task_id: str
    queue: str
    error: Error
    tags: tuple[str, ...] = ()
    metadata: str = "{}"
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    is_test: bool = False


class BatchMade(Event, frozen=True):
    """All items of a batch have been looked at; their runs are made."""

    batch: BatchRecord


class BulkBegan(Event, frozen=True):
    """The same is to be done to many runs, chunk by chunk."""

    bulk: Bulk


class BulkAdvanced(Event, frozen=True):
    """A chunk is done: of each of its runs an event stands before this one, unless it is a failure."""

    bulk_id: str
    cursor: str
    success: int
    failure: int


class BulkEnded(Event, frozen=True):
    """No further chunk is done."""

    bulk_id: str
    status: BulkStatus


class ScheduleSaved(Event, frozen=True):
    """A schedule was made or changed: it is like this now."""

    schedule: Schedule


class ScheduleDeleted(Event, frozen=True):
    schedule_id: str


class SlotsPassed(Event, frozen=True):
    """The moment of one or more slots has come. Their runs are made by the events beside this one, in one commit."""

    schedule_id: str
    passed: int  # the latest of them
    next_at: int
    slot: int = 0  # the latest for which a run was made
    run_id: str = ""  # that run
    fired: int = 0
    missed: Missed | None = None


class SlotsReopened(Event, frozen=True):
    """The clock was set back: slots that were given up while it was ahead are still to come."""

    schedule_id: str
    next_at: int


class RunRescheduled(Event, frozen=True):
    """A delayed run is due at another moment. `asked` names the request."""

    run_id: str
    delay_until: int
    asked: str = ""


class DelayOver(Event, frozen=True):
    """The delayed run stands in its queue now."""

    run_id: str


class OpDone(Event, frozen=True):
    """A state-changing call of an attempt has been carried out; the same op key again changes nothing.

    `result` is what a resumed attempt is given for it: the ids that it made, separated by commas."""

    run_id: str
    op: str
    result: str = ""


class WorkerPlanned(Event, frozen=True):
    """A worker of this id is to be spawned in environment `env_id`."""

    worker_id: str
    env_id: str
    isolation: Isolation
    machine: Machine | None = None  # what its attempts may use, as clamped to the host


class WorkerRunning(Event, frozen=True):
    """The worker's process is known: enough to tell after a crash of the engine whether it still lives."""

    worker_id: str
    pid: int
    started_at: float
    boot_id: str


class WorkerRetired(Event, frozen=True):
    """The worker takes no further attempts."""

    worker_id: str


class WorkerGone(Event, frozen=True):
    """The worker's process has ended."""

    worker_id: str


class RunDispatched(Event, frozen=True):
    """An attempt is given to a worker, under a fence. What the run is locked to is frozen here the first time."""

    run_id: str
    fence: str
    worker_id: str
    attempt: int
    version: str
    bundle: str
    env_id: str
    max_attempts: int
    retry: RetryPolicy
    resumes: bool = False  # the attempt goes on from its checkpoints, under another fence


class DispatchUndone(Event, frozen=True):
    """The attempt never began (its worker could not be started): back to the queue, not counted.

    `blames_worker` is False when the dispatch got lost with a crashed engine rather than at a worker's start."""

    run_id: str
    fence: str
    blames_worker: bool = True


class AttemptStarted(Event, frozen=True):
    run_id: str
    fence: str
    started_at: int


class AttemptFailed(Event, frozen=True):
    """The attempt failed and the run will try again at `retry_at`; under 5 s it keeps its slot."""

    run_id: str
    fence: str
    error: Error
    started_at: int
    retry_at: int
    keeps_slot: bool
    crashed: bool = False
    peak_memory: int | None = None
    compute: int = 0  # microseconds for which the attempt's code executed
    machine: str = ""  # the preset that the run has from now on, where that is another: it ran out of memory


class RetryDue(Event, frozen=True):
    """The moment for the next attempt has come: the run stands in its queue again."""

    run_id: str


class RunFinished(Event, frozen=True):
    """The run has reached a final status and no code of it runs."""

    run_id: str
    status: RunStatus
    started_at: int = 0
    output: Value | None = None
    error: Error | None = None
    peak_memory: int | None = None
    compute: int = 0


class RunCanceled(Event, frozen=True):
    """The run is CANCELED. If an attempt is live it stays so, under its fence, until its code has stopped."""

    run_id: str
    reason: str


class RunTimedOut(Event, frozen=True):
    """The attempt took longer than it may. The run is TIMED_OUT; the attempt stays live until its code has stopped."""

    run_id: str
    fence: str


class AttemptStopped(Event, frozen=True):
    """The code of a canceled or timed-out run has stopped; the run leaves the live set."""

    run_id: str
    fence: str
    started_at: int = 0
    compute: int = 0


class WaitOpened(Event, frozen=True):
    """The attempt waits for something; it goes on executing until `RunSuspended`."""

    run_id: str
    op: str
    wait: Wait


class WaitOver(Event, frozen=True):
    """What was waited for has come, or its time is over. A suspended run stands in its queue again."""

    run_id: str
    op: str
    value: Value | None = None
    timed_out: bool = False


class WaitDropped(Event, frozen=True):
    """The attempt no longer wants to know."""

    run_id: str
    op: str


class RunSuspended(Event, frozen=True):
    """All that the attempt's code does is wait durably: the run is WAITING and its slot is free.

    `compute` is how long the attempt's code has executed so far, in microseconds, and `calls` how many changes of
    metadata it has made: a replay leaves as many out. A process of its own is kept until `held_until`."""

    run_id: str
    fence: str
    compute: int = 0
    calls: int = 0
    held_until: int = 0


class RunResumed(Event, frozen=True):
    """A suspended attempt whose worker lives has a slot again; `AttemptStarted` follows when the worker knows.

    `ops` are the waits whose results it is given."""

    run_id: str
    fence: str
    ops: tuple[str, ...] = ()


class AttemptParked(Event, frozen=True):
    """The process of a suspended attempt is gone, or is let go: it will go on from its checkpoints elsewhere.

    `let_go` is the worker that still lives and is to be ended."""

    run_id: str
    fence: str
    let_go: str = ""


class StepKept(Event, frozen=True):
    """A `kk.step` of the run has a result, which holds for all its attempts."""

    run_id: str
    op: str
    value: Value


class TokenMade(Event, frozen=True):
    token: Token


class TokenAliased(Event, frozen=True):
    """A token was asked for under a key that another has: both ids mean that one."""

    token_id: str
    same_as: str


class TokenCompleted(Event, frozen=True):
    token_id: str
    value: Value
    by: str = ""


class TokenTimedOut(Event, frozen=True):
    token_id: str


class StreamAppended(Event, frozen=True):
    """A stream of the run has `count` values more, the first of them at `first`; they lie beside the log.

    Of the attempt of the run `writer` that appended them, the first `upto` values under `op` are in. `asked` names the
    request of a client.
    """

    run_id: str
    stream: str
    first: int
    count: int
    size: int
    writer: str = ""
    op: str = ""
    upto: int = 0
    asked: str = ""


class TagsAdded(Event, frozen=True):
    run_id: str
    tags: tuple[str, ...]


class MetadataChanged(Event, frozen=True):
    """The run's metadata as it is now (the fold of its operations), JSON text."""

    run_id: str
    metadata: str


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
