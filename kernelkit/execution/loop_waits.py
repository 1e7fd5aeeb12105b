"""Durable waits of an attempt on a loop, which may wait for several things at once.

It is suspended when all that its code does is wait durably, and that is looked up in asyncio's own records: every task
of the attempt has to wait for one of ours, or for tasks that do (`gather`, `TaskGroup`, `wait`, …), and no timer of it
may run. What a newcomer would get wrong: code that waits for anything else beside keeps its slot, and whoever cannot be
told apart counts as busy.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from functools import partial
from sys import intern
from typing import Any, TypeVar

from msgspec.structs import replace

from kernelkit.authoring.durable import DurableWait
from kernelkit.authoring.scope import Scope
from kernelkit.errors import KernelKitError
from kernelkit.execution.asyncio_records import has_timer, is_moving, wait_only_for
from kernelkit.execution.waiting import NO_OPS, AttemptWaits
from kernelkit.models.value import Value
from kernelkit.wire.messages import DropWait, ReplyBody, ReportBody, RequestBody, StartAttempt, WaitResult

T = TypeVar("T")

LOOK_AGAIN_S = 0.02  # for what keeps an attempt with open waits busy; twice as long each time
LOOK_AT_MOST_S = 1.0
_BLOCKING = "`.result()` would block this worker for good. In an async task write `await` instead."


class LoopWaits(AttemptWaits):
    """For attempts on a loop."""

    __slots__ = ("_look_due", "_loop", "_pause", "_pending")

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        assert scope.task is not None, "set where an attempt on a loop begins"
        self._loop = scope.task.get_loop()
        self._pending: dict[str, asyncio.Future[WaitResult]] = {}
        self._look_due = False
        self._pause = LOOK_AGAIN_S

    # ---- for the body ----------------------------------------------------------------------------------------------

    async def wait(self, asked: DurableWait[T]) -> T:
        scope = self.scope
        scope.check()
        self.refuse_here(asked.told, plain=False)
        op = scope.op("wait", asked.name, asked.key)
        claim = self._claim(op, asked.told)
        hooks, answer = scope.around_waits, asked.answer
        info = None if hooks is None else asked.info
        if claim == "new" and hooks is not None:
            await hooks.around("on_wait", asked.info)
        future: asyncio.Future[WaitResult] = self._loop.create_future()
        self._pending[op] = future
        try:
            if claim == "new":
                scope.post(asked.opened(op), told=partial(self._fail, op))
            del asked  # nobody needs it while the run is suspended
            self._hand_out()
            self._look_soon()
            result = await future
        except BaseException:
            if not scope.stopping and claim != "over" and not self._is_given(op):
                scope.report(DropWait(op))
            raise
        finally:
            self._pending.pop(op, None)
        scope.check()
        if claim != "over" and hooks is not None and info is not None:
            await hooks.around("on_resume", info)
        return answer(result)

    def wait_sync(self, asked: DurableWait[T]) -> T:
        self.refuse_here(asked.told, plain=True)
        raise KernelKitError(
            f"`.result()` would block this worker for good. In an async task write `await {asked.told}`."
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def sleep_sync(self, seconds: float) -> None:
        raise KernelKitError(_BLOCKING)

    async def send(self, body: ReportBody) -> None:
        done: asyncio.Future[None] = self._loop.create_future()

        def told(error: KernelKitError | None) -> None:
            self._loop.call_soon_threadsafe(_end, done, error)

        if self.scope.post(body, told=told):
            await done

    def send_sync(self, body: ReportBody) -> None:
        raise KernelKitError(_BLOCKING)

    def _ask_here(self, body: RequestBody, timeout: float | None) -> ReplyBody:
        raise KernelKitError(
            f"{type(body).__name__} would block this worker while the engine answers. In an async task go through "
            "streams with `async for`, and call what asks the engine on a thread: "
            "`await asyncio.to_thread(run.refresh)`."
        )

    # ---- results ---------------------------------------------------------------------------------------------------

    def results(self, results: tuple[WaitResult, ...]) -> None:
        """The engine has spoken; on any thread."""
        if threading.get_ident() == self.scope.thread:
            self._come(results)
        else:
            self._loop.call_soon_threadsafe(self._come, results)

    def _come(self, results: tuple[WaitResult, ...]) -> None:
        fresh = {result.op: result for result in results if not self._is_given(result.op)}
        if fresh:
            self._results = self._results | fresh
            self._goes_on()
            self._hand_out()
            self._look_soon()

    def stop(self) -> bool:
        """Its tasks are cancelled by whoever stops it."""
        return False

    def _hand_out(self) -> None:
        """Give results to whoever waits: those of before one by one in their order, then whatever has come."""
        if self.is_replaying:
            op = self._points.next_ready()
            if op is not None:
                self._give(op)
                self._loop.call_soon(self._hand_out_next, context=contextvars.Context())
            return
        for op in [op for op in self._results if op in self._pending]:
            self._give(op)

    def _hand_out_next(self) -> None:
        """The next one, once the code that got the last has gone as far as it can."""
        if any(not task.done() and is_moving(task) for task in self._tasks()):
            self._loop.call_soon(self._hand_out_next, context=contextvars.Context())
        else:
            self._hand_out()

    def _give(self, op: str) -> None:
        future = self._pending.get(op)
        self._note_given(op)
        result = self._results.pop(op)
        if future is not None and not future.done():
            future.set_result(result)

    def _fail(self, op: str, error: KernelKitError | None) -> None:
        if error is not None:
            self._loop.call_soon_threadsafe(self._failed, op, error)

    def _failed(self, op: str, error: KernelKitError) -> None:
        self._note_given(op)
        future = self._pending.get(op)
        if future is not None and not future.done():
            future.set_exception(error)

    # ---- looking whether the attempt does anything else --------------------------------------------------------------

    def _tasks(self) -> list[asyncio.Task[Any]]:
        scope = self.scope
        main = [] if scope.task is None else [scope.task]
        return main if scope.tasks is None else [*main, *scope.tasks]

    @property
    def _is_alone(self) -> bool:
        return self.scope.tasks is None

    def _look_soon(self) -> None:
        self._pause = LOOK_AGAIN_S
        if not self._look_due:
            self._look_due = True
            self._loop.call_soon(self._look, context=contextvars.Context())

    def _look(self) -> None:
        self._look_due = False
        scope = self.scope
        if self._suspended_at or not self._pending or scope.stopping:
            return
        if not self._only_waits():
            self._look_due = True
            if any(not task.done() and is_moving(task) for task in self._tasks()):
                self._loop.call_soon(self._look, context=contextvars.Context())
                return
            self._loop.call_later(self._pause, self._look, context=contextvars.Context())
            self._pause = min(2 * self._pause, LOOK_AT_MOST_S)
            return
        missed = self._points.missed
        if missed is not None:
            error = self._diverged(missed, "waits for something else")
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(error)
            return
        self._suspend(self._pending)
        if scope.start.payload.text is not None:
            scope.start = _lean(scope.start)

    def _only_waits(self) -> bool:
        tasks = [task for task in self._tasks() if not task.done()]
        return wait_only_for(tasks, set(self._pending.values())) and not has_timer(self._loop, self.scope)


def _end(future: asyncio.Future[None], error: KernelKitError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


_TAKEN = Value()  # a payload, once its arguments are with the body
_SHARED = ("task_id", "bundle", "version", "queue", "file_path", "environment", "project", "batch_id", "root_id")


def _lean(start: StartAttempt) -> StartAttempt:
    """What ten thousand suspended attempts keep of it: not the payload, and texts that are the same for many once."""
    shared = {name: intern(text) for name in _SHARED if (text := getattr(start, name))}
    return replace(start, payload=_TAKEN, steps=start.steps or NO_OPS, **shared)
