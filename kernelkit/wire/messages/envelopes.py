"""The frames that carry the bodies, and the unions that say which bodies there are: all that the codec decodes.

A new message is known to the codec only when it stands in one of these unions.
"""

from __future__ import annotations

from kernelkit.wire.messages.attempts import Ack, Ping, Pong, Retire, StartAttempt, StopAttempt, WaitsOver
from kernelkit.wire.messages.engine import EngineStatus, GetStatus, StopEngine
from kernelkit.wire.messages.keepers import (
    KeeperShutdown,
    KillWorker,
    SpawnFailed,
    SpawnWorker,
    WorkerExited,
    WorkerSpawned,
)
from kernelkit.wire.messages.message import Message
from kernelkit.wire.messages.opening import Hello, Refused, Welcome
from kernelkit.wire.messages.queues import ListQueues, OverrideQueue, PauseQueue, QueueList, QueueReply, RetrieveQueue
from kernelkit.wire.messages.reports import (
    AddTags,
    ChangeMetadata,
    ChildTrigger,
    DropWait,
    Failed,
    KeepStep,
    OpenWait,
    Started,
    Stopped,
    Succeeded,
    Suspend,
    WorkerLogs,
)
from kernelkit.wire.messages.runs import (
    AbortBulk,
    BulkReply,
    Cancel,
    GetBulk,
    GetLogs,
    GetSpans,
    ListRuns,
    LogsReply,
    Retrieve,
    RunPage,
    RunReply,
    RunSummary,
    SpansReply,
    StartBulk,
    SummarizeRuns,
)
from kernelkit.wire.messages.schedules import (
    DeleteSchedule,
    GetSchedule,
    ListSchedules,
    RunSchedule,
    SaveSchedule,
    ScheduleList,
    ScheduleReply,
    SwitchSchedule,
)
from kernelkit.wire.messages.streams import AppendStream, ListStreams, ReadStream, StreamChunks, StreamList
from kernelkit.wire.messages.tables import Export, Exported, Sql, TableReply
from kernelkit.wire.messages.tasks import Defined, DefineTask, ListTasks, TaskList
from kernelkit.wire.messages.tokens import CompleteToken, ListTokens, MakeToken, RetrieveToken, TokenPage, TokenReply
from kernelkit.wire.messages.triggering import (
    BatchPart,
    BatchReply,
    BatchSeal,
    Replay,
    Reschedule,
    ResetKey,
    RetrieveBatch,
    RetryNow,
    Trigger,
    Triggered,
)
from kernelkit.wire.messages.watching import (
    Follow,
    RunChanged,
    RunEnded,
    SubscribedRun,
    SubscribeRuns,
    UnsubscribeRuns,
    Unwatch,
    Watch,
)


class Done(Message, frozen=True):
    pass


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
    | RetryNow
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


class Request(Message, frozen=True):
    """`again` marks a request that is sent once more because its answer was lost with a connection."""

    id: int
    body: RequestBody
    again: bool = False


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


class Reply(Message, frozen=True):
    id: int
    body: ReplyBody


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
