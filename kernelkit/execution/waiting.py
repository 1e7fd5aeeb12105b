"""Durable waits of one attempt: opens them with the engine, asks to be suspended, and goes on when a result has come.

An attempt is suspended when all that its code does is wait durably. On a loop that is looked up in asyncio's own
records: every task of the attempt has to wait for one of ours, or for tasks that do (`gather`, `TaskGroup`, `wait`, …),
and no timer of it may run. What a newcomer would get wrong: code that waits for anything else beside keeps its slot,
and whoever cannot be told apart counts as busy.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, Any, TypeVar, cast

from msgspec.structs import replace

from kernelkit.authoring.durable import DurableWait
from kernelkit.authoring.scope import Scope, call_site, no_waits
from kernelkit.authoring.scope import scope as current
from kernelkit.errors import KernelKitError, NotInTaskError, ReplayDivergedError
from kernelkit.execution.body import BodyInterrupted
from kernelkit.models.value import Value
from kernelkit.rules.checkpoints import Checkpoints, Diverged
from kernelkit.wire.messages import (
    DropWait,
    ReplyBody,
    ReportBody,
    RequestBody,
    StartAttempt,
    Started,
    Suspend,
    WaitResult,
)

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Coroutine

LOOK_AGAIN_S = 0.02  # for what keeps an attempt with open waits busy; twice as long each time
LOOK_AT_MOST_S = 1.0
_BLOCKING = "`.result()` would block this worker for good. In an async task write `await` instead."


# Of all attempts that have nothing yet: these do not change.
_NO_CHECKPOINTS = Checkpoints()
_NO_OPS: dict[str, str] = {}
_NO_RESULTS: dict[str, WaitResult] = {}


class AttemptWaits:
    """What waits on a loop and on a thread have in common. Results come in by `results`, on any thread."""

    __slots__ = ("_given", "_ops", "_points", "_results", "_suspended_at", "scope")  # as `Scope` for ten thousand

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._results = _NO_RESULTS  # that nobody has asked for yet
        self._given: set[str] | None = None  # op keys whose results were handed out
        self._suspended_at = 0
        replay = scope.start.replay
        self._ops = _NO_OPS
        self._points = _NO_CHECKPOINTS
        if replay is not None:
            self._ops = replay.ops
            self._points = Checkpoints((result.op for result in replay.results), replay.open)
            self._results = {result.op: result for result in replay.results}

    @property
    def is_replaying(self) -> bool:
        """Whether results of the time before the attempt was resumed are left to hand out."""
        return self._points.missed is not None

    def recall(self, op: str, told: str) -> str | None:
        """See `authoring.durable.Waits`."""
        found = self._ops.get(op)
        if found is None:
            self._check(told)
        return found

    def refuse_here(self, told: str, *, plain: bool) -> None:
        inside = no_waits.get()
        if inside:
            raise NotInTaskError(f"{told} cannot wait {inside}: only the task's own body can be suspended.")
        if threading.get_ident() != self.scope.thread:
            raise NotInTaskError(
                f"{told} was called on a thread that the task started. Durable waits belong to the task's own thread."
            )

    def ask_sync(self, body: RequestBody, timeout: float | None = None) -> ReplyBody:
        """See `authoring.durable.Waits`."""
        if self.scope.line.ask is None:
            raise NotInTaskError("Nothing can be asked here: no engine runs this task.")
        if threading.get_ident() == self.scope.thread:
            return self._ask_here(body, timeout)
        return self.scope.line.ask(body).result(timeout)

    def _ask_here(self, body: RequestBody, timeout: float | None) -> ReplyBody:
        raise NotImplementedError

    def left_behind(self) -> KernelKitError | None:
        """What is wrong with a body that has just returned."""
        missed = self._points.missed
        if missed is None:
            return None
        return self._diverged(missed, "returned")

    def _check(self, told: str) -> None:
        try:
            self._points.check(alone=self._is_alone)
        except Diverged as diverged:
            raise self._diverged(diverged.expected, f"came to {told}") from None

    def _claim(self, op: str, told: str) -> str:
        try:
            return self._points.claim(op, alone=self._is_alone)
        except Diverged as diverged:
            raise self._diverged(diverged.expected, f"came to {told}") from None

    def _diverged(self, expected: str, instead: str) -> ReplayDivergedError:
        kind, name, _, number = [*expected.split(":", 3), "", "", ""][:4]
        which = f"{kind} {name}".strip() + (f", number {number}" if number not in ("", "1") else "")
        site = call_site()
        where = f" ({site[0]}, line {site[1]})" if site is not None and instead != "returned" else ""
        return ReplayDivergedError(
            f"The worker of this run was gone, so its task was called again to go on where it had been. The first time "
            f"it came to {which} here; this time it {instead}{where}. A task that waits has to make the same calls "
            "in the same order each time: put what differs, such as the time, chance or a request, into kk.step(…).",
            expected=expected,
        )

    @property
    def _is_alone(self) -> bool:
        """Whether the body never did two things at once."""
        return True

    def _is_given(self, op: str) -> bool:
        return self._given is not None and op in self._given

    def _note_given(self, op: str) -> None:
        if self._given is None:
            self._given = set()
        self._given.add(op)

    def _paused(self) -> None:
        """The attempt's code stands still from now on."""
        self._suspended_at = self.scope.now()

    def _goes_on(self) -> None:
        if not self._suspended_at:
            return
        self.scope.idle += max(0, self.scope.now() - self._suspended_at)
        self._suspended_at = 0
        if not self.scope.stopping:
            self.scope.report(Started(at=self.scope.now()))

    def _suspend(self, ops: Iterable[str]) -> None:
        scope = self.scope
        if scope.metadata_state is not None:
            scope.metadata_state.flush()
        if scope.outbox is not None:
            scope.outbox.flush()
        now = scope.now()
        self._paused()
        scope.report(Suspend(tuple(ops), scope.compute(now), scope.calls, scope.start.hold_for))


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
        if any(not task.done() and _is_moving(task) for task in self._tasks()):
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
            if any(not task.done() and _is_moving(task) for task in self._tasks()):
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
        ours: set[Any] = set(self._pending.values())
        tasks = [task for task in self._tasks() if not task.done()]
        waiters = []
        for task in tasks:
            waiter = task._fut_waiter  # type: ignore[attr-defined]  # what a task awaits has no public name
            if waiter is None or waiter.done():
                return False
            waiters.append(waiter)
        ours.update(tasks)
        if not all(_comes_from(waiter, ours, tasks) for waiter in waiters):
            return False
        scope = self.scope
        for handle in getattr(self._loop, "_scheduled", ()):
            if not handle.cancelled() and handle._context.get(current) is scope:
                return False
        return True


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


