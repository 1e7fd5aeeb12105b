"""Durable waits of an attempt on a thread of its own: while it waits, nothing else of it goes on.

What a newcomer would get wrong: a result may come before its wait is open, and a stop while nothing is; `_open` and its
lock say which. Everything that blocks the thread goes through `_blocked`, so that `stop` can end it.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any, TypeVar

from kernelkit.authoring.durable import DurableWait
from kernelkit.authoring.scope import Scope
from kernelkit.errors import KernelKitError, NotInTaskError
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.waiting import AttemptWaits
from kernelkit.wire.messages import ReplyBody, ReportBody, RequestBody, WaitResult

T = TypeVar("T")


class ThreadWaits(AttemptWaits):
    """For attempts on a thread of their own: while it waits, nothing else of them goes on."""

    __slots__ = ("_lock", "_open")

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._lock = threading.Lock()
        self._open: tuple[str, Future[Any]] | None = None

    async def wait(self, asked: DurableWait[T]) -> T:
        return self.wait_sync(asked)  # a loop of the body's own: it stands still meanwhile

    def wait_sync(self, asked: DurableWait[T]) -> T:
        scope = self.scope
        scope.check()
        self.refuse_here(asked.told, plain=True)
        op = scope.op("wait", asked.name, asked.key)
        claim = self._claim(op, asked.told)
        if claim == "over":
            self._points.next_ready()
            return asked.answer(self._results.pop(op))
        if claim == "new" and scope.around_waits is not None:
            scope.around_waits.around_sync("on_wait", asked.info)
        future: Future[WaitResult] = Future()
        with self._lock:
            early = self._results.pop(op, None)
            self._open = (op, future)
        if early is None:
            if claim == "new":
                scope.post(asked.opened(op), told=lambda error: self._fail(op, error))
            self._suspend((op,))
            result = self._blocked(future)
        else:
            result = early
        scope.check()
        if scope.around_waits is not None:
            scope.around_waits.around_sync("on_resume", asked.info)
        return asked.answer(result)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def sleep_sync(self, seconds: float) -> None:
        future: Future[None] = Future()
        with self._lock:
            self._open = ("", future)
        if self.scope.line.later is None:
            raise NotInTaskError("There is no clock here to wait by.")
        self.scope.line.later(seconds, lambda: self._wake(future, None))
        self._blocked(future)

    def _ask_here(self, body: RequestBody, timeout: float | None) -> ReplyBody:
        future: Future[ReplyBody] = Future()
        with self._lock:
            self._open = ("", future)
        assert self.scope.line.ask is not None, "looked at before"

        def answered(answer: Future[ReplyBody]) -> None:
            problem = answer.exception()
            if problem is None:
                self._wake(future, answer.result())
            else:
                self._wake_with(future, problem)

        if timeout is not None and self.scope.line.later is not None:
            self.scope.line.later(timeout, lambda: self._wake_with(future, TimeoutError()))
        self.scope.line.ask(body).add_done_callback(answered)
        return self._blocked(future)

    async def send(self, body: ReportBody) -> None:
        self.send_sync(body)

    def send_sync(self, body: ReportBody) -> None:
        future: Future[None] = Future()
        with self._lock:
            self._open = ("", future)

        def told(error: KernelKitError | None) -> None:
            if error is None:
                self._wake(future, None)
            else:
                self._wake_with(future, error)

        if self.scope.post(body, told=told):
            self._blocked(future)
        else:
            self._open = None

    def results(self, results: tuple[WaitResult, ...]) -> None:
        """The engine has spoken; on any thread."""
        for result in results:
            with self._lock:
                if self._is_given(result.op):
                    continue
                self._note_given(result.op)
                open_ = self._open
                if open_ is None or open_[0] != result.op:
                    self._results = self._results | {result.op: result}
                    continue
            self._goes_on()
            self._wake(open_[1], result)

    def stop(self) -> bool:
        """End the wait that its thread is in, if it is in one."""
        with self._lock:
            open_ = self._open
        if open_ is None:
            return False
        self._wake_with(open_[1], BodyInterrupted())
        return True

    def _blocked(self, future: Future[T]) -> T:
        scope = self.scope
        scope.line.blocked()
        try:
            return future.result()
        finally:
            with self._lock:
                self._open = None

    def _wake(self, future: Future[Any], result: object) -> None:
        if future.done():
            return
        self.scope.line.woken()
        future.set_result(result)

    def _wake_with(self, future: Future[Any], error: BaseException) -> None:
        if future.done():
            return
        self.scope.line.woken()
        future.set_exception(error)

    def _fail(self, op: str, error: KernelKitError | None) -> None:
        open_ = self._open
        if error is not None and open_ is not None and open_[0] == op:
            self._wake_with(open_[1], error)
