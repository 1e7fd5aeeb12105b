"""Every message that crosses a process border, as msgspec structs (one codec: `wire/codec.py`).

A connection opens with `Hello` and is answered by `Welcome` or `Refused`. After that:

* clients send `Request(id, body)` and get `Reply(id, body)` or `Refused(id, error)`; pushes come unasked;
* workers send `Report(seq, …)`, kept by them until `Ack(seq)` says that the report is on disk;
* keepers are told to spawn and kill workers, and say what became of them.

Moments are UTC microseconds, values are JSON text, ids are made by whoever asks.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kernelkit.models.batch import BatchError, BatchRecord
from kernelkit.models.bulk import Bulk, BulkKind
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.machine import Machine
from kernelkit.models.pulse import Beats
from kernelkit.models.queue import QueueInfo, RateLimit
from kernelkit.models.run import LogLine, Logs, Run, RunRef
from kernelkit.models.sameness import DebounceUse, KeyUse, Match
from kernelkit.models.schedule import Schedule, Timing
from kernelkit.models.span import Span
from kernelkit.models.stream import StreamTail
from kernelkit.models.task import LogLevel, RetryPolicy, TaskSpec
from kernelkit.models.value import Value
from kernelkit.models.wait import Token, TokenStatus, Wait, WaitType

PROTOCOL = 1


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, array_like=False, gc=False):
    """Base of everything on the wire; the tag is the class name.

    `gc=False` here and in the models: frozen data holds no cycles, and the collector need not walk thousands of them.
    """


# ---- opening -----------------------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """First message of a connection. `name` is the client's owner name, the keeper's env id, or the worker's id."""

    role: Literal["client", "keeper", "worker"]
    name: str
    pid: int
    protocol: int = PROTOCOL
    package: str = ""
    owner: str = ""  # clients: str(Owner), so that the engine knows which owners are connected
    owners: tuple[str, ...] = ()  # clients: others that they have defined tasks as, those of imported modules
    parent: LiveAttempt | None = None  # clients: the attempt that started their process; what they trigger is its child
    worker_kind: Literal["shared", "process"] = "shared"
    env_id: str = ""
    started_at: float = 0.0  # process start time (psutil create_time), against pid reuse
    boot_id: str = ""
    workers: tuple[str, ...] = ()  # keepers: ids of the workers they hold
    live: tuple[LiveAttempt, ...] = ()  # workers: attempts they are executing now


class LiveAttempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt a worker was given and whose last report it has no `Ack` for yet: still executing, or just over."""

    run_id: str
    fence: str
    attempt: int


class Welcome(Message, frozen=True):
    pid: int
    protocol: int
    package: str
    home: str
    started_at: int


class Refused(Message, frozen=True):
    """An error for request or report `id`; `error` is `errors.to_wire(…)`. `id` 0 refuses the connection itself."""

    id: int
    error: dict[str, Any]


# ---- requests, and what answers them -----------------------------------------------------------------------------


class TriggerItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One run to make. The id is the caller's, so sending it twice makes one run."""

    run_id: str
    task_id: str
    payload: Value
    bundle: str = ""  # pinned code and globals; "" = the latest at the first start
    env_id: str = ""  # with `bundle`: the surroundings of whoever pinned it; "" = those it was last defined in
    tags: tuple[str, ...] = ()
    max_attempts: int | None = None
    metadata: str = "{}"
    queue: str = ""  # "" = the task's
    queue_limit: int | None = None  # with `queue`: create or update it with this limit
    queue_rate: RateLimit | None = None  # the same, with this rate
    concurrency_key: str = ""
    priority: float = 0.0
    delay_s: float = 0.0  # from when the engine takes it
    delay_until: int = 0  # or a moment
    ttl: float | None = None  # None = the task's, 0 = none
    max_duration: float | None = None  # None = the task's, 0 = any
    machine: str = ""  # preset; "" = the task's
    is_test: bool = False
    is_replay: bool = False
    allow_undefined: bool = False  # a task that nobody has defined is waited for instead of being an error
    problem: dict[str, Any] | None = None  # `errors.to_wire(…)` of what is wrong with it already: an item of a batch
    key: KeyUse | None = None
    debounce: DebounceUse | None = None


