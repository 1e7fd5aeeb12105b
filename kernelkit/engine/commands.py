"""What the engine can be asked to do, with the facts of history that the decision needs.

Inside the engine only: the server makes these of wire messages, the supervisor of what it sees of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from kernelkit.models.batch import BatchRecord
from kernelkit.models.bulk import Bulk
from kernelkit.models.error import Error
from kernelkit.models.schedule import Timing
from kernelkit.models.task import TaskSpec
from kernelkit.wire.messages import AppendStream as AppendRequest
from kernelkit.wire.messages import CompleteToken, MakeToken, ReportBody, TriggerItem


class DefineTask(msgspec.Struct, frozen=True, gc=False):
    spec: TaskSpec
    replace: bool = False
    connected: frozenset[str] = frozenset()  # owners whose client is connected now


class TriggerRuns(msgspec.Struct, frozen=True, gc=False):
    items: tuple[TriggerItem, ...]
    batch_id: str = ""
    known: frozenset[str] = frozenset()  # ids among the items that history already has: a resend
    parent_id: str = ""  # the run whose attempt started the client's process
    parent_fence: str = ""
    made: BatchRecord | None = None  # what this batch became when it was sent the first time


class CancelRun(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    reason: str


class StartBulk(msgspec.Struct, frozen=True, gc=False):
    bulk: Bulk  # its filter frozen, its runs counted


class AdvanceBulk(msgspec.Struct, frozen=True, gc=False):
    """The next runs of a bulk action, newest first; for a replay, what those that are kept were triggered with."""

    bulk_id: str
    run_ids: tuple[str, ...]
    items: tuple[TriggerItem, ...] = ()
    is_last: bool = False


class AbortBulk(msgspec.Struct, frozen=True, gc=False):
    bulk_id: str


class RescheduleRun(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    delay_s: float = 0.0
    delay_until: int = 0
    asked: str = ""


class RetryNow(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    asked: str = ""


class ResetKey(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    hash: str
    text: str = ""
    asked: str = ""


class SaveSchedule(msgspec.Struct, frozen=True, gc=False):
    id: str
    task_id: str
    timing: Timing
    external_id: str = ""
    deduplication_key: str = ""
    change: bool = False


class SwitchSchedule(msgspec.Struct, frozen=True, gc=False):
    schedule_id: str
    active: bool


class DeleteSchedule(msgspec.Struct, frozen=True, gc=False):
    schedule_id: str


class RunSchedule(msgspec.Struct, frozen=True, gc=False):
    schedule_id: str
    run_id: str
    known: bool = False  # history already has that run: a resend


class PauseQueue(msgspec.Struct, frozen=True, gc=False):
    """Let no run of the queue start, or let them start again; "" is the whole project."""

    queue: str
    paused: bool


class OverrideQueue(msgspec.Struct, frozen=True, gc=False):
    """Have `limit` hold in place of the queue's own, or with None its own again."""

    queue: str
    limit: int | None
    most: int  # the project's limit, which no queue's may be over


class TakeReport(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    fence: str
    body: ReportBody


class ChangeToken(msgspec.Struct, frozen=True, gc=False):
    """A client makes or completes a token."""

    body: MakeToken | CompleteToken


class AppendStream(msgspec.Struct, frozen=True, gc=False):
    """A client adds values to a stream of a run."""

    body: AppendRequest


class WorkerAppeared(msgspec.Struct, frozen=True, gc=False):
    worker_id: str
    pid: int
    started_at: float
    boot_id: str


class WorkerEnded(msgspec.Struct, frozen=True, gc=False):
    """The worker's process is gone. `error` is what its attempts failed with."""

    worker_id: str
    error: Error
    out_of_memory: bool = False
    peak_memory: int | None = None
    undelivered: frozenset[str] = frozenset()  # runs whose attempts had not been sent to it
    began: bool = True  # it had dialled in: that those were not sent is not its fault
    unbegun: frozenset[str] = frozenset()  # runs whose attempts it had, and none of their code was executed


class WorkerNeverBegan(msgspec.Struct, frozen=True, gc=False):
    """The worker could not be started, or its attempts never reached it."""

    worker_id: str
    reason: str
    blames_worker: bool = True


class AttemptNeverArrived(msgspec.Struct, frozen=True, gc=False):
    """The dispatch got lost with the engine that made it: the worker lives and does not know of it."""

    run_id: str
    fence: str


class RetireWorker(msgspec.Struct, frozen=True, gc=False):
    worker_id: str


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed."""


Command = (
    DefineTask
    | TriggerRuns
    | CancelRun
    | StartBulk
    | AdvanceBulk
    | AbortBulk
    | RescheduleRun
    | RetryNow
    | ResetKey
    | SaveSchedule
    | SwitchSchedule
    | DeleteSchedule
    | RunSchedule
    | PauseQueue
    | OverrideQueue
    | TakeReport
    | ChangeToken
    | AppendStream
    | WorkerAppeared
    | WorkerEnded
    | WorkerNeverBegan
    | AttemptNeverArrived
    | RetireWorker
    | Tick
)


class Roll(Protocol):
    """Everything random a decision may need, handed in so that a simulation can choose it."""

    def fence(self) -> str: ...

    def worker_id(self) -> str: ...

    def jitter(self) -> float:
        """Uniform in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Capacity:
    """The limits that hold for the whole project."""

    attempts: int = 100
    exclusive: int = 4
    shared_workers: int = 1  # per environment
    queue_size: int | None = None  # how many runs may wait in one queue
    cpu: float = 1_000_000.0  # vCPUs of the host, for machine presets
    memory: int = 2**60  # its memory, in bytes
    strict_machines: bool = False  # refuse a preset that the host has not, instead of clamping it
    held: int = 4  # processes of suspended attempts that are kept
