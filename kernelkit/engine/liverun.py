"""A run as the engine holds it in memory while it is not over.

There may be ten thousands of them for hours, so a field is paid for by each: what most runs have nothing of is `EMPTY`,
and equal texts are one (`share`). `engine/apply.py` alone writes into them.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from types import MappingProxyType
from typing import Any, cast

import msgspec

from kernelkit.engine.turns import Kind, kind_of
from kernelkit.models.error import Error
from kernelkit.models.run import AttemptStatus, RunStatus
from kernelkit.models.sameness import KeyUse
from kernelkit.models.stream import StreamLength
from kernelkit.models.task import Isolation, RetryPolicy
from kernelkit.models.value import NULL, Value
from kernelkit.models.wait import Done, Wait

Order = tuple[int, int]
"""Place in a queue: the moment the run entered it (by `State.clock`) less its priority, then the event's number."""

_NEVER = 1 << 62

EMPTY = cast(dict[str, Any], MappingProxyType({}))
"""What a run has nothing of: one for all runs, which nobody can write into. `apply` gives a run a dict of its own where
it has the first entry; six empty ones were a third of what a suspended run costs."""

_KEY = "\x1f"
"""Between the name of a queue and the concurrency key of one of its copies."""


def slots_of(queue: str, key: str) -> str:
    """What slots are counted under: the queue, or its copy for a concurrency key."""
    return f"{queue}{_KEY}{key}" if key else queue


class PastAttempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    number: int
    status: AttemptStatus
    started_at: int
    finished_at: int
    worker_id: str
    error: Error | None = None
    peak_memory: int | None = None
    compute: int = 0  # microseconds


class LiveRun(msgspec.Struct, omit_defaults=True, gc=False):
    """A run that is not over, or is canceled or timed out while its code still runs.

    There may be ten thousands of them for hours: nothing is made for a run before it is needed, and what all runs of a
    task have in common they share (`share`). With 62 fields it just fits the largest block of Python's own allocator.
    """

    id: str
    task_id: str
    queue: str
    isolation: Isolation
    created_at: int
    queued_at: int
    order: Order
    status: RunStatus = RunStatus.QUEUED
    payload: Value = NULL
    bundle: str = ""
    tags: tuple[str, ...] = ()
    metadata: str = "{}"
    seed: str | None = None  # the metadata it was triggered with, once that has changed: a replay begins with it
    awaited: tuple[str, ...] | None = None  # its task is not defined: the options its definition is to give
    max_attempts: int | None = None
    retry: RetryPolicy | None = None
    version: str = ""
    env_id: str = ""
    attempt: int = 0
    fence: str = ""  # of the live attempt; "" when no code of the run is running
    worker_id: str = ""
    attempt_started_at: int = 0
    started_at: int = 0
    past: tuple[PastAttempt, ...] = ()
    retry_at: int = 0
    keeps_slot: bool = False
    ops: dict[str, str] = EMPTY  # calls of the attempt, and what a resumed one is given for them
    start_failures: int = 0
    canceled_reason: str | None = None
    stopped_at: int = 0  # when it was canceled or had taken too long, while its code still runs
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    schedule_id: str | None = None
    children: int = 0
    concurrency_key: str = ""
    priority: float = 0.0
    delay_until: int = 0
    ttl: float = 0.0
    expires_at: int = 0  # while it waits for its first start
    max_duration: float = 0.0
    is_test: bool = False
    is_replay: bool = False
    machine: str = ""  # preset
    key: KeyUse | None = None  # of the trigger that made it
    keys: list[bytes] | None = None  # this one and those of triggers that were merged into it, by `digest_of`
    debounce: str = ""
    takes_pushes: bool = False  # while it is delayed: triggers with its debounce key go to it
    waits: dict[str, Wait] = EMPTY  # open ones of the attempt, by op key
    done: dict[str, Done] = EMPTY  # its finished ones, in the order in which they were over
    fresh: tuple[str, ...] = ()  # of these, those that were over while it was suspended
    steps: dict[str, Value] = EMPTY  # results of `kk.step`, for all attempts
    streams: dict[str, StreamLength] = EMPTY  # by key
    sent: dict[str, int] = EMPTY  # values that the attempt has appended to streams, by op
    suspended_at: int = 0  # while the attempt lives and neither executes nor holds a slot
    paused: int = 0  # microseconds for which the attempt was suspended
    computed: int = 0  # microseconds for which it had executed when it was suspended last
    calls: int = 0  # changes of metadata that it had made then
    metadata_before: str = "{}"  # the metadata with which the attempt began
    held_until: int = 0  # when a process of its own is let go
    resumes: bool = False  # the live dispatch goes on with an attempt that was suspended

    @property
    def searched(self) -> str:
        """What the filter `search` looks into."""
        return "\n".join([self.id, self.task_id, *self.tags, self.payload.text or ""])

    @property
    def slots(self) -> str:
        """What its slot is counted under: the queue, or its copy for the concurrency key."""
        return slots_of(self.queue, self.concurrency_key) if self.concurrency_key else self.queue

    @property
    def kind(self) -> Kind:
        """What it needs besides a slot."""
        need = "machine" if self.machine else self.isolation
        return kind_of(need, resumes=True) if self.suspended_at else need

    @property
    def timer(self) -> int:
        """The moment at which time alone changes something about it; 0 = never."""
        if not self.waits:
            return self._own_timer
        own, first = self._own_timer, min([wait.until or _NEVER for wait in self.waits.values()])
        if not own or first < own:
            return 0 if first == _NEVER else first
        return own

    @property
    def _own_timer(self) -> int:
        match self.status:
            case RunStatus.DELAYED:
                return self.delay_until
            case RunStatus.QUEUED:
                return self.retry_at or self.expires_at or self.held_until
            case RunStatus.EXECUTING if self.fence and self.max_duration:
                return self.times_out_at
            case RunStatus.WAITING:
                return self.held_until
            case _:
                return self.retry_at

    @property
    def times_out_at(self) -> int:
        """When the attempt has taken longer than it may; the time for which it was suspended does not count."""
        return self.attempt_started_at + self.paused + round(self.max_duration * 1_000_000)

    @property
    def stop_reason(self) -> str | None:
        """Why its code should stop, in words, once it should."""
        if self.status is RunStatus.TIMED_OUT:
            return f"Run exceeded max_duration of {self.max_duration:g} seconds"
        return self.canceled_reason

    @property
    def holds_slot(self) -> bool:
        return bool(self.fence and not self.suspended_at) or self.keeps_slot

    @property
    def is_ready(self) -> bool:
        """Waiting for nothing but a slot."""
        return self.status is RunStatus.QUEUED and not self.retry_at


def share(runs: Iterable[LiveRun]) -> None:
    """Have runs that were read from bytes share what is equal, as runs do that were triggered here."""
    policies: dict[RetryPolicy, RetryPolicy] = {}
    for run in runs:
        run.task_id, run.queue, run.bundle = intern(run.task_id), intern(run.queue), intern(run.bundle)
        run.env_id, run.version, run.worker_id = intern(run.env_id), intern(run.version), intern(run.worker_id)
        run.retry = run.retry and policies.setdefault(run.retry, run.retry)
        if run.waits:
            run.waits = {intern(op): wait for op, wait in run.waits.items()}