class DefineTask(Message, frozen=True):
    """→ `Defined`."""

    spec: TaskSpec
    replace: bool = False


class Defined(Message, frozen=True):
    task_id: str
    version: str
    is_new: bool
    notice: str = ""  # e.g. that the id was taken over from another notebook


class Trigger(Message, frozen=True):
    """→ `Triggered`. With `batch_id` the items are one batch (≤ 1,000), and those that are refused do not hinder the
    others; if all are, so is the batch."""

    items: tuple[TriggerItem, ...]
    batch_id: str = ""


class BatchPart(Message, frozen=True):
    """Items of a batch too large for one message, kept aside until `BatchSeal`. Not answered."""

    batch_id: str
    offset: int
    items: tuple[TriggerItem, ...]


class BatchSeal(Message, frozen=True):
    """→ `Triggered`: all `count` items have been sent; make the runs."""

    batch_id: str
    count: int


class Triggered(Message, frozen=True):
    """`run_ids` has one for each item, "" where none was made, as `errors` tells.

    That of an item which an idempotency key or a debounce answered is an earlier run's.
    """

    run_ids: tuple[str, ...]
    errors: tuple[BatchError, ...] = ()
    cached: tuple[int, ...] = ()  # places of the items whose idempotency key was held
    batch_id: str = ""  # of a resumed attempt's trigger: that of the first time


class RetrieveBatch(Message, frozen=True):
    """→ `BatchReply`."""

    batch_id: str


class BatchReply(Message, frozen=True):
    """The batch, and those of its runs that are still kept, without large payloads and outputs."""

    batch: BatchRecord
    runs: tuple[Run, ...]


class Cancel(Message, frozen=True):
    """→ `Run`, as it is after the cancel; a finished run is unchanged."""

    run_id: str
    reason: str = "Canceled by user"


class Replay(Message, frozen=True):
    """→ `RunReply`: a new run as the run `run_id` was triggered, with what of `item` is named in `given` in its place.

    `item.task_id` is not looked at; `given` has names of fields of `item`, `payload` among them.
    """

    run_id: str
    item: TriggerItem
    given: tuple[str, ...] = ()


class StartBulk(Message, frozen=True):
    """→ `BulkReply`, once the action is on disk; the engine then carries it out by itself."""

    bulk_id: str
    kind: BulkKind
    asked: RunFilter
    reason: str = ""


class GetBulk(Message, frozen=True):
    """→ `BulkReply`, when the action is over or after `wait_s` seconds."""

    bulk_id: str
    wait_s: float = 0.0


class AbortBulk(Message, frozen=True):
    """→ `BulkReply`: no further chunk is done."""

    bulk_id: str


class BulkReply(Message, frozen=True):
    bulk: Bulk


class Reschedule(Message, frozen=True):
    """→ `RunReply`. Only a run that is still delayed can be. `asked` names this call: sent again, it acts once."""

    run_id: str
    delay_s: float = 0.0
    delay_until: int = 0
    asked: str = ""


class ResetKey(Message, frozen=True):
    """→ `Done`. Inside a run it is a report. `hash` is that of a `KeyUse`; `text` is the key in words.

    `asked` (inside a run: `op`) names this call: sent again, it acts once.
    """

    task_id: str
    hash: str
    text: str = ""
    asked: str = ""
    op: str = ""


class Retrieve(Message, frozen=True):
    """→ `RunReply`, with payload and output of any size, and its relations where they are asked for."""

    run_id: str
    related: bool = False


class RunReply(Message, frozen=True):
    run: Run


class ListRuns(RunFilter, Message, frozen=True, kw_only=True):
    """→ `RunPage`, newest first. `after` is the last id of the page before, `before` the first of the page after."""

    limit: int = 25
    after: str = ""
    before: str = ""

    def frozen_list(self, now: int) -> ListRuns:
        """The same with its period as a moment."""
        return msgspec.structs.replace(self, created_from=self.frozen(now).created_from, period_s=0.0)


