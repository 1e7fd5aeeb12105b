"""A second, plainer telling of the log, against which the laws hold the engine.

It shares no code with `engine/apply.py`: where the two disagree, one of them is wrong. Ended runs stay in it, so that
an event which comes after the end is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from msgspec.structs import replace

from kernelkit.models import event as ev
from kernelkit.models.batch import BatchRecord
from kernelkit.models.bulk import Bulk
from kernelkit.models.machine import PRESETS, Machine
from kernelkit.models.queue import PERIODS, RateLimit
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.models.value import Value
from kernelkit.models.wait import Wait
from tests.simulation.samebook import SameBook
from tests.simulation.schedules import ScheduleBook


def share(machine: str, cpu: float, memory: int) -> tuple[float, int]:
    """vCPUs and bytes that a run of a preset has on such a host."""
    preset = PRESETS.get(machine)
    return (min(preset.cpu, cpu), min(preset.memory, memory)) if preset else (0.0, 0)


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


@dataclass(slots=True)
class Entry:
    """One run as the log tells it."""

    id: str
    queue: str
    key: str
    isolation: str
    parent: str | None
    task: str = ""
    bundle: str = ""  # that its trigger pinned
    tags: tuple[str, ...] = ()
    created_at: int = 0
    status: RunStatus = RunStatus.QUEUED
    order: tuple[int, int] = (0, 0)  # place in its lane, once it stands there
    priority: float = 0.0
    delay_until: int = 0
    ttl: float = 0.0
    max_duration: float = 0.0
    is_test: bool = False
    queued_at: int = 0
    began_at: int = 0  # of the live attempt
    fence: str = ""
    worker: str = ""
    locked: tuple[str, str, str] | None = None  # version, bundle and environment of its first dispatch
    ended_attempts: int = 0
    max_attempts: int = 0
    unbegun: int = 0  # dispatches in a row that never began, through a worker's fault
    retry_at: int = 0
    kept: bool = False
    canceled: bool = False
    ended: bool = False
    ends: int = 0
    ops: set[tuple[int, str]] = field(default_factory=set)  # with the attempt that they were calls of
    increments: int = 0
    metadata: str = "{}"
    batch: str | None = None
    machine: str = ""
    larger: str = ""  # the machine after running out of memory, frozen at its first dispatch
    awaits: bool = False  # its task is not defined
    pushed: bool = False  # with other data than that of its trigger
    children: set[str] = field(default_factory=set)
    waits: dict[str, Wait] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)  # waits of the attempt that are
    untold: set[str] = field(default_factory=set)  # of these, what the suspended attempt is not told of
    steps: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)  # values that the attempt has appended, by op
    suspended_at: int = 0
    paused: int = 0
    held_until: int = 0
    resumes: bool = False

    @property
    def holds(self) -> bool:
        return bool(self.fence and not self.suspended_at) or self.kept

    @property
    def slots(self) -> tuple[str, str]:
        """A queue has a copy for each concurrency key."""
        return self.queue, self.key

    @property
    def lane(self) -> tuple[str, str, str]:
        return self.queue, self.key, f"{self.need} again" if self.suspended_at else self.need

    @property
    def need(self) -> str:
        return "machine" if self.machine else self.isolation

    def same_copy(self, other: Entry) -> bool:
        """Whether both stand in one line, but for the tokens that a run which goes on does not need."""
        return (self.slots, self.need) == (other.slots, other.need)

    @property
    def timed_out(self) -> bool:
        return self.status is RunStatus.TIMED_OUT

    @property
    def moment(self) -> int:
        """When time alone will change something about it; 0 = never."""
        moments = [self._own_moment, *(wait.until for wait in self.waits.values())]
        return min((moment for moment in moments if moment), default=0)

    @property
    def _own_moment(self) -> int:
        if self.status is RunStatus.DELAYED:
            return self.delay_until
        if self.retry_at:
            return self.retry_at
        if self.status is RunStatus.QUEUED and self.ttl and self.locked is None:
            return self.queued_at + micros(self.ttl)
        if self.status is RunStatus.EXECUTING and self.fence and self.max_duration:
            return self.began_at + self.paused + micros(self.max_duration)
        if self.suspended_at and self.status not in FINAL:
            return self.held_until
        return 0

    @property
    def is_ready(self) -> bool:
        return self.status is RunStatus.QUEUED and not self.retry_at


@dataclass(slots=True)
class WorkerEntry:
    env_id: str
    isolation: str
    machine: Machine | None
    retired: bool = False


@dataclass(slots=True)
class TokenEntry:
    timeout_at: int
    ended: bool = False
    value: Value | None = None  # what it was completed with first
    schema: str = ""


@dataclass(slots=True)
class QueueEntry:
    """One queue as the log tells it; tokens are counted as fractions here."""

    limit: int | None = None
    override: int | None = None
    paused: bool = False
    rate: RateLimit | None = None
    tokens: Fraction = Fraction(0)
    tokens_at: int = 0
    starts: list[int] = field(default_factory=list)  # since its rate was set

    @property
    def current(self) -> int | None:
        return self.limit if self.override is None else self.override

    @property
    def per_micro(self) -> Fraction:
        assert self.rate is not None
        return Fraction(self.rate.count, micros(PERIODS[self.rate.per]))

    def tokens_now(self, now: int) -> Fraction:
        assert self.rate is not None
        return min(Fraction(self.rate.count), self.tokens + max(0, now - self.tokens_at) * self.per_micro)

    def has_token(self, now: int) -> bool:
        return self.rate is None or self.tokens_now(now) >= 1

    def set_rate(self, new: RateLimit | None, now: int) -> None:
        if new == self.rate:
            return
        if new is not None:
            used = Fraction(0) if self.rate is None else self.rate.count - self.tokens_now(now)
            self.tokens, self.tokens_at, self.starts = max(Fraction(0), new.count - used), now, []
        self.rate = new

    def start(self, now: int) -> None:
        if self.rate is not None:
            self.tokens, self.tokens_at = self.tokens_now(now) - 1, now
            self.starts.append(now)


class Book:
    """All runs and workers the log tells of, and which of them hold slots."""

    def __init__(self) -> None:
        self.seq = 0
        self.clock = 0  # the latest moment of any event
        self.runs: dict[str, Entry] = {}
        self.live: dict[str, Entry] = {}
        self.workers: dict[str, WorkerEntry] = {}
        self.queues: dict[str, QueueEntry] = {}
        self.paused = False
        self.since: dict[tuple[str, str], int] = {}  # by copy with queued runs: when it was served, or had none
        self.passed: dict[tuple[str, str], set[tuple[str, str]]] = {}  # by copy: who has started while it could have
        self.fences: set[str] = set()
        self.tokens: dict[str, TokenEntry] = {}
        self.batches: dict[str, BatchRecord] = {}
        self.streams: dict[tuple[str, str], int] = {}  # lengths, by run and key
        self.same = SameBook()
        self.bulks: dict[str, Bulk] = {}
        self.schedules = ScheduleBook()

    def has_come(self, run_id: str, wait: Wait) -> bool:
        """Whether a wait for a stream has the value that it is for."""
        return bool(wait.stream) and self.streams.get((run_id, wait.stream), 0) > wait.index

    def holders(self) -> list[Entry]:
        return [entry for entry in self.live.values() if entry.holds]

    def ready(self) -> list[Entry]:
        return [entry for entry in self.live.values() if entry.is_ready]

    def is_full(self, slots: tuple[str, str]) -> bool:
        """Whether all slots of a queue, or of its copy for one key, are in use."""
        limit = self.queue(slots[0]).current
        return limit is not None and sum(1 for entry in self.holders() if entry.slots == slots) >= limit

    def promised(self, cpu: float, memory: int) -> tuple[float, int]:
        """vCPUs and bytes reserved by who holds slots."""
        shares = [share(entry.machine, cpu, memory) for entry in self.holders()]
        return sum(each for each, _ in shares), sum(each for _, each in shares)

    def queue(self, name: str) -> QueueEntry:
        return self.queues.setdefault(name, QueueEntry())

    def may_start(self, entry: Entry, moment: int) -> bool:
        """Whether its queue, and the queue's copy for its key, let a run start."""
        queue = self.queue(entry.queue)
        has_token = bool(entry.suspended_at) or queue.has_token(moment)
        return has_token and not (self.paused or queue.paused or self.is_full(entry.slots))

    def turn(self, entry: Entry) -> tuple[int, int, tuple[int, int]]:
        """Who comes before whom: the copy with fewer slots, the one that has waited longer, then by order."""
        held = sum(1 for other in self.holders() if other.slots == entry.slots)
        return held, self.since[entry.slots], entry.order

    def startable(self, exclusive: int, moment: int) -> Iterator[Entry]:
        """Runs without a machine that wait for nothing but their turn, while `exclusive` workers of their own may be
        in use."""
        in_use = sum(1 for entry in self.holders() if entry.isolation == "process")
        seen: set[tuple[str, str, str]] = set()
        for entry in self.ready():
            if entry.machine or entry.lane in seen or (entry.isolation == "process" and in_use >= exclusive):
                continue
            seen.add(entry.lane)
            if self.may_start(entry, moment):
                yield entry

    def write(self, event: ev.AnyEvent) -> None:
        """Tell of one more event; the laws have passed it."""
        self.seq += 1
        self.clock = max(self.clock, event.at)
        self.same.write(self, event)
        match event:
            case ev.TaskDefined():
                spec = event.version.spec
                queue = self.queue(spec.queue_name)
                if spec.concurrency_limit is not None or not spec.queue:
                    queue.limit = spec.concurrency_limit
                if spec.rate_limit is not None or not spec.queue:
                    queue.set_rate(spec.rate_limit, self.clock)
            case ev.QueueLimited():
                self.queue(event.queue).limit = event.limit
            case ev.QueueRated():
                self.queue(event.queue).set_rate(event.rate, self.clock)
            case ev.QueueOverridden():
                self.queue(event.queue).override = event.limit
            case ev.QueuePaused(queue=""):
                self.paused = True
            case ev.QueueResumed(queue=""):
                self.paused = False
            case ev.QueuePaused():
                self.queue(event.queue).paused = True
            case ev.QueueResumed():
                self.queue(event.queue).paused = False
            case ev.RunTriggered():
                entry = Entry(
                    event.run_id,
                    event.queue,
                    event.concurrency_key,
                    event.isolation,
                    event.parent_id,
                    event.task_id,
                    event.bundle,
                    event.tags,
                    event.at,
                    priority=event.priority,
                    delay_until=event.delay_until,
                    ttl=event.ttl,
                    max_duration=event.max_duration,
                    is_test=event.is_test,
                    machine=event.machine,
                    metadata=event.metadata,
                    batch=event.batch_id,
                    awaits=event.awaited is not None,
                )
                self.schedules.fire(event)
                if event.delay_until:
                    entry.status = RunStatus.DELAYED
                elif entry.awaits:
                    entry.status = RunStatus.PENDING_VERSION
                else:
                    self._stand_in_line(entry, event.at)
                self.runs[entry.id] = self.live[entry.id] = entry
                if event.parent_id in self.runs:
                    self.runs[event.parent_id].children.add(entry.id)
                self._take_turns(entry, served=False)
            case ev.RunRefused():
                refused = Entry(event.run_id, event.queue, "", "shared", event.parent_id, batch=event.batch_id)
                refused.status = RunStatus.SYSTEM_FAILURE
                self.runs[refused.id] = refused
                if event.parent_id in self.runs:
                    self.runs[event.parent_id].children.add(refused.id)
                self._end(refused)
            case ev.BulkBegan():
                self.bulks[event.bulk.id] = event.bulk
            case ev.BulkAdvanced():
                bulk = self.bulks[event.bulk_id]
                self.bulks[bulk.id] = replace(bulk, cursor=event.cursor)
            case ev.BulkEnded():
                self.bulks[event.bulk_id] = replace(self.bulks[event.bulk_id], status=event.status)
            case ev.BatchMade():
                self.batches[event.batch.id] = event.batch
            case ev.ScheduleSaved() | ev.ScheduleDeleted() | ev.SlotsPassed() | ev.SlotsReopened():
                self.schedules.write(event)
            case ev.WorkerPlanned():
                self.workers[event.worker_id] = WorkerEntry(event.env_id, event.isolation, event.machine)
            case ev.WorkerRetired():
                self.workers[event.worker_id].retired = True
            case ev.WorkerGone():
                del self.workers[event.worker_id]
            case ev.TokenMade():
                self.tokens[event.token.id] = TokenEntry(event.token.timeout_at, schema=event.token.schema)
            case ev.TokenCompleted():
                self.tokens[event.token_id].ended, self.tokens[event.token_id].value = True, event.value
            case ev.TokenTimedOut():
                self.tokens[event.token_id].ended = True
            case ev.StreamAppended():
                place = (event.run_id, event.stream)
                self.streams[place] = self.streams.get(place, 0) + event.count
                if event.writer:
                    self.runs[event.writer].sent[event.op] = event.upto
            case ev.TokenAliased():
                pass
            case ev.WorkerRunning() | ev.TriggerAnswered() | ev.KeyCleared():
                pass
            case _:
                entry = self.runs[event.run_id]
                kept = entry.kept
                self._write_of(entry, event)
                self._take_turns(entry, served=isinstance(event, ev.RunDispatched | ev.RunResumed) and not kept)

    def _write_of(self, entry: Entry, event: ev.AnyEvent) -> None:
        match event:
            case ev.RunRescheduled():
                entry.delay_until = event.delay_until
            case ev.TagsAdded():
                entry.tags = (*entry.tags, *event.tags)
            case ev.RunDebounced():
                entry.delay_until = event.delay_until
                if event.trailing:
                    entry.pushed = True
                    entry.machine = event.machine or entry.machine
                    entry.isolation, entry.bundle = "process" if entry.machine else event.isolation, event.bundle
                    entry.tags = entry.tags if event.tags is None else event.tags
                    if event.max_duration is not None:
                        entry.max_duration = event.max_duration
            case ev.DelayOver() if entry.awaits:
                entry.status = RunStatus.PENDING_VERSION
            case ev.DelayOver():
                entry.status = RunStatus.QUEUED
                self._stand_in_line(entry, event.at)
            case ev.VersionFound():
                entry.awaits, entry.queue, entry.isolation = False, event.queue, event.isolation
                entry.machine = event.machine
                entry.ttl, entry.max_duration, entry.tags = event.ttl, event.max_duration, event.tags
                if entry.status is RunStatus.PENDING_VERSION:
                    entry.status = RunStatus.QUEUED
                    self._stand_in_line(entry, event.at)
            case ev.RunDispatched():
                if not event.resumes:
                    self.queue(entry.queue).start(self.clock)
                self.passed.pop(entry.slots, None)
                entry.status, entry.fence, entry.worker = RunStatus.DEQUEUED, event.fence, event.worker_id
                entry.locked = (event.version, event.bundle, event.env_id)
                entry.max_attempts, entry.kept, entry.resumes = event.max_attempts, False, event.resumes
                if event.resumes:
                    self._go_on(entry, event.at)
                else:
                    entry.began_at = 0
                entry.larger = event.retry.on_out_of_memory
                self.fences.add(event.fence)
            case ev.DispatchUndone():
                entry.status, entry.fence = RunStatus.QUEUED, ""
                entry.unbegun += event.blames_worker
                if entry.resumes:
                    entry.suspended_at, entry.resumes = event.at, False
            case ev.AttemptStarted():
                entry.unbegun, entry.began_at = 0, entry.began_at or event.started_at
                if not entry.canceled:
                    entry.status = RunStatus.EXECUTING
            case ev.AttemptFailed():
                entry.status = RunStatus.EXECUTING if event.keeps_slot else RunStatus.QUEUED
                entry.kept, entry.retry_at, entry.fence = event.keeps_slot, event.retry_at, ""
                entry.ended_attempts += 1
                if event.machine:
                    entry.machine, entry.isolation = event.machine, "process"
                self._attempt_over(entry)
            case ev.RetryDue():
                entry.retry_at = 0
            case ev.RunFinished():
                entry.status, entry.fence = event.status, ""
                self._attempt_over(entry)
                self._end(entry)
            case ev.RunCanceled():
                entry.status, entry.canceled, entry.retry_at, entry.kept = RunStatus.CANCELED, True, 0, False
                entry.waits.clear()
                entry.held_until = 0
                if not entry.fence:
                    self._end(entry)
            case ev.RunTimedOut():
                entry.status = RunStatus.TIMED_OUT
                entry.waits.clear()
            case ev.WaitOpened():
                entry.waits[event.op] = event.wait
            case ev.WaitDropped():
                del entry.waits[event.op]
            case ev.WaitOver():
                del entry.waits[event.op]
                entry.over.add(event.op)
                if entry.suspended_at:
                    entry.untold.add(event.op)
                if entry.status is RunStatus.WAITING:
                    entry.status = RunStatus.QUEUED
            case ev.RunSuspended():
                entry.status, entry.suspended_at, entry.held_until = RunStatus.WAITING, event.at, event.held_until
            case ev.RunResumed():
                self.passed.pop(entry.slots, None)
                entry.status, entry.resumes = RunStatus.DEQUEUED, True
                self._go_on(entry, event.at)
            case ev.AttemptParked():
                entry.fence, entry.worker, entry.held_until = "", "", 0
            case ev.StepKept():
                entry.steps.add(event.op)
            case ev.AttemptStopped():
                entry.fence = ""
                self._end(entry)
            case ev.OpDone():
                entry.ops.add((entry.ended_attempts, event.op))
                if event.op.startswith("increment"):
                    self._whose(entry, event.op).increments += 1
            case ev.MetadataChanged():
                entry.metadata = event.metadata
            case _:
                raise AssertionError(f"the book knows nothing of {event}")

    def _go_on(self, entry: Entry, at: int) -> None:
        entry.paused += max(0, at - entry.suspended_at)
        entry.suspended_at = entry.held_until = 0
        entry.untold.clear()

    def _attempt_over(self, entry: Entry) -> None:
        entry.waits.clear()
        entry.sent.clear()
        entry.over.clear()
        entry.untold.clear()
        entry.suspended_at = entry.paused = entry.held_until = 0
        entry.resumes = False

    def _take_turns(self, entry: Entry, *, served: bool) -> None:
        slots = entry.slots
        if not any(other.status is RunStatus.QUEUED and other.slots == slots for other in self.live.values()):
            self.passed.pop(slots, None)
            self.since.pop(slots, None)
        elif served:
            self.since[slots] = self.seq
        else:
            self.since.setdefault(slots, self.seq)

    def _stand_in_line(self, entry: Entry, at: int) -> None:
        entry.queued_at = at
        entry.order = (self.clock - micros(entry.priority), self.seq)

    def _whose(self, entry: Entry, op: str) -> Entry:
        """The run whose metadata an op key names: the body's own, its parent's or its root's."""
        if op.startswith("increment-parent"):
            return self.runs[entry.parent or entry.id]
        while op.startswith("increment-root") and entry.parent:
            entry = self.runs[entry.parent]
        return entry

    def _end(self, entry: Entry) -> None:
        assert entry.status in FINAL
        entry.ended = True
        entry.ends += 1
        self.live.pop(entry.id, None)

    @classmethod
    def of(cls, events: list[ev.AnyEvent]) -> Book:
        book = cls()
        for event in events:
            book.write(event)
        return book
