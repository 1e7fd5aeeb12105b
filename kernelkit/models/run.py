"""A run as everyone outside the engine sees it: an immutable snapshot."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from kernelkit import jsonvalues
from kernelkit.models.error import Error
from kernelkit.models.sameness import KeyScope
from kernelkit.models.wait import Waiting


class RunStatus(enum.StrEnum):
    """The thirteen statuses of a run. Seven are final and never change again."""

    PENDING_VERSION = "PENDING_VERSION"
    DELAYED = "DELAYED"
    QUEUED = "QUEUED"
    DEQUEUED = "DEQUEUED"
    EXECUTING = "EXECUTING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    CRASHED = "CRASHED"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"
    EXPIRED = "EXPIRED"
    TIMED_OUT = "TIMED_OUT"


FINAL = frozenset(
    {
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.CANCELED,
        RunStatus.CRASHED,
        RunStatus.SYSTEM_FAILURE,
        RunStatus.EXPIRED,
        RunStatus.TIMED_OUT,
    }
)

AttemptStatus = Literal["EXECUTING", "WAITING", "COMPLETED", "FAILED", "CANCELED", "CRASHED", "TIMED_OUT"]


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One try of a run. `peak_memory` is in bytes, as measured for exclusive workers.

    `compute_s` is how long its code executed, as its worker measured it: 0 until it has ended, or if that was lost.
    """

    number: int
    status: AttemptStatus
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Error | None = None
    worker: str = ""
    peak_memory: int | None = None
    compute_s: float = 0.0


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What a run has used so far, see `Run.usage` and `kk.usage.current()`.

    Compute is the time for which the run's code executed; waiting for a slot or between attempts is none. Peak memory,
    in bytes, is known where an attempt had a process of its own.
    """

    attempt_compute_s: float = 0.0  # of the current, else of the last attempt
    total_compute_s: float = 0.0  # of all attempts
    peak_memory: int | None = None


class RunRef(msgspec.Struct, frozen=True, gc=False):
    """Another run, as far as a relation shows it."""

    id: str
    task_id: str
    status: RunStatus


class Related(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The runs around a run, as they are now; one no longer kept is missing. At most 1,000 children, in order."""

    parent: RunRef | None = None
    root: RunRef | None = None
    children: tuple[RunRef, ...] = ()


class Run(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A snapshot of a run; take a newer one with `kk.runs.retrieve(run.id)` or `handle.refresh()`.

    `payload` and `output` are decoded from JSON each time they are asked for. Moments are aware, in UTC.
    """

    id: str
    task_id: str
    status: RunStatus
    payload_json: str | None = None  # None where a list leaves large values out
    payload_size: int = 0
    output_json: str | None = None
    output_size: int = 0
    error: Error | None = None
    tags: tuple[str, ...] = ()
    metadata_json: str = "{}"
    seed_json: str | None = None  # the metadata it was triggered with, where that has changed since
    attempts: tuple[Attempt, ...] = ()
    attempt_number: int = 0  # 0 = not started
    max_attempts: int = 1
    created_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retry_at: datetime | None = None  # a failed attempt has a moment for the next: shown as "Retrying"
    queue: str
    version: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    schedule_id: str | None = None  # the schedule that made it
    idempotency_key: str | None = None  # as its author wrote it
    concurrency_key: str | None = None
    priority: float = 0.0  # seconds by which it goes ahead of others in its queue
    delay_until: datetime | None = None
    ttl: float | None = None  # seconds it may wait for its first start
    max_duration: float | None = None  # seconds an attempt may take
    machine: str | None = None  # the preset's name; a retry after running out of memory may have changed it
    is_test: bool = False
    is_replay: bool = False
    idempotency_key_scope: KeyScope | None = None
    debounce_key: str | None = None
    waiting_for: tuple[Waiting, ...] = ()  # what its attempt waits for; while WAITING it does nothing else
    queued_reason: str | None = None  # why it is not running, while QUEUED or PENDING_VERSION
    is_queue_paused: bool = False  # and that because its queue is paused: once it is resumed, what else there is counts
    canceled_reason: str | None = None
    notice: str | None = None  # something a person should know of a run that is executing, in words
    children: int = 0  # runs triggered from inside it
    related: Related | None = None  # from `retrieve` and `refresh` alone; lists and subscriptions leave it out
    worker: str | None = None
    peak_memory: int | None = None

    @property
    def is_completed(self) -> bool:
        """True for all seven final statuses, however the run ended."""
        return self.status in FINAL

    @property
    def payload(self) -> Any:  # any JSON value
        return None if self.payload_json is None else jsonvalues.decode(self.payload_json)

    @property
    def output(self) -> Any:  # any JSON value
        return None if self.output_json is None else jsonvalues.decode(self.output_json)

    @property
    def metadata(self) -> dict[str, Any]:  # any JSON object
        decoded: dict[str, Any] = jsonvalues.decode(self.metadata_json)
        return decoded

    @property
    def searched(self) -> str:
        """What the filter `search` looks into."""
        error = () if self.error is None else (self.error.name, self.error.message)
        return "\n".join([self.id, self.task_id, *self.tags, self.payload_json or "", *error])

    @property
    def duration(self) -> timedelta | None:
        """From the first start to the end, or None when it has not both."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    @property
    def usage(self) -> Usage:
        """Compute and memory of its attempts, as far as they have ended."""
        peaks = [attempt.peak_memory for attempt in self.attempts if attempt.peak_memory is not None]
        return Usage(
            attempt_compute_s=self.attempts[-1].compute_s if self.attempts else 0.0,
            total_compute_s=sum(attempt.compute_s for attempt in self.attempts),
            peak_memory=max(peaks, default=None),
        )

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.task_id}: {self.status}>"


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One captured line. `level` is debug, info, warn, error, or stdout / stderr for printed lines."""

    at: datetime
    level: str
    text: str
    attempt: int = 1


class Logs(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Lines of a run, oldest first; `dropped` counts lines in the middle that were not kept."""

    lines: tuple[LogLine, ...] = ()
    dropped: int = 0