class RunPage(Message, frozen=True):
    runs: tuple[Run, ...]
    has_more: bool
    total: int
    """How many match in all, counted up to 100,000."""
    has_previous: bool = False
    """Whether newer runs match as well."""
    created_from: int = 0
    """What the period of the list came to: its other pages are asked with this."""


class SummarizeRuns(RunFilter, Message, frozen=True, kw_only=True):
    """→ `RunSummary` of the runs that match; their status is not looked at."""


class RunSummary(Message, frozen=True):
    counts: dict[str, int]
    """How many have which status."""
    last: tuple[tuple[str, float | None], ...] = ()
    """Status and seconds of the 40 that ended last, the newest first; None for one that never began."""


class GetLogs(Message, frozen=True):
    """→ `LogsReply`: the last `limit` lines, of those before or after a line where one is named."""

    run_id: str
    limit: int = 1000
    before: int | None = None  # the number of a line
    after: int | None = None
    level: tuple[str, ...] = ()  # any of them
    search: str = ""  # in any case of letters


class LogsReply(Message, frozen=True):
    logs: Logs
    first: int = 0
    """Number of the first of these lines in the run's log …"""
    last: int = -1
    """… and of the last; -1 where there is none."""
    has_more: bool = False
    """Whether more lines match, further on in the direction that was asked for."""


class GetSpans(Message, frozen=True):
    """→ `SpansReply`: what these runs did when, of a thousand at most."""

    run_ids: tuple[str, ...]


class SpansReply(Message, frozen=True):
    """By run id; a run without any is missing. Of a very long story only the newest part is told."""

    spans: dict[str, tuple[Span, ...]]


class ListTasks(Message, frozen=True):
    """→ `TaskList`."""


class TaskInfo(msgspec.Struct, frozen=True):
    spec: TaskSpec
    version: str
    versions: tuple[str, ...]


class TaskList(Message, frozen=True):
    tasks: tuple[TaskInfo, ...]


class SaveSchedule(Message, frozen=True):
    """→ `ScheduleReply`. Makes a schedule with the caller's `id`, or changes the one that has its deduplication key;
    with `change` it replaces what the schedule `id` says."""

    id: str
    task_id: str
    timing: Timing
    external_id: str = ""
    deduplication_key: str = ""
    change: bool = False


class SwitchSchedule(Message, frozen=True):
    """→ `ScheduleReply`. Turns a schedule on or off."""

    id: str
    active: bool


class DeleteSchedule(Message, frozen=True):
    """→ `Done`."""

    id: str


class RunSchedule(Message, frozen=True):
    """→ `Triggered`: a run of the schedule's task now, besides its slots."""

    id: str
    run_id: str


class GetSchedule(Message, frozen=True):
    """→ `ScheduleReply`."""

    id: str


class ScheduleReply(Message, frozen=True):
    schedule: Schedule


class ListSchedules(Message, frozen=True):
    """→ `ScheduleList`, by task and age."""

    task: str = ""
    external_id: str = ""


class ScheduleList(Message, frozen=True):
    schedules: tuple[Schedule, ...]


class ListQueues(Message, frozen=True):
    """→ `QueueList`: every queue that a task uses, that was made by a trigger, or that has runs."""


class QueueList(Message, frozen=True):
    queues: tuple[QueueInfo, ...]
    paused: bool = False  # the whole project


class RetrieveQueue(Message, frozen=True):
    """→ `QueueReply`."""

    name: str


class PauseQueue(Message, frozen=True):
    """→ `QueueReply`; `paused` False resumes it. Where `name` is "" the whole project, → `QueueList`."""

    name: str
    paused: bool


class OverrideQueue(Message, frozen=True):
    """→ `QueueReply`. `limit` holds in place of the queue's own; None: its own again."""

    name: str
    limit: int | None


class QueueReply(Message, frozen=True):
    queue: QueueInfo


class GetStatus(Message, frozen=True):
    """→ `EngineStatus`; without `history` only live runs are counted, which costs nothing to ask every second."""

    history: bool = True


