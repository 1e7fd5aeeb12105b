"""A shared worker: many `async def` attempts on one loop, which also carries the line to the engine.

A body that blocks the loop therefore silences the worker, and that is how the engine notices. Code is loaded on a
thread, because an import may take seconds. What a newcomer would get wrong: `SystemExit` in a task that a body
started stops asyncio's loop; `run_for_ever` starts it again.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kernelkit.authoring.bundle import LoadedTask
from kernelkit.authoring.context import Scope
from kernelkit.authoring.context import scope as current
from kernelkit.execution.begun import Begun, Nowhere
from kernelkit.execution.bundles import LoadedBundles
from kernelkit.execution.capture import CROWDED_BYTES, LogPump, RunLog
from kernelkit.execution.ends import Outcome
from kernelkit.execution.failure import describe
from kernelkit.execution.link import Link
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.wire.messages import Failed, ReportBody, StartAttempt, Started, StopAttempt, WaitsOver

logger = logging.getLogger(__name__)

THREADS = 1_000  # for plain functions with isolation="shared"

Key = tuple[str, str]  # run id and fence


class _Live:
    __slots__ = ("in_thread", "log", "scope", "start", "stop", "task")

    def __init__(self, start: StartAttempt) -> None:
        self.start = start
        self.log: RunLog | None = None
        self.scope: Scope
        self.task: asyncio.Task[None]
        self.stop: asyncio.Task[None] | None = None
        self.in_thread = False


class SharedWorker:
    """Runs attempts as they come, until it is told to retire and the last has ended."""

    def __init__(self, bundles: LoadedBundles, begun: Begun | None = None) -> None:
        self._bundles = bundles
        self._begun = begun or Nowhere()
        self._loop = asyncio.get_running_loop()
        self._live: dict[Key, _Live] = {}
        self._loading: dict[str, asyncio.Future[LoadedTask]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._retiring = False
        self._over = asyncio.Event()
        self._link: Link
        self._pump: LogPump

    def attach(self, link: Link) -> None:
        """Give it the line it reports on; before anything else."""
        self._link = link
        self._pump = LogPump(send=link.logs, crowded=lambda: link.pending_bytes > CROWDED_BYTES, later=link.later)

    async def over(self) -> None:
        """Return once the worker has retired and everything it reported is safe."""
        await self._over.wait()
        await self._link.cleared()

    # ---- what the engine asks for ------------------------------------------------------------------------------------

    def start(self, start: StartAttempt) -> None:
        live = _Live(start)
        live.scope = Scope(start, report=_unreported, later=self._link.later, ask=self._link.ask)
        live.scope.report = lambda body: self._link.report(start, body, live.scope)
        live.scope.emit = lambda level, text: self._emit(live, level, text)
        self._live[(start.run_id, start.fence)] = live
        live.task = self._loop.create_task(self._attempt(live))

    def stop(self, order: StopAttempt) -> None:
        live = self._live.get((order.run_id, order.fence))
        if live is None or (live.scope.stopping and order.signal_s > 0):
            return
        live.scope.canceled = order.canceled
        if live.in_thread:  # nothing interrupts a thread: it may obey the signal, or the worker is killed
            live.scope.stop_reason = order.reason
            live.scope.signal.set(order.reason)
            live.scope.stop_waiting()
            return
        live.stop = self._loop.create_task(
            stop_body(live.task, live.scope, order.reason, signal_s=order.signal_s), name="kernelkit-stop"
        )

    def results(self, told: WaitsOver) -> None:
        live = self._live.get((told.run_id, told.fence))
        if live is not None:
            live.scope.tell(told.results)

    def retire(self) -> None:
        self._retiring = True
        if not self._live:
            self._over.set()

    # ---- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, live: _Live) -> None:
        start = live.start
        try:
            loaded = self._bundles.find(start.bundle)
            if loaded is None:
                token = current.set(live.scope)  # what an import prints belongs to this run
                try:
                    loaded = await self._load(start.bundle)
                finally:
                    current.reset(token)
                live.scope.started_at = live.scope.now()
            # A body that is over before the loop turns needs no such report: its last one says when it began.
            began = self._loop.call_soon(self._link.report, start, Started(at=live.scope.started_at))
            self._begun.begin(start.fence)
            outcome = await self._run(live, loaded)
            began.cancel()
        except BaseException as error:  # whatever goes wrong here or in an import, the attempt has an end
            if isinstance(error, asyncio.CancelledError) and not live.scope.stopping:
                raise
            logger.debug("an attempt did not begin", exc_info=error)
            outcome = _failed(live.scope, error)
        del self._live[(start.run_id, start.fence)]
        if live.log is not None:
            self._pump.finish(live.log)
        self._link.report(start, outcome)
        if self._retiring and not self._live:
            self._over.set()

    async def _run(self, live: _Live, loaded: LoadedTask) -> Outcome:
        if loaded.signature.is_async:
            return await run_async_attempt(loaded, live.scope)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kernelkit-task")
        live.in_thread = True
        return await self._loop.run_in_executor(self._threads, run_sync_attempt, loaded, live.scope)

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

    def _emit(self, live: _Live, level: str, text: str) -> None:
        if live.log is None:
            live.log = self._pump.open(live.start.run_id, live.start.attempt)
        live.log.write(level, text)


def _guarded(bundles: LoadedBundles, bundle: str) -> LoadedTask:
    try:
        return bundles.load(bundle)
    except (SystemExit, KeyboardInterrupt, StopIteration) as error:  # these would not pass through a future
        raise ImportError(f"the task's module ended with {type(error).__name__} while it was imported") from error


def _failed(scope: Scope, error: BaseException) -> Failed:
    return Failed(error=describe(error), started_at=scope.started_at, finished_at=scope.now())


def _unreported(body: ReportBody) -> int | None:
    raise RuntimeError("an attempt reports before it has a line")


def run_for_ever(loop: asyncio.AbstractEventLoop, until: asyncio.Task[Any]) -> None:
    """Run the loop until that task is done, whatever a person's tasks throw into the loop."""
    while not until.done():
        try:
            loop.run_until_complete(until)
        except (SystemExit, KeyboardInterrupt) as error:
            if until.done():
                raise
            logger.warning("a task that a run left behind ended with %s", type(error).__name__)
