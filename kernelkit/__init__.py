"""KernelKit: durable background tasks from Jupyter. Import it as `kk`.

This file is a sign, not a room. Names are imported at their first use, so that `import kernelkit` stays quick and a
worker, a keeper or the command line loads only what it needs.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from kernelkit.version import __version__

if TYPE_CHECKING:
    from kernelkit.authoring.artifacts import Artifact, Artifacts
    from kernelkit.authoring.batch import batch
    from kernelkit.authoring.batchhandle import BatchHandle
    from kernelkit.authoring.bulk import BulkHandle
    from kernelkit.authoring.cancelsignal import CancelSignal
    from kernelkit.authoring.context import Context
    from kernelkit.authoring.ctx import ctx
    from kernelkit.authoring.debounce import Debounce
    from kernelkit.authoring.decorator import task
    from kernelkit.authoring.defaults import configure
    from kernelkit.authoring.handle import RunHandle
    from kernelkit.authoring.heartbeats import heartbeats
    from kernelkit.authoring.idempotency import IdempotencyKey, idempotency_keys
    from kernelkit.authoring.locals import Local, locals
    from kernelkit.authoring.logger import logger
    from kernelkit.authoring.metadata import metadata
    from kernelkit.authoring.onerror import OnError
    from kernelkit.authoring.options import NO_TIMEOUT, Queue, Retry
    from kernelkit.authoring.queues import queues
    from kernelkit.authoring.result import Result
    from kernelkit.authoring.retry import retry
    from kernelkit.authoring.run_options import Item
    from kernelkit.authoring.runs import Page, runs
    from kernelkit.authoring.schedule import Schedule
    from kernelkit.authoring.scheduled import ScheduledPayload
    from kernelkit.authoring.schedules import schedules
    from kernelkit.authoring.sql import sql
    from kernelkit.authoring.steps import step
    from kernelkit.authoring.streams import streams
    from kernelkit.authoring.subscription import Subscription
    from kernelkit.authoring.table import Table
    from kernelkit.authoring.tags import tags
    from kernelkit.authoring.task import Task
    from kernelkit.authoring.tasks import tasks
    from kernelkit.authoring.token import Token
    from kernelkit.authoring.tokens import tokens
    from kernelkit.authoring.track import track
    from kernelkit.authoring.until_done import wait_until_done
    from kernelkit.authoring.usage import usage
    from kernelkit.authoring.waits import wait
    from kernelkit.client.aio import AsyncClient
    from kernelkit.client.client import Client
    from kernelkit.client.default import engine
    from kernelkit.errors import (
        AbortTaskRunError,
        CompleteTaskWithOutput,
        DuplicateTaskError,
        EngineUnavailableError,
        HomeLockedError,
        InvalidCronError,
        InvalidDurationError,
        InvalidOptionError,
        KernelKitError,
        NeverAwaitedError,
        NotebookCellError,
        NotebookError,
        NotebookKernelError,
        NotebookTimeoutError,
        NotInTaskError,
        OutOfMemoryError,
        OutputError,
        OutputNotSerializableError,
        OutputTooLargeError,
        PayloadError,
        PayloadNotSerializableError,
        PayloadTooLargeError,
        PayloadValidationError,
        QueueFullError,
        ReplayDivergedError,
        RunCanceledError,
        RunOverError,
        SqlError,
        StoreError,
        StoreFullError,
        StreamFullError,
        SubtaskError,
        TaskDefinitionError,
        TaskNotPicklableError,
        TaskTimeoutError,
        UnknownArtifactError,
        UnknownKeyError,
        UnknownQueueError,
        UnknownRunError,
        UnknownScheduleError,
        UnknownTaskError,
        UnknownTokenError,
        VersionMismatchError,
        WaitTimeoutError,
        WorkerLostError,
    )
    from kernelkit.execution.notebooks.define import notebook
    from kernelkit.models.batch import BatchError
    from kernelkit.models.bulk import Bulk
    from kernelkit.models.error import Error
    from kernelkit.models.queue import QueueInfo
    from kernelkit.models.run import Attempt, Related, Run, RunRef, RunStatus, Usage

_ROOMS: dict[str, str] = {
    "Artifact": "authoring.artifacts",
    "Artifacts": "authoring.artifacts",
    "AsyncClient": "client.aio",
    "Attempt": "models.run",
    "BatchError": "models.batch",
    "BatchHandle": "authoring.batchhandle",
    "Bulk": "models.bulk",
    "BulkHandle": "authoring.bulk",
    "CancelSignal": "authoring.cancelsignal",
    "Client": "client.client",
    "Context": "authoring.context",
    "Debounce": "authoring.debounce",
    "Error": "models.error",
    "IdempotencyKey": "authoring.idempotency",
    "Item": "authoring.run_options",
    "NO_TIMEOUT": "authoring.options",
    "Local": "authoring.locals",
    "OnError": "authoring.onerror",
    "Page": "authoring.runs",
    "Queue": "authoring.options",
    "QueueInfo": "models.queue",
    "Related": "models.run",
    "Result": "authoring.result",
    "Retry": "authoring.options",
    "Run": "models.run",
    "RunRef": "models.run",
    "Subscription": "authoring.subscription",
    "RunHandle": "authoring.handle",
    "RunStatus": "models.run",
    "Table": "authoring.table",
    "Task": "authoring.task",
    "Token": "authoring.token",
    "Usage": "models.run",
    "batch": "authoring.batch",
    "configure": "authoring.defaults",
    "ctx": "authoring.ctx",
    "engine": "client.default",
    "heartbeats": "authoring.heartbeats",
    "idempotency_keys": "authoring.idempotency",
    "locals": "authoring.locals",
    "logger": "authoring.logger",
    "metadata": "authoring.metadata",
    "notebook": "execution.notebooks.define",
    "queues": "authoring.queues",
    "retry": "authoring.retry",
    "runs": "authoring.runs",
    "sql": "authoring.sql",
    "Schedule": "authoring.schedule",
    "ScheduledPayload": "authoring.scheduled",
    "schedules": "authoring.schedules",
    "step": "authoring.steps",
    "streams": "authoring.streams",
    "tags": "authoring.tags",
    "task": "authoring.decorator",
    "tasks": "authoring.tasks",
    "tokens": "authoring.tokens",
    "track": "authoring.track",
    "usage": "authoring.usage",
    "wait": "authoring.waits",
    "wait_until_done": "authoring.until_done",
}
# What reaches an engine through the process's own client, so that room is opened along with it.
_NEED_A_CLIENT = frozenset(
    {"BatchHandle", "RunHandle", "Task", "batch", "idempotency_keys", "notebook", "queues", "runs"}
    | {"schedules", "sql", "streams", "task", "tasks", "tokens"}
)

__all__ = [
    "NO_TIMEOUT",
    "AbortTaskRunError",
    "Artifact",
    "Artifacts",
    "AsyncClient",
    "Attempt",
    "BatchError",
    "BatchHandle",
    "Bulk",
    "BulkHandle",
    "CancelSignal",
    "Client",
    "CompleteTaskWithOutput",
    "Context",
    "Debounce",
    "DuplicateTaskError",
    "EngineUnavailableError",
    "Error",
    "HomeLockedError",
    "IdempotencyKey",
    "InvalidCronError",
    "InvalidDurationError",
    "InvalidOptionError",
    "Item",
    "KernelKitError",
    "Local",
    "NeverAwaitedError",
    "NotInTaskError",
    "NotebookCellError",
    "NotebookError",
    "NotebookKernelError",
    "NotebookTimeoutError",
    "OnError",
    "OutOfMemoryError",
    "OutputError",
    "OutputNotSerializableError",
    "OutputTooLargeError",
    "Page",
    "PayloadError",
    "PayloadNotSerializableError",
    "PayloadTooLargeError",
    "PayloadValidationError",
    "Queue",
    "QueueFullError",
    "QueueInfo",
    "Related",
    "ReplayDivergedError",
    "Result",
    "Retry",
    "Run",
    "RunCanceledError",
    "RunHandle",
    "RunOverError",
    "RunRef",
    "RunStatus",
    "Schedule",
    "ScheduledPayload",
    "SqlError",
    "StoreError",
    "StoreFullError",
    "StreamFullError",
    "Subscription",
    "SubtaskError",
    "Table",
    "Task",
    "TaskDefinitionError",
    "TaskNotPicklableError",
    "TaskTimeoutError",
    "Token",
    "UnknownArtifactError",
    "UnknownKeyError",
    "UnknownQueueError",
    "UnknownRunError",
    "UnknownScheduleError",
    "UnknownTaskError",
    "UnknownTokenError",
    "Usage",
    "VersionMismatchError",
    "WaitTimeoutError",
    "WorkerLostError",
    "__version__",
    "batch",
    "configure",
    "ctx",
    "engine",
    "heartbeats",
    "idempotency_keys",
    "locals",
    "logger",
    "metadata",
    "notebook",
    "queues",
    "retry",
    "runs",
    "schedules",
    "sql",
    "step",
    "streams",
    "tags",
    "task",
    "tasks",
    "tokens",
    "track",
    "usage",
    "wait",
    "wait_until_done",
]


if not TYPE_CHECKING:  # a type checker knows the names above, and shall complain about others

    def __getattr__(name: str) -> Any:  # whatever the name stands for
        room = _ROOMS.get(name)
        if room is None:
            if name not in __all__:
                raise AttributeError(f"module 'kernelkit' has no attribute {name!r}")
            room = "errors"
        if name in _NEED_A_CLIENT:
            importlib.import_module("kernelkit.client.default")
        found = getattr(importlib.import_module(f"kernelkit.{room}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(ipython: Any) -> None:  # an InteractiveShell; its package is optional here
    """`%load_ext kernelkit`: magics, screens, and the project's engine."""
    importlib.import_module("kernelkit.magics.extension").load(ipython)


def unload_ipython_extension(ipython: Any) -> None:  # as above
    """`%unload_ext kernelkit`."""
    unload = getattr(importlib.import_module("kernelkit.magics.extension"), "unload", None)
    if unload is not None:
        unload(ipython)


class _Sign(types.ModuleType):
    """`kk.engine` is the project's engine, also where the package of that name has been imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "engine" or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (importlib.import_module, (self.__name__,))  # pickled by reference, as any module is by cloudpickle


sys.modules[__name__].__class__ = _Sign