class WorkerInfo(msgspec.Struct, frozen=True):
    id: str
    kind: str
    pid: int
    env_id: str
    attempts: int
    silent_s: float = 0.0  # how long a shared worker's loop has not answered
    doing: tuple[str, ...] = ()  # tasks of its attempts, at most 3
    suspended: int = 0  # of its attempts those that only wait
    memory: int = 0  # bytes it holds; 0 where that cannot be read
    memory_limit: int = 0  # of its machine; 0 = no cap of its own
    since: int = 0  # when it began what it does, or else was started


class QueueHeld(msgspec.Struct, frozen=True):
    """Why the first runs of a queue do not start."""

    queue: str
    queued: int
    reason: str


class EngineStatus(Message, frozen=True):
    pid: int
    version: str
    home: str
    started_at: int
    runs: dict[str, int]  # by status; live runs, plus everything in history
    executing: int
    limit: int
    workers: tuple[WorkerInfo, ...]
    clients: int
    store_problem: str = ""  # in words, while the store cannot commit
    log_path: str = ""
    pulse: Beats = Beats()
    memory_limit: int = 0  # bytes that all workers together may hold
    engine_memory: int = 0
    held: tuple[QueueHeld, ...] = ()  # queues with runs in line, the longest first, at most 5
    commit: float = -1.0  # seconds that the latest commits took: their median; -1 while there was none
    commit_p95: float = -1.0


class StopEngine(Message, frozen=True):
    """→ `Done`, then the engine stops. `leave` leaves executing attempts to their keepers instead of letting them
    finish; `mark` writes the note that keeps clients from starting it again by themselves."""

    leave: bool = False
    mark: bool = True


class Done(Message, frozen=True):
    pass


class Follow(Message, frozen=True):
    """Not answered: each named run is pushed as `RunEnded` once it is final (at once if it is)."""

    run_ids: tuple[str, ...]


class Watch(Message, frozen=True):
    """→ `Done`; from then on `RunChanged` is pushed: status changes at once, the rest at most 5 times a second."""

    run_id: str


class Unwatch(Message, frozen=True):
    """→ `Done`."""

    run_id: str


class SubscribeRuns(Message, frozen=True):
    """→ `Done`; from then on each change of a run that matches is pushed as `SubscribedRun`, under the client's key."""

    key: str
    where: RunFilter


class UnsubscribeRuns(Message, frozen=True):
    """→ `Done`."""

    key: str


class Sql(Message, frozen=True):
    """→ `TableReply`: the answer of one SELECT over the documented views."""

    text: str
    timeout_s: float = 30.0
    limit: int = 100_000


class Export(Message, frozen=True):
    """→ `Exported`: write the runs that match to a file; whoever asked moves it away."""

    where: RunFilter
    name: str
    kind: Literal["parquet", "csv", "json"] = "parquet"


class Exported(Message, frozen=True):
    path: str
    runs: int


class TableReply(Message, frozen=True):
    """Rows as MessagePack carries them; `types` are DuckDB's names, by which some values are read from text."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    has_more: bool = False


class MakeToken(Message, frozen=True):
    """→ `TokenReply`, or a report of an attempt under `op`. The id is the caller's; a key may mean another token."""

    token_id: str
    op: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    timeout_s: float = 0.0  # from when the engine takes it
    timeout_at: int = 0  # or a moment
    key: str = ""
    key_ttl: float = 0.0  # 0 = for ever
    question: str = ""
    context: str = ""  # JSON object
    schema: str = ""  # JSON Schema of the answer


class CompleteToken(Message, frozen=True):
    """→ `TokenReply`, as it is then; or a report under `op`. `token` is an id or a name; a name that nobody has used
    yet makes the token `new_id`. One that is completed stays as it is."""

    token: str
    value: Value
    new_id: str = ""
    op: str = ""
    by: str = ""  # who completes it, where that is no run


class RetrieveToken(Message, frozen=True):
    """→ `TokenReply`, by id or name.

    With `wait_s` it is answered when the token is not (any more) `seen_status` with `seen_waiting` runs, or after so
    many seconds.
    """

    token: str
    wait_s: float = 0.0
    seen_status: str = ""
    seen_waiting: int = 0


