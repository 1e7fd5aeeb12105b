"""An exclusive worker: one attempt at a time in the main thread, where it can be interrupted and its memory measured.

The line to the engine has a thread and a loop of its own, so it answers while a body computes. What a newcomer would
get wrong: the interrupt is a signal whose handler raises in the main thread, between any two of its bytecodes. It is
raised in the body's code only, never while KernelKit's own code (which may hold a lock) is on top of the stack.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import resource
import signal
import threading
from types import FrameType
from typing import Any

import msgspec

from kernelkit.authoring.bundle import LoadedTask
from kernelkit.authoring.line import Line
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current
from kernelkit.execution.asyncio_records import follow_tasks
from kernelkit.execution.begun import Begun, Nowhere
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.bundles import LoadedBundles
from kernelkit.execution.caps import MemoryCap
from kernelkit.execution.descriptors import DescriptorCapture
from kernelkit.execution.ends import Outcome, is_out_of_memory
from kernelkit.execution.failure import describe
from kernelkit.execution.link import Link
from kernelkit.execution.log_pump import CROWDED_BYTES, LogPump
from kernelkit.execution.run_log import RunLog
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.execution.shared import run_for_ever
from kernelkit.wire.messages import Failed, StartAttempt, Started, StopAttempt, Stopped, WaitsOver

INTERRUPT_AGAIN_S = 0.02
LEFT_BEHIND_S = 1.0  # for tasks that a body started and did not await to end, once cancelled


class _Live:
    def __init__(self, start: StartAttempt, scope: Scope, log: RunLog) -> None:
        self.start = start
        self.scope = scope
        self.log = log
        self.task: asyncio.Task[Outcome] | None = None  # of an async body
        self.is_plain = True
        self.interrupted = False
        self.ended = asyncio.Event()
        self.stop: asyncio.Task[None] | None = None


class ExclusiveWorker:
    """Made on the link's loop; `serve` is called on the main thread and returns when the worker has retired."""

    def __init__(
        self,
        bundles: LoadedBundles,
        capture: DescriptorCapture,
        cap: MemoryCap | None = None,
        begun: Begun | None = None,
    ) -> None:
        self._cap = cap or MemoryCap(None)
        self._begun = begun or Nowhere()
        self._bundles = bundles
        self._capture = capture
        self._link_loop = asyncio.get_running_loop()
        self._main_loop: asyncio.AbstractEventLoop | None = None
        self._waiting: queue.SimpleQueue[_Live | None] = queue.SimpleQueue()
        self._live: dict[str, _Live] = {}  # by fence
        self._current: _Live | None = None
        self._link: Link
        self._pump: LogPump

    def attach(self, link: Link) -> None:
        """Give it the line it reports on; before anything else."""
        self._link = link
        self._pump = LogPump(send=link.logs, crowded=lambda: link.pending_bytes > CROWDED_BYTES, later=link.later)

    # ---- on the link's loop: what the engine asks for ----------------------------------------------------------------

    def start(self, start: StartAttempt) -> None:
        log = self._pump.open(start.run_id, start.attempt)
        line = Line(
            lambda scope, body: self._link.report(start, body, scope),
            lambda _, level, text: log.write(level, text),
            self._link.later,
            self._link.ask,
        )
        scope = Scope(start, line)
        scope.peak_memory = _peak_bytes
        live = self._live[start.fence] = _Live(start, scope, log)
        self._waiting.put(live)

    def stop(self, order: StopAttempt) -> None:
        live = self._live.get(order.fence)
        if live is None or (live.scope.stopping and order.signal_s > 0):
            return
        live.scope.canceled = order.canceled
        live.scope.stop_reason = order.reason
        live.stop = self._link_loop.create_task(self._stop(live, order), name="kernelkit-stop")

    def results(self, told: WaitsOver) -> None:
        live = self._live.get(told.fence)
        if live is not None:
            live.scope.tell(told.results)

    def retire(self) -> None:
        self._waiting.put(None)

    async def _stop(self, live: _Live, order: StopAttempt) -> None:
        scope = live.scope
        if live.task is not None and self._main_loop is not None:
            stopping = stop_body(live.task, scope, order.reason, signal_s=order.signal_s)
            asyncio.run_coroutine_threadsafe(stopping, self._main_loop)
            return
        scope.signal.set(order.reason)
        if scope.takes_signal and order.signal_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(order.signal_s):
                    await live.ended.wait()
        scope.interrupted = True
        while not live.ended.is_set() and not live.interrupted:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            await asyncio.sleep(INTERRUPT_AGAIN_S)

    def _finished(self, live: _Live, outcome: Outcome) -> None:
        self._live.pop(live.start.fence, None)
        live.ended.set()
        self._pump.finish(live.log)
        self._link.report(live.start, outcome)

    # ---- on the main thread ----------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run attempts as they come, until the worker has retired and everything it reported is safe."""
        signal.signal(signal.SIGUSR1, self._interrupt)
        while (live := self._waiting.get()) is not None:
            here, variables = os.getcwd(), dict(os.environ)
            self._current = live
            outcome = self._attempt(live)
            self._current = None
            self._link_loop.call_soon_threadsafe(self._finished, live, outcome)
            _restore(here, variables)
        asyncio.run_coroutine_threadsafe(self._link.cleared(), self._link_loop).result()

    def _attempt(self, live: _Live) -> Outcome:
        scope = live.scope
        self._capture.begin(live.log)
        _reset_peak()
        token = current.set(scope)
        try:
            with self._cap.held():
                loaded = self._bundles.find(live.start.bundle) or self._bundles.load(live.start.bundle)
                scope.started_at = scope.now()
                self._begun.begin(live.start.fence)
                self._link.report(live.start, Started(at=scope.started_at))
                outcome = (
                    self._run_async(live, loaded) if loaded.signature.is_async else run_sync_attempt(loaded, scope)
                )
        except BaseException as error:  # an import may end with anything, and the attempt has to have an end
            outcome = Failed(
                error=describe(error),
                started_at=scope.started_at,
                finished_at=scope.now(),
                out_of_memory=is_out_of_memory(error),
            )
        finally:
            current.reset(token)
            self._capture.end()
        if isinstance(outcome, Stopped):
            return outcome
        peak = scope.peak_memory or _peak_bytes  # a notebook's counts its kernel
        return msgspec.structs.replace(outcome, peak_memory=peak())

    def _run_async(self, live: _Live, loaded: LoadedTask) -> Outcome:
        if self._main_loop is None:
            self._main_loop = asyncio.new_event_loop()
            follow_tasks(self._main_loop)
        live.task = self._main_loop.create_task(run_async_attempt(loaded, live.scope))
        run_for_ever(self._main_loop, live.task)
        left = asyncio.all_tasks(self._main_loop)
        if left:  # nobody would run them on
            for each in left:
                each.cancel()
            ending = self._main_loop.create_task(_wait_for(left))
            run_for_ever(self._main_loop, ending)
        return live.task.result()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        live = self._current
        if live is None or live.interrupted or not (live.scope.in_body and live.scope.interrupted):
            return
        name = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        if name.startswith("kernelkit.") and name != "kernelkit.execution.body":
            return  # the signal comes again in a moment
        live.interrupted = True
        raise BodyInterrupted


async def _wait_for(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks, timeout=LEFT_BEHIND_S)


def _restore(folder: str, variables: dict[str, str]) -> None:
    """Give the next attempt the surroundings that this one had."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    if dict(os.environ) != variables:
        os.environ.clear()
        os.environ.update(variables)


def _reset_peak() -> None:
    """Let the kernel count this process's peak anew (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak_bytes() -> int:
    """The most memory this process has held since `_reset_peak`, in bytes."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
