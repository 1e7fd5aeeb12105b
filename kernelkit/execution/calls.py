"""Where the functions of one attempt run: on the loop of an async attempt, or on the thread of a plain one.

An `async def` task has its hooks on its own loop; a plain hook blocks that loop, as it would anywhere. A `def` task
keeps its thread: its body and plain hooks run there without a loop around them, so that they may call `asyncio.run`,
and async hooks run on a private loop, which stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current
from kernelkit.execution.body import Arguments, Ended, call_on_loop, call_plain, completed

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, None]]


class Beside(Protocol):
    """Something that goes on beside the body."""

    async def end(self, seconds: float) -> bool:
        """Wait so long for it, then make it stop; False if it does not within the time."""
        ...


class Calls(Protocol):
    """How the functions of one attempt are called; nothing that they raise is raised here."""

    async def body(self, function: Callable[..., Any], arguments: Arguments) -> Ended: ...

    async def hook(self, function: Callable[..., Any], arguments: Arguments, *, stoppable: bool) -> Ended: ...

    def beside(self, work: Work) -> Beside: ...

    def finish(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work` to its end for a plain function, here and now; False where it has to be awaited."""
        ...


class LoopCalls:
    """For `async def` tasks: everything on the running loop, in the attempt's own task."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def body(self, function: Callable[..., Any], arguments: Arguments) -> Ended:
        return completed(await call_on_loop(function, arguments, self._scope))

    async def hook(self, function: Callable[..., Any], arguments: Arguments, *, stoppable: bool) -> Ended:
        return await call_on_loop(function, arguments, self._scope, stoppable=stoppable)

    def beside(self, work: Work) -> Beside:
        return _BesideTask(work)

    def finish(self, work: Coroutine[Any, Any, None]) -> bool:
        return False


class ThreadCalls:
    """For `def` tasks: a loop that runs only while something async does."""

    def __init__(self, scope: Scope, loop: asyncio.AbstractEventLoop) -> None:
        self._scope = scope
        self._loop = loop
        self._steps: deque[tuple[Callable[[], Ended], asyncio.Future[Ended]]] = deque()

    def drive(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the private loop, which stops whenever a plain function is to be called."""
        context = contextvars.copy_context()
        task = self._loop.create_task(work, context=context)
        task.add_done_callback(lambda _: self._loop.stop())
        while not task.done():
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                logger.warning("a task that a hook left behind ended with %s", type(error).__name__)
            while self._steps:
                step, done = self._steps.popleft()
                done.set_result(context.run(step))
        return task.result()

    async def body(self, function: Callable[..., Any], arguments: Arguments) -> Ended:
        return completed(await self._off_loop(lambda: call_plain(function, arguments, self._scope)))

    async def hook(self, function: Callable[..., Any], arguments: Arguments, *, stoppable: bool) -> Ended:
        if inspect.iscoroutinefunction(function):
            return await call_on_loop(function, arguments, self._scope, stoppable=False)
        value, error = await self._off_loop(lambda: call_plain(function, arguments, self._scope, stoppable=stoppable))
        if error is None and inspect.isawaitable(value):
            return await call_on_loop(lambda: value, ((), {}), self._scope, stoppable=False)
        return value, error

    def beside(self, work: Work) -> Beside:
        return _BesideThread(work)

    def finish(self, work: Coroutine[Any, Any, None]) -> bool:
        if self._loop.is_running():
            return False
        self._scope.in_body = False  # what is called below says so for itself
        self.drive(work)
        return True

    async def _off_loop(self, step: Callable[[], Ended]) -> Ended:
        done: asyncio.Future[Ended] = self._loop.create_future()
        self._steps.append((step, done))
        self._loop.stop()
        return await done


class _BesideTask:
    def __init__(self, work: Work) -> None:
        self._task = asyncio.get_running_loop().create_task(work(), name="kernelkit-on-cancel")
        found = current.get()
        if found is not None and found.tasks is not None:
            found.tasks.discard(self._task)  # it is no work of the body's, which may be suspended beside it

    async def end(self, seconds: float) -> bool:
        if seconds > 0:
            await asyncio.wait([self._task], timeout=seconds)
        in_time = self._task.done() or seconds <= 0
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        return in_time


class _BesideThread:
    def __init__(self, work: Work) -> None:
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(work(), context=contextvars.copy_context())
        self._thread = threading.Thread(target=self._serve, name="kernelkit-on-cancel", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, contextlib.suppress(asyncio.CancelledError):
            runner.get_loop().run_until_complete(self._task)

    async def end(self, seconds: float) -> bool:
        if seconds > 0:
            self._thread.join(seconds)  # this thread has nothing else to do
        in_time = not self._thread.is_alive() or seconds <= 0
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(1.0)
        return in_time