class TokenReply(Message, frozen=True):
    token: Token  # its value as text
    is_cached: bool = False  # it had been made before, under the same key
    waiting: tuple[RunRef, ...] = ()  # runs that wait for it now, the first 20
    waiting_count: int = 0


class ListTokens(Message, frozen=True):
    """→ `TokenPage`, newest first, without large values."""

    status: tuple[TokenStatus, ...] = ()
    tag: tuple[str, ...] = ()
    key: str = ""
    limit: int = 25
    after: str = ""


class TokenPage(Message, frozen=True):
    tokens: tuple[Token, ...]
    has_more: bool
    total: int


class AppendStream(Message, frozen=True):
    """→ `Done`, or a report under `op`. `chunks` are JSON texts, `run_id` is whose stream; a report leaves it "" for
    the attempt's own run and its relatives.

    In a report `first` is how many values the attempt had appended under this op before these: sent or called again,
    they are appended once. A client's request acts once by its name, `asked`.
    """

    stream: str  # key
    chunks: tuple[str, ...]
    run_id: str = ""
    target: Literal["self", "parent", "root"] = "self"
    op: str = ""
    first: int = 0
    asked: str = ""


class ReadStream(Message, frozen=True):
    """→ `StreamChunks`: values from `start` on, at most some 1 MiB of them.

    Where there is none yet and the run is not over, it is answered when there is, or after `wait_s` seconds.
    """

    run_id: str
    stream: str  # key
    start: int = 0
    wait_s: float = 0.0


class StreamChunks(Message, frozen=True):
    """`total` is how many there are now; `is_over`: there will never be more."""

    chunks: tuple[str, ...]
    total: int
    is_over: bool


class ListStreams(Message, frozen=True):
    """→ `StreamList`: the streams of a run, each with its last values, `tail` bytes of them at most."""

    run_id: str
    tail: int = 0


class StreamList(Message, frozen=True):
    streams: tuple[StreamTail, ...]


RequestBody = (
    DefineTask
    | Trigger
    | BatchPart
    | BatchSeal
    | RetrieveBatch
    | Cancel
    | Replay
    | StartBulk
    | GetBulk
    | AbortBulk
    | Reschedule
    | ResetKey
    | Retrieve
    | ListRuns
    | SummarizeRuns
    | GetLogs
    | GetSpans
    | ListTasks
    | SaveSchedule
    | SwitchSchedule
    | DeleteSchedule
    | RunSchedule
    | GetSchedule
    | ListSchedules
    | ListQueues
    | RetrieveQueue
    | PauseQueue
    | OverrideQueue
    | GetStatus
    | StopEngine
    | Follow
    | Watch
    | Unwatch
    | SubscribeRuns
    | UnsubscribeRuns
    | Sql
    | Export
    | MakeToken
    | CompleteToken
    | RetrieveToken
    | ListTokens
    | AppendStream
    | ReadStream
    | ListStreams
)
ReplyBody = (
    Defined
    | Triggered
    | BatchReply
    | BulkReply
    | RunReply
    | RunPage
    | RunSummary
    | LogsReply
    | SpansReply
    | TaskList
    | ScheduleReply
    | ScheduleList
    | QueueList
    | QueueReply
    | EngineStatus
    | TableReply
    | Exported
    | Done
    | TokenReply
    | TokenPage
    | StreamChunks
    | StreamList
)


class Request(Message, frozen=True):
    """`again` marks a request that is sent once more because its answer was lost with a connection."""

    id: int
    body: RequestBody
    again: bool = False


class Reply(Message, frozen=True):
    id: int
    body: ReplyBody


# ---- pushes to clients -------------------------------------------------------------------------------------------


class RunEnded(Message, frozen=True):
    run: Run


class RunChanged(Message, frozen=True):
    """A watched run as it is now, with its last log lines (at most 50), the ends of its output streams, and the first
    open token that it waits for."""

    run: Run
    logs: tuple[LogLine, ...] = ()
    streams: tuple[StreamTail, ...] = ()
    token: Token | None = None


