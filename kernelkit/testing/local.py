"""Runs attempts inside the test's own process: `async def` bodies on the virtual loop, `def` bodies on a thread each.

It is the fleet of the virtual engine. There are no processes, so nothing can be killed: a body that heeds neither
signal nor cancellation is a problem that `advance` and `drain` raise.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import itertools
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.bundle import LoadedTask, load_bundle
from kernelkit.authoring.line import Line
from kernelkit.authoring.scope import Scope
from kernelkit.clock import Clock, to_datetime
from kernelkit.config import Home
from kernelkit.engine import commands as c
from kernelkit.engine.attempts import StaleFence, lost_worker_error
from kernelkit.engine.core import Core
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.orders import catch_up
from kernelkit.engine.requests import Requests
from kernelkit.engine.sameness import matches
from kernelkit.errors import KernelKitError, from_wire
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.ends import Outcome
from kernelkit.execution.failure import describe
from kernelkit.execution.inside import InsideCaller
from kernelkit.execution.project import Project
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.models.run import LogLine
from kernelkit.models.task import Owner
from kernelkit.testing.loop import VirtualLoop
from kernelkit.wire import messages as m

GRACE_S = 5.0

logger = logging.getLogger("kernelkit.testing")


class LocalFleet:
    """Attempts in this process, by fence."""

    def __init__(self, core: Core, loop: VirtualLoop, clock: Clock, home: Home, logbook: Logbook) -> None:
        self._core = core
        self._loop = loop
        self._clock = clock
        self._project = Project(home, load_bundle)
        self._logbook = logbook
        self._caller = InsideCaller(home, Owner("kernel", "test engine"))
        self._loaded: dict[str, LoadedTask] = {}
        self._async: dict[str, tuple[asyncio.Task[None], Scope]] = {}
        self._threads: dict[str, tuple[threading.Thread, Scope]] = {}
        self._numbers = itertools.count(1)
        self._workers: dict[str, set[str]] = {}  # fences of attempts, by worker
        self._lost: list[asyncio.Task[None]] = []  # bodies of lost workers, which never go on
        self._left: list[tuple[threading.Thread, Scope]] = []
        self._stopping: set[asyncio.Task[None]] = set()
        self.problem: KernelKitError | None = None
        self._told_of_caps = False
        self.requests: Requests
        core.workers = self

    # ---- what the core asks for ----------------------------------------------------------------------------------

    def start(self, worker_id: str, env_id: str, attempt: m.StartAttempt) -> None:
        self._core.unsent.discard(attempt.fence)
        run = self._core.state.runs.get(attempt.run_id)
        if run is None or run.fence != attempt.fence:
            return
        try:
            loaded = self._loaded.get(attempt.bundle)
            if loaded is None:
                loaded = self._loaded[attempt.bundle] = self._project.load(attempt.bundle)
        except Exception as error:  # whatever loading a person's code raises fails the attempt
            self._loop.call_soon(self._end, attempt, _unloadable(error, self._clock.now()))
            return
        if attempt.machine is not None and not self._told_of_caps:
            self._told_of_caps = True
            logger.warning(
                "memory caps are not applied on the virtual engine; test them with "
                "engine(home=…, workers=2, real_time=True)"
            )
        on_loop = loaded.signature.is_async
        self._workers.setdefault(worker_id, set()).add(attempt.fence)
        line = Line(
            self._report if on_loop else self._report_from_thread,
            self._emit,
            self._later,
            self._ask,
            now=self._clock.now,
            aside=self._aside if on_loop else None,
            blocked=self._blocked,
            woken=self._loop.hold,
        )
        scope = Scope(attempt, line)
        context = contextvars.copy_context()
        context.run(callers.enter, self._caller)
        self._loop.call_soon(self._report_started, attempt)
        if on_loop:
            task = self._loop.create_task(self._run_async(loaded, scope, attempt), context=context)
            self._async[attempt.fence] = (task, scope)
        else:
            self._loop.hold()
            thread = threading.Thread(
                target=context.run,
                args=(self._run_sync, loaded, scope, attempt),
                name=f"kernelkit-test-{attempt.task_id}",
                daemon=True,
            )
            self._threads[attempt.fence] = (thread, scope)
            thread.start()
        catch_up(self._core, attempt)

    def stop(self, worker_id: str, attempt: m.StopAttempt) -> None:
        if attempt.fence in self._async:
            task, scope = self._async[attempt.fence]
            scope.canceled = attempt.canceled
            stopping = self._loop.create_task(stop_body(task, scope, attempt.reason, signal_s=attempt.signal_s))
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
        elif attempt.fence in self._threads:
            thread, scope = self._threads[attempt.fence]
            scope.canceled = attempt.canceled
            scope.stop_reason = attempt.reason
            scope.signal.set(attempt.reason)
            if not scope.takes_signal:
                scope.interrupted = True
                # Elsewhere it would land in our own code; a body that is about to begin does not.
                if scope.in_body and not scope.stop_waiting():
                    _interrupt(thread)
        self._loop.call_later(attempt.signal_s + GRACE_S, self._look_whether_stopped, attempt)

    def tell(self, worker_id: str, results: m.WaitsOver) -> None:
        run = self._core.state.runs.get(results.run_id)
        if run is None or run.fence != results.fence or run.suspended_at:
            return
        live = self._async.get(results.fence) or self._threads.get(results.fence)
        if live is not None:
            live[1].tell(results.results)

    def let_go(self, worker_id: str) -> None:
        self._abandon(worker_id)
        error = lost_worker_error("its process was let go")
        self._core.take(c.WorkerEnded(worker_id, error))

    def lose_workers(self) -> None:
        """Every worker ends, as if its process had been killed."""
        for worker_id in list(self._core.state.workers):
            self._abandon(worker_id)
            error = lost_worker_error(f"The worker {worker_id} that ran this attempt was lost: the test wanted it so.")
            self._core.take(c.WorkerEnded(worker_id, error))

    def _abandon(self, worker_id: str) -> None:
        """Forget the bodies of a worker: suspended ones stand still for ever, others are stopped, unheard."""
        for fence in self._workers.pop(worker_id, ()):
            if fence in self._async:
                task, scope = self._async.pop(fence)
                run = self._core.state.runs.get(scope.start.run_id)
                scope.stop_reason = "the worker was lost"
                if run is None or not (run.suspended_at or run.fence != fence):
                    task.cancel()
                self._lost.append(task)
                for each in (task, *(scope.tasks or ())):
                    each._log_destroy_pending = False  # nobody will wait for it
            elif fence in self._threads:
                thread, scope = self._threads.pop(fence)
                scope.stop_reason = "the worker was lost"
                self._left.append((thread, scope))

    # ---- attempts --------------------------------------------------------------------------------------------------

    async def _run_async(self, loaded: LoadedTask, scope: Scope, attempt: m.StartAttempt) -> None:
        try:
            outcome = await run_async_attempt(loaded, scope)
        finally:
            self._async.pop(attempt.fence, None)
        self._end(attempt, outcome)

    def _run_sync(self, loaded: LoadedTask, scope: Scope, attempt: m.StartAttempt) -> None:
        outcome = run_sync_attempt(loaded, scope)
        self._loop.call_soon_threadsafe(self._end_thread, attempt, outcome)

    def _end_thread(self, attempt: m.StartAttempt, outcome: Outcome) -> None:
        self._threads.pop(attempt.fence, None)
        self._loop.let_go()
        self._end(attempt, outcome)

    def _end(self, attempt: m.StartAttempt, outcome: Outcome) -> None:
        try:
            self._core.take(c.TakeReport(attempt.run_id, attempt.fence, outcome))
        except StaleFence:
            return  # the attempt was overtaken, as it may be in a real worker

    def _report_started(self, attempt: m.StartAttempt) -> None:
        self._end_quietly(attempt, m.Started(self._clock.now()))

    def _end_quietly(self, attempt: m.StartAttempt, body: m.Started) -> None:
        try:
            self._core.take(c.TakeReport(attempt.run_id, attempt.fence, body))
        except StaleFence:
            return

    def _report(self, scope: Scope, body: m.ReportBody) -> None:
        # In no context: timers and bodies that come of it must not count as part of the attempt that reports.
        contextvars.Context().run(self._core.take, c.TakeReport(scope.start.run_id, scope.start.fence, body))
        if isinstance(body, m.ChildTrigger):
            scope.match({match.asked: match for match in matches(self._core.state, body.items)})

    def _report_from_thread(self, scope: Scope, body: m.ReportBody) -> int:
        """Answered later, as in a real worker: waiting for the loop here could wait for ever, as a scope is locked
        while it reports and the loop's own timers report for it too."""
        number = next(self._numbers)
        self._loop.call_soon_threadsafe(self._take_and_settle, scope, body, number)
        return number

    def _take_and_settle(self, scope: Scope, body: m.ReportBody, number: int) -> None:
        try:
            self._report(scope, body)
        except KernelKitError as refusal:
            scope.refuse(number, refusal)
        else:
            scope.settle(number)

    def _emit(self, scope: Scope, level: str, text: str) -> None:
        attempt = scope.start
        at = to_datetime(self._clock.now())
        text = text.encode("utf-8", "replace").decode()  # as a worker does: lone surrogates cannot travel
        lines = [LogLine(at, level, line, attempt.attempt) for line in text.splitlines() or [text]]
        logs = m.WorkerLogs(attempt.run_id, attempt.attempt, tuple(lines))
        self._loop.call_soon_threadsafe(lambda: self._core.add_lines(self._logbook.take(logs)))

    def _ask(self, body: m.RequestBody) -> Future[m.ReplyBody]:
        """What an attempt asks, as a client would; on any thread."""
        peer = _Asker()
        request = m.Request(1, body)
        self._loop.call_soon_threadsafe(lambda: self.requests.take(peer, request), context=contextvars.Context())
        return peer.answer

    def _blocked(self) -> None:
        """A body's thread stands still in a wait: time may pass."""
        self._loop.call_soon_threadsafe(self._loop.let_go)

    async def _aside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something that takes real time, on a loop with a real clock; ours stands still meanwhile."""
        self._loop.hold()
        try:
            return await asyncio.to_thread(asyncio.run, work)
        finally:
            self._loop.let_go()

    def _later(self, seconds: float, fn: Callable[[], None]) -> None:
        # In no context: a timer of ours must not count as one of the attempt that set it.
        bare = contextvars.Context()
        self._loop.call_soon_threadsafe(lambda: self._loop.call_later(seconds, fn, context=bare))

    def _look_whether_stopped(self, attempt: m.StopAttempt) -> None:
        if attempt.fence in self._async or attempt.fence in self._threads:
            self.problem = KernelKitError(
                f"The body of {attempt.run_id} heeds neither the cancel signal nor cancellation, and there is no "
                "process to kill here. Test it with engine(home=…, workers=2, real_time=True).",
                run_id=attempt.run_id,
            )

    def end_all(self) -> bool:
        """The engine is going: cancel what still runs; False when nothing does."""
        running = bool(self._async or self._threads)
        for task, scope in list(self._async.values()):
            scope.stop_reason = "the test engine has ended"
            task.cancel()
        for thread, scope in list(self._threads.values()):
            scope.stop_reason = "the test engine has ended"
            scope.signal.set(scope.stop_reason)
            if not scope.stop_waiting():
                _interrupt(thread)
        left, self._left = self._left, []
        for _, scope in left:
            scope.stop_waiting()
        return running or bool(left)


class _Asker:
    """Stands in for a connection that carries one question."""

    def __init__(self) -> None:
        self.answer: Future[m.ReplyBody] = Future()

    def send(self, message: m.AnyMessage) -> None:
        if not self.answer.set_running_or_notify_cancel():
            return
        if isinstance(message, m.Refused):
            self.answer.set_exception(from_wire(message.error))
        elif isinstance(message, m.Reply):
            self.answer.set_result(message.body)


def _interrupt(thread: threading.Thread) -> None:
    """Raise in a plain body's thread, at its next line of Python."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(BodyInterrupted))


def _unloadable(error: Exception, now: int) -> m.Failed:
    return m.Failed(error=describe(error), started_at=now, finished_at=now, retry=False)
