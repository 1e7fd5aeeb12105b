"""A shared worker: many `async def` attempts on one loop, which also carries the line to the engine.

A body that blocks the loop therefore silences the worker, and that is how the engine notices. Code is loaded on a
thread, because an import may take seconds. What a newcomer would get wrong: `SystemExit` in a task that a body
started stops asyncio's loop; `run_for_ever` starts it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kernelkit.authoring.bundle import LoadedTask
from kernelkit.authoring.line import Line
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current
from kernelkit.execution.begun import Begun, Nowhere
from kernelkit.execution.bundles import LoadedBundles
from kernelkit.execution.ends import Outcome
from kernelkit.execution.failure import describe
from kernelkit.execution.link import Link
from kernelkit.execution.log_pump import CROWDED_BYTES, LogPump
from kernelkit.execution.run_log import RunLog
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.wire.messages import Failed, ReportBody, StartAttempt, Started, StopAttempt, WaitsOver

logger = logging.getLogger(__name__)

THREADS = 1_000  # for plain functions with isolation="shared"


class _Live(Scope):
    __slots__ = ("in_thread", "log", "stop", "whole")

    def __init__(self, start: StartAttempt, line: Line) -> None:
        super().__init__(start, line)
        self.log: RunLog | None = None
        self.whole: asyncio.Task[None]  # from the import of its code to the report of its end
        self.stop: asyncio.Task[None] | None = None
        self.in_thread = False


class SharedWorker:
    """Runs attempts as they come, until it is told to retire and the last has ended."""

    def __init__(self, bundles: LoadedBundles, begun: Begun | None = None) -> None:
        self._bundles = bundles
        self._begun = begun or Nowhere()
        self._loop = asyncio.get_running_loop()
        self._live: dict[str, _Live] = {}  # by fence
        self._loading: dict[str, asyncio.Future[LoadedTask]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._looked = False
        self._retiring = False
        self._over = asyncio.Event()
        self._link: Link
        self._pump: LogPump
        self._line: Line

    def attach(self, link: Link) -> None:
        """Give it the line it reports on; before anything else."""
        self._link = link
        self._pump = LogPump(send=link.logs, crowded=lambda: link.pending_bytes > CROWDED_BYTES, later=link.later)
        self._line = Line(self._report, self._emit, link.later, link.ask)

    async def over(self) -> None:
        """Return once the worker has retired and everything it reported is safe."""
        await self._over.wait()
        await self._link.cleared()

    # ---- what the engine asks for ------------------------------------------------------------------------------------

    def start(self, start: StartAttempt) -> None:
        live = self._live[start.fence] = _Live(start, self._line)
        live.whole = self._loop.create_task(self._attempt(live), name=start.run_id)

    def stop(self, order: StopAttempt) -> None:
        live = self._live.get(order.fence)
        if live is None or (live.stopping and order.signal_s > 0):
            return
        live.canceled = order.canceled
        if live.in_thread:  # nothing interrupts a thread: it may obey the signal, or the worker is killed
            live.stop_reason = order.reason
            live.signal.set(order.reason)
            live.stop_waiting()
            return
        stopping = stop_body(live.whole, live, order.reason, signal_s=order.signal_s)
        live.stop = self._loop.create_task(stopping, name="kernelkit-stop")

    def results(self, told: WaitsOver) -> None:
        live = self._live.get(told.fence)
        if live is not None:
            live.tell(told.results)

    def retire(self) -> None:
        self._retiring = True
        if not self._live:
            self._over.set()

    # ---- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, live: _Live) -> None:
        try:
            loaded = self._find(live.start.bundle)
            if loaded is None:
                token = current.set(live)  # what an import prints belongs to this run
                try:
                    loaded = await self._load(live.start.bundle)
                finally:
                    current.reset(token)
                live.started_at = live.now()
            self._loop.call_soon(self._began, live, live.started_at)
            self._begun.begin(live.start.fence)
            outcome = await self._run(live, loaded)
        except BaseException as error:  # whatever goes wrong here or in an import, the attempt has an end
            if isinstance(error, asyncio.CancelledError) and not live.stopping:
                raise
            logger.debug("an attempt did not begin", exc_info=error)
            outcome = _failed(live, error)
        del self._live[live.start.fence]
        if live.log is not None:
            self._pump.finish(live.log)
        self._link.report(live.start, outcome)
        if self._retiring and not self._live:
            self._over.set()

    def _find(self, bundle: str) -> LoadedTask | None:
        """The task, if it is loaded. One look at a person's modules serves all attempts that came before it: those
        that come after begin behind `_look_again`."""
        look, self._looked = not self._looked, True
        if look:
            self._loop.call_soon(self._look_again)
        return self._bundles.find(bundle, look=look)

    def _look_again(self) -> None:
        self._looked = False

    def _began(self, live: _Live, at: int) -> None:
        # A body that was over before the loop turned needs no such report: its last one says when it began.
        if self._live.get(live.start.fence) is live:
            self._link.report(live.start, Started(at=at))

    def _report(self, scope: Scope, body: ReportBody) -> int:
        return self._link.report(scope.start, body, scope)

    def _emit(self, scope: Scope, level: str, text: str) -> None:
        assert isinstance(scope, _Live)
        if scope.log is None:
            scope.log = self._pump.open(scope.start.run_id, scope.start.attempt)
        scope.log.write(level, text)

    def _run(self, live: _Live, loaded: LoadedTask) -> Awaitable[Outcome]:
        if loaded.signature.is_async:
            return run_async_attempt(loaded, live)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kernelkit-task")
        live.in_thread = True
        return self._loop.run_in_executor(self._threads, run_sync_attempt, loaded, live)

    async def _load(self, bundle: str) -> LoadedTask:
        under_way = self._loading.get(bundle)
        if under_way is not None:
            return await asyncio.shield(under_way)
        under_way = self._loading[bundle] = self._loop.create_future()
        try:
            loaded = await asyncio.to_thread(_guarded, self._bundles, bundle)
        except BaseException as error:
            under_way.set_exception(error)
            under_way.exception()  # looked at, though nobody else may wait for it
            raise
        else:
            under_way.set_result(loaded)
            return loaded
        finally:
            del self._loading[bundle]


def _guarded(bundles: LoadedBundles, bundle: str) -> LoadedTask:
    try:
        return bundles.load(bundle)
    except (SystemExit, KeyboardInterrupt, StopIteration) as error:  # these would not pass through a future
        raise ImportError(f"the task's module ended with {type(error).__name__} while it was imported") from error


def _failed(scope: Scope, error: BaseException) -> Failed:
    return Failed(error=describe(error), started_at=scope.started_at, finished_at=scope.now())


def run_for_ever(loop: asyncio.AbstractEventLoop, until: asyncio.Task[Any]) -> None:
    """Run the loop until that task is done, whatever a person's tasks throw into the loop."""
    while not until.done():
        try:
            loop.run_until_complete(until)
        except (SystemExit, KeyboardInterrupt) as error:
            if until.done():
                raise
            logger.warning("a task that a run left behind ended with %s", type(error).__name__)
