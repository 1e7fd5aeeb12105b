"""What becomes of runs as a whole: they are triggered, put off, changed by hand or by their code, and over.

A run may be over while code of it is still alive: `RunCanceled` and `RunTimedOut` give it its final status, and
`AttemptStopped` (`attempts.py`) follows.
"""

from __future__ import annotations

from kernelkit.models.batch import BatchRecord
from kernelkit.models.bulk import Bulk, BulkStatus
from kernelkit.models.error import Error
from kernelkit.models.event.event import Event
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import KeyUse
from kernelkit.models.task import Isolation
from kernelkit.models.value import NULL, Value


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


class RunRescheduled(Event, frozen=True):
    """A delayed run is due at another moment. `asked` names the request."""

    run_id: str
    delay_until: int
    asked: str = ""


class DelayOver(Event, frozen=True):
    """The delayed run stands in its queue now."""

    run_id: str


class TagsAdded(Event, frozen=True):
    run_id: str
    tags: tuple[str, ...]


class MetadataChanged(Event, frozen=True):
    """The run's metadata as it is now (the fold of its operations), JSON text."""

    run_id: str
    metadata: str


class RunCanceled(Event, frozen=True):
    """The run is CANCELED. If an attempt is live it stays so, under its fence, until its code has stopped."""

    run_id: str
    reason: str


class RunTimedOut(Event, frozen=True):
    """The attempt took longer than it may. The run is TIMED_OUT; the attempt stays live until its code has stopped."""

    run_id: str
    fence: str


class RunFinished(Event, frozen=True):
    """The run has reached a final status and no code of it runs."""

    run_id: str
    status: RunStatus
    started_at: int = 0
    output: Value | None = None
    error: Error | None = None
    peak_memory: int | None = None
    compute: int = 0


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