_TAKEN = Value()  # a payload, once its arguments are with the body
_SHARED = ("task_id", "bundle", "version", "queue", "file_path", "environment", "project", "batch_id", "root_id")


def _lean(start: StartAttempt) -> StartAttempt:
    """What ten thousand suspended attempts keep of it: not the payload, and texts that are the same for many once."""
    shared = {name: intern(text) for name in _SHARED if (text := getattr(start, name))}
    return replace(start, payload=_TAKEN, steps=start.steps or _NO_OPS, **shared)


# ---- asyncio's records -----------------------------------------------------------------------------------------------


def follow_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task that an attempt's code starts on this loop known to its scope."""
    loop.set_task_factory(cast(Any, _task))  # typeshed knows factories by their keywords


def _task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    made = asyncio.Task(coro, loop=loop, **options)
    found = current.get()
    if found is not None:
        found.follow(made)
    return made


def _is_moving(task: asyncio.Task[Any]) -> bool:
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # as above
    return waiter is None or bool(waiter.done())


def _comes_from(waiter: Any, ours: set[Any], tasks: list[asyncio.Task[Any]]) -> bool:
    """Whether only `ours` can end what is awaited: it is one of them, gathers them, or is told by them."""
    if waiter in ours:
        return True
    gathered = getattr(waiter, "_children", None)  # asyncio.gather
    if gathered is not None:
        return all(each.done() or _comes_from(each, ours, tasks) for each in gathered)
    return any(_tells(callback, waiter) for task in tasks for callback, _ in (task._callbacks or ()))


def _tells(callback: Callable[..., Any], waiter: Any) -> bool:
    """Whether a task's end is told to `waiter`: by `asyncio.TaskGroup`, `wait`, `as_completed` or `shield`."""
    if getattr(getattr(callback, "__self__", None), "_on_completed_fut", None) is waiter:
        return True
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            found = cell.cell_contents
        except ValueError:
            continue
        if found is waiter or waiter in (getattr(found, "_getters", None) or ()):
            return True
    return False


def _end(future: asyncio.Future[None], error: KernelKitError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def left_behind(scope: Scope) -> KernelKitError | None:
    """What is wrong with a body that has just returned: a call was never awaited, or checkpoints are left over."""
    if scope.unawaited:
        return next(iter(scope.unawaited)).never_awaited()
    return scope.waits.left_behind() if scope.has_waited else None
