"""`AsyncClient`: the client for async code that must not block its loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.idempotency import IdempotencyKey
from kernelkit.authoring.runs import Page
from kernelkit.authoring.table import Table
from kernelkit.authoring.task import Task
from kernelkit.authoring.tasks import TaskTable
from kernelkit.client.awaited import (
    AwaitedBatch,
    AwaitedEngine,
    AwaitedKeys,
    AwaitedQueues,
    AwaitedRuns,
    AwaitedSchedules,
    AwaitedStreams,
    AwaitedTasks,
    AwaitedTokens,
)
from kernelkit.client.client import Client
from kernelkit.config import Home
from kernelkit.models.run import Run
from kernelkit.wire.messages import EngineStatus

P = ParamSpec("P")
T = TypeVar("T")


class AsyncClient:
    """The verbs of a project, awaited: each returns once the engine has committed it.

    async with kk.AsyncClient() as client:
        run = await client.trigger(resize, {"url": "a.png"}, tags=["user_1"])
        result = await run
        failed = await client.runs.list(status="FAILED")

    `runs`, `tasks`, `batch`, `queues`, `schedules`, `tokens`, `streams`, `idempotency_keys` and `engine` have the verbs
    that they have under `kk`.
    """

    def __init__(self, home: Home | Path | str | None = None) -> None:
        self.client = Client(home)
        """The same engine without `await`."""
        self.runs = AwaitedRuns(self.client.runs)
        self.tasks = AwaitedTasks(self.client.tasks)
        self.batch = AwaitedBatch(self.client.batch)
        self.queues = AwaitedQueues(self.client.queues)
        self.schedules = AwaitedSchedules(self.client.schedules)
        self.tokens = AwaitedTokens(self.client.tokens)
        self.streams = AwaitedStreams(self.client.streams)
        self.idempotency_keys = AwaitedKeys(self.client.idempotency_keys)
        self.engine = AwaitedEngine(self.client.engine)

    async def trigger(self, task: Task[..., T] | str, payload: Any = None, **options: Any) -> RunHandle[T]:
        """Make a run of a task, or of the task of that id, with the whole payload."""
        return await self._do(self._trigger, task, payload, options)

    async def batch_trigger(self, task: Task[..., T] | str, items: Iterable[Any], **options: Any) -> BatchHandle[T]:
        """Make up to 1,000 runs in one call."""
        return await self._do(self._batch_trigger, task, items, options)

    async def retrieve(self, run_id: str) -> Run:
        """The run as it is now, with payload and output; raises `UnknownRunError`."""
        return await self._do(self.client.runs.retrieve, run_id)

    async def cancel(self, run_id: str, reason: str = "Canceled by user") -> Run:
        """Cancel a run; one that has ended stays as it is."""
        return await self._do(self.client.runs.cancel, run_id, reason)

    async def reset_key(self, task: Task[..., Any] | str, key: str | IdempotencyKey, **where: Any) -> None:
        """Take an idempotency key back; `where` is that of `kk.idempotency_keys.reset`. Raises `UnknownKeyError`."""
        await self._do(self.client.idempotency_keys.reset, task, key, **where)

    async def list_runs(self, **filters: Any) -> Page:
        """A page of runs; the filters are those of `kk.runs.list`."""
        return await self._do(self.client.runs.list, **filters)

    async def sql(self, query: str, **options: Any) -> Table:
        """The answer of one SELECT; options are those of `kk.sql`."""
        return await self._do(self.client.sql, query, **options)

    async def subscribe(self, run: Any = None, **which: Any) -> AsyncIterator[Run]:
        """Snapshots of runs as they change, as `kk.runs.subscribe`: `async for run in client.subscribe(handle)`."""
        with await self.runs.subscribe(run, **which) as subscription:
            async for snapshot in subscription:
                yield snapshot

    async def list_tasks(self) -> TaskTable:
        """Every task of the project."""
        return await self._do(self.client.tasks.list)

    async def status(self) -> EngineStatus:
        """How the engine is; raises `EngineUnavailableError` when none runs."""
        return await self._do(self.client.engine.status)

    async def close(self) -> None:
        """Disconnect; runs go on."""
        await self._do(self.client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _trigger(self, task: Task[..., Any] | str, payload: Any, options: dict[str, Any]) -> RunHandle[Any]:
        if isinstance(task, str):
            return self.client.tasks.trigger(task, payload, **options)
        bound = task.options(**options)
        with self.client.use():
            return bound.trigger() if payload is None else bound.trigger(payload)

    def _batch_trigger(self, task: Task[..., Any] | str, items: Iterable[Any], options: dict[str, Any]) -> Any:
        if isinstance(task, str):
            return self.client.tasks.batch_trigger(task, items, **options)
        with self.client.use():
            return task.options(**options).batch_trigger(items)

    async def _do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(call, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.client.home.path}>"