class SubscribedRun(Message, frozen=True):
    """A run of a subscription as it is now, without large values."""

    key: str
    run: Run


# ---- engine and worker -------------------------------------------------------------------------------------------


class StartAttempt(Message, frozen=True):
    """Engine → worker: run this. Sent only after the dispatch is on disk."""

    run_id: str
    task_id: str
    fence: str
    attempt: int
    max_attempts: int
    bundle: str
    payload: Value  # always as text here
    version: str
    queue: str
    created_at: int
    tags: tuple[str, ...] = ()
    metadata: str = "{}"
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    batch_id: str | None = None
    max_duration: float | None = None
    priority: float = 0.0
    is_test: bool = False
    is_replay: bool = False
    retry: RetryPolicy | None = None  # None: the default one
    compute_before: int = 0  # microseconds for which earlier attempts executed
    machine: Machine | None = None  # as clamped to the host
    log_level: LogLevel = "info"
    run_started_at: int = 0  # of the first attempt
    file_path: str = ""  # notebook or module that defines the task
    environment: str = "dev"
    project: str = ""  # the name of its folder
    key: KeyUse | None = None
    steps: dict[str, str] = {}  # results of `kk.step` that the run has, JSON text by op key
    replay: Resumption | None = None  # the attempt was suspended elsewhere and goes on here
    suspend_after: float = 5.0  # seconds; a shorter wait for time is slept through
    hold_for: float = 60.0  # seconds for which a suspended process of its own is kept


class WaitResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What came of the wait under `op`. `value` is a token's, as text; `runs` are those waited for, in order."""

    op: str
    type: WaitType
    value: Value | None = None
    timed_out: bool = False
    token: str = ""
    runs: tuple[Run, ...] = ()
    missing: tuple[str, ...] = ()  # runs waited for that are not kept


class Resumption(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The checkpoints of a suspended attempt: its body is called again, and given these instead of doing it again."""

    results: tuple[WaitResult, ...] = ()  # in the order in which they were over
    open: tuple[str, ...] = ()  # op keys of waits that are not over
    ops: dict[str, str] = {}  # calls that have been made, and what came of them
    sent: dict[str, int] = {}  # values that it had appended to streams, by op
    started_at: int = 0
    compute: int = 0  # microseconds for which the attempt had executed
    calls: int = 0  # changes of metadata that it had made …
    metadata: str = "{}"  # … to this


class WaitsOver(Message, frozen=True):
    """Engine → worker: results of waits; a suspended attempt has its slot again with it. Known ones are left alone."""

    run_id: str
    fence: str
    results: tuple[WaitResult, ...]


class StopAttempt(Message, frozen=True):
    """Engine → worker: stop this attempt. Async: signal, then cancellation; sync: signal, then an interrupt.

    `signal_s` is how long a body that takes `signal` may go on by itself; the engine counts the grace after that and
    has the keeper kill the process.
    """

    run_id: str
    fence: str
    reason: str
    signal_s: float = 30.0
    canceled: bool = False  # the run was canceled: its on_cancel hooks run


class Retire(Message, frozen=True):
    """Engine → worker: take no more, finish what you have, exit."""


class Ping(Message, frozen=True):
    """Engine → worker, answered by `Pong`: a shared loop that does not answer is blocked by a body."""


class Pong(Message, frozen=True):
    pass


class Ack(Message, frozen=True):
    """Engine → worker: every report up to `seq` is on disk, or was refused.

    `matches` are the triggers among them that were answered with earlier runs.
    """

    seq: int
    matches: tuple[Match, ...] = ()


class Started(Message, frozen=True):
    at: int


class Succeeded(Message, frozen=True):
    output: Value  # as text
    started_at: int
    finished_at: int
    peak_memory: int | None = None
    compute: int = 0  # microseconds for which the attempt's code executed


class Failed(Message, frozen=True):
    """`retry` False: never again (AbortTaskRunError, payload or output errors). `out_of_memory`: see decision 16.

    `retry_at` is the moment that the task's catch_error hooks were shown or chose. `crashed`: one of them failed.
    """

    error: Error
    started_at: int
    finished_at: int
    retry: bool = True
    out_of_memory: bool = False
    peak_memory: int | None = None
    retry_at: int | None = None
    crashed: bool = False
    compute: int = 0


class Stopped(Message, frozen=True):
    """The body has ended after `StopAttempt`, however it did; its outcome no longer matters."""

    finished_at: int
    started_at: int = 0
    compute: int = 0


class ChildTrigger(Message, frozen=True):
    """A trigger from inside a run."""

    items: tuple[TriggerItem, ...]
    op: str
    batch_id: str = ""


class AddTags(Message, frozen=True):
    tags: tuple[str, ...]
    op: str


class MetadataOp(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    kind: Literal["set", "delete", "append", "remove", "increment", "update"]
    key: str = ""
    value: str = "null"  # JSON text


class ChangeMetadata(Message, frozen=True):
    """`target` is whose metadata: a run without parent is its own parent and root."""

    ops: tuple[MetadataOp, ...]
    op: str
    target: Literal["self", "parent", "root"] = "self"


class OpenWait(Message, frozen=True):
    """The attempt waits. A token is an id or a name; `new_id` is for one that is made by this.

    A duration with `key` is shared with all waits of the same key: its moment is that of the first.
    """

    op: str
    wait: Wait
    new_id: str = ""
    key: str = ""
    key_ttl: float = 0.0


class DropWait(Message, frozen=True):
    """The attempt's code no longer waits: it was cancelled there."""

    op: str


class Suspend(Message, frozen=True):
    """All that the attempt's code does is wait for these. Nothing comes of it if one of them is over."""

    ops: tuple[str, ...]
    compute: int = 0
    calls: int = 0
    hold_for: float = 60.0


class KeepStep(Message, frozen=True):
    op: str
    value: Value


ReportBody = (
    Started
    | Succeeded
    | Failed
    | Stopped
    | ChildTrigger
    | AddTags
    | ChangeMetadata
    | OpenWait
    | DropWait
    | Suspend
    | KeepStep
    | MakeToken
    | CompleteToken
    | ResetKey
    | AppendStream
)


class Report(Message, frozen=True):
    """Worker → engine, at least once and in order; `seq` counts per worker process from 1."""

    seq: int
    run_id: str
    fence: str
    body: ReportBody


class WorkerLogs(Message, frozen=True):
    """Worker → engine: captured lines, best effort."""

    run_id: str
    attempt: int
    lines: tuple[LogLine, ...]
    dropped: int = 0


# ---- engine and keeper -------------------------------------------------------------------------------------------


class SpawnWorker(Message, frozen=True):
    worker_id: str
    kind: Literal["shared", "process"]
    machine: Machine | None = None  # cap its memory, and tell its libraries how many threads to start


class KillWorker(Message, frozen=True):
    """Engine → keeper: end this worker and every process below it now."""

    worker_id: str


class KeeperShutdown(Message, frozen=True):
    """Engine → keeper: stop your workers and exit."""


class WorkerSpawned(Message, frozen=True):
    worker_id: str
    pid: int
    started_at: float


class WorkerExited(Message, frozen=True):
    """`returncode` as `subprocess` gives it: negative is a signal. `killed` when this keeper did it on request."""

    worker_id: str
    returncode: int
    killed: bool = False
    peak_memory: int | None = None
    stderr_tail: str = ""
    out_of_memory: bool = False  # the keeper ended it over its cap, or the kernel ended a process for memory meanwhile
    begun: tuple[str, ...] | None = None  # fences of attempts whose code had begun; None when that is not known


class SpawnFailed(Message, frozen=True):
    worker_id: str
    reason: str


AnyMessage = (
    Hello
    | Welcome
    | Refused
    | Request
    | Reply
    | RunEnded
    | RunChanged
    | SubscribedRun
    | StartAttempt
    | WaitsOver
    | StopAttempt
    | Retire
    | Ping
    | Pong
    | Ack
    | Report
    | WorkerLogs
    | SpawnWorker
    | KillWorker
    | KeeperShutdown
    | WorkerSpawned
    | WorkerExited
    | SpawnFailed
)
