"""The engine's program: `python -m kernelkit.daemon --home DIR [--keep] [--stand-by]`.

An edge: it takes the lock, opens the store, puts core, fleet and server together and runs the loop until it is told to
stop, is idle long enough, or its home disappears. People's code never runs here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import logging.handlers
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import anyio
import msgspec

from kernelkit import memory
from kernelkit.clock import WallClock
from kernelkit.config import EngineSettings, Home
from kernelkit.engine import artifacts, leftovers, schedules
from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.decide import next_due, seconds_until
from kernelkit.engine.fleet import Fleet
from kernelkit.engine.host import capacity_of
from kernelkit.engine.keepers import Keepers
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.engine.server import Server
from kernelkit.engine.values import held_refs
from kernelkit.errors import HomeLockedError, KernelKitError
from kernelkit.ids import make_id
from kernelkit.settings import load_engine_settings
from kernelkit.store.reader import Reader
from kernelkit.store.store import Store
from kernelkit.store.writer import Writer
from kernelkit.version import __version__
from kernelkit.wire import messages as m
from kernelkit.wire.channel import serve
from kernelkit.wire.discovery import EngineLock, bind, is_marked_down, lock_home, mark_down, socket_path_of

logger = logging.getLogger("kernelkit.engine")

T = TypeVar("T")

TEND_S = 1.0
CLOCK_SET_BACK = 5_000_000  # microseconds: less is how clocks are kept right
LONGEST_TIMER_S = 10.0  # a wall clock may jump, so no timer sleeps longer without another look
QUIET_HISTORY_S = 0.5
RETENTION_EVERY_S = 600.0
LEFTOVERS_EVERY_S = 600.0
RETENTION_AGAIN_S = 2.0  # when a run has written far more lines than are kept
STOP_WITHIN_S = 600.0
DRAIN_LOOK_S = 0.02
READ_AGAIN_S = 0.5
READ_TRIES = 20
STAND_BY_S = 1.0
# Hardly anything here is in a cycle: with the usual 700 a third of the time went into looking for some.
GC_THRESHOLDS = (50_000, 20, 20)


class Chance:
    """The daemon's roll, seeded by the system once: a fence is drawn for each attempt, and must only be unique."""

    def __init__(self) -> None:
        self._random = Random(secrets.randbits(128))

    def fence(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def worker_id(self) -> str:
        return make_id("w")

    def jitter(self) -> float:
        return self._random.random()


class Daemon:
    """One engine on one home, from open to close."""

    def __init__(self, home: Home, settings: EngineSettings, *, keep: bool, umask: int) -> None:
        self._home = home
        self._settings = settings
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._stopped = anyio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._leave = self._closed = False
        self._drain_until = 0.0
        self._busy_at = time.monotonic()
        self._retained_at = 0.0
        self._swept_at = -LEFTOVERS_EVERY_S  # the first time at once
        self._store = Store.open(home, settings)
        self._reader = Reader()
        self._asker = Reader("kernelkit-store-query")
        self._writer = Writer(
            self._store,
            self._loop.call_soon_threadsafe,
            settings.min_free_bytes,
            on_problem=self._store_problem,
            here=True,
        )
        self._core = Core(
            self._store,
            self._writer,
            WallClock(),
            capacity_of(settings),
            Chance(),
            soon=self._loop.call_soon,
            min_free_bytes=settings.min_free_bytes,
        )
        self._core.environment = settings.environment
        self._core.project = home.path.parent.name
        self._core.suspend_after, self._core.hold_for = settings.suspend_after, settings.hold_for
        self._core.read = self._read
        self._core.query = self._query
        self._core.on_timer = self._set_timer
        self._keepers = Keepers(home, umask=umask)
        self._fleet = Fleet(self._core, home, settings, self._keepers, time.monotonic)
        highest = self._store.line_counts(list(self._core.state.runs))
        self._logbook = logbook = Logbook({run_id: number + 1 for run_id, number in highest.items()})
        notices = Notices(self._core, logbook, self._loop.call_later)
        started_at = WallClock().now()
        self._requests = Requests(
            self._core,
            notices,
            home,
            pid=os.getpid(),
            started_at=started_at,
            monotonic=time.monotonic,
            silent_for=self._fleet.silent_for,
            stop=self._stop_asked,
        )
        self._server = Server(
            self._core,
            self._fleet,
            notices,
            logbook,
            self._requests,
            home,
            pid=os.getpid(),
            started_at=started_at,
        )

    async def run(self) -> None:
        """Serve until stopped; the caller holds the home's lock."""
        gc.freeze()  # what is loaded by now stays
        path = socket_path_of(self._home)
        listener = bind(path)
        server = await serve(listener, self._server.first_message, _ignore, on_channel=self._server.opened)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop_now)
        logger.info("engine up: pid %d, home %s, version %s", os.getpid(), self._home.path, __version__)
        try:
            capacity = self._core.capacity
            self._core.capacity = replace(capacity, attempts=0)
            self._fleet.tend()  # workers that ended with the former engine go before a run can be placed on them
            self._core.capacity = capacity
            self._core.take(c.Tick())  # what fell due, and who may start, while no engine ran
            async with anyio.create_task_group() as loops:
                loops.start_soon(self._tend_for_ever, name="kernelkit-tend")
                await self._stopped.wait()
                loops.cancel_scope.cancel()
        finally:
            server.close()
            path.unlink(missing_ok=True)
            self._close()
            logger.info("engine stopped")

    # ---- time --------------------------------------------------------------------------------------------------------

    async def _tend_for_ever(self) -> None:
        while True:
            self._tend()
            await anyio.sleep(TEND_S)

    def _tend(self) -> None:
        now = time.monotonic()
        self._fleet.tend()
        self._requests.tend()
        self._keepers.reap()
        if not self._home.path.exists():
            logger.error("the home has disappeared; stopping")
            self._leave = False
            self._stopped.set()
            return
        if self._core.ledger.waiting and not self._writer.problem:
            self._core.flush_history()
        if self._core.snapshot_due(self._settings.snapshot_every) and not self._writer.problem:
            self._core.snapshot()
        if now - self._retained_at > (RETENTION_AGAIN_S if self._logbook.has_long else RETENTION_EVERY_S):
            self._retained_at = now
            self._logbook.prune(self._core.state.runs)
            live, held = frozenset(self._core.state.runs), held_refs(self._core.state)
            # lines on their way count as well
            self._core.after_commit(lambda: self._read(lambda: self._retain(live, held), _ignore))
        if now - self._swept_at > LEFTOVERS_EVERY_S:
            self._swept_at = now
            needed = leftovers.needed(self._core.state, self._fleet.keepers)
            self._read(lambda: leftovers.remove(self._home, needed, time.time()), _say_removed)
        if WallClock().now() < self._core.state.clock - CLOCK_SET_BACK and not (
            self._writer.problem or self._drain_until
        ):
            self._core.take(c.Tick())  # slots that were given up while the clock was ahead may lie before us again
        if self._server.clients or self._core.state.runs or schedules.next_due(self._core.state) is not None:
            self._busy_at = now
        elif not self._keep and now - self._busy_at > self._settings.idle_stop:
            logger.info("idle for %.0f s; stopping", self._settings.idle_stop)
            self._stopped.set()

    def _retain(self, live: frozenset[str], held: frozenset[str]) -> None:
        removed = self._store.retain(WallClock().now(), self._settings, held)
        removed["artifacts"] = artifacts.retain(self._home, live, self._store.kept, time.time(), self._settings)
        if any(removed.values()):
            logger.info("retention removed %s", removed)

    def _set_timer(self, at: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            delay = min(seconds_until(at, WallClock().now()), LONGEST_TIMER_S)
            self._timer = self._loop.call_later(delay, self._timer_rang)

    def _timer_rang(self) -> None:
        self._timer = None
        due = next_due(self._core.state)
        if self._drain_until:
            return  # stopping: what is due belongs to the next engine
        if due is not None and due <= WallClock().now() and not self._writer.problem:
            self._core.take(c.Tick())
        elif due is not None:
            self._set_timer(max(due, WallClock().now() + 100_000) if self._writer.problem else due)

    # ---- ports -------------------------------------------------------------------------------------------------------

    def _read(self, fn: Callable[[], T], then: Callable[[T], None], tries: int = READ_TRIES) -> None:
        if self._closed:
            return  # nobody is left to tell

        def done(future: Future[T]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                then(future.result())
            elif tries:  # somebody waits for it: a dispatch for its payload, say
                logger.warning("a read of the store failed; trying again", exc_info=error)
                self._loop.call_later(READ_AGAIN_S, lambda: self._read(fn, then, tries - 1))
            else:
                logger.error("a read of the store failed for good", exc_info=error)

        self._reader.call(fn, self._loop.call_soon_threadsafe, done)

    def _query(self, fn: Callable[[], T], then: Callable[[T], None]) -> None:
        """People's queries, one after another on a thread of their own; `fn` raises nothing."""
        if self._closed:
            return

        def done(future: Future[T]) -> None:
            if not future.cancelled():
                then(future.result())

        self._asker.call(fn, self._loop.call_soon_threadsafe, done)

    def _store_problem(self, problem: str) -> None:
        if problem:
            logger.error("the store cannot commit: %s; trying again", problem)
        else:
            logger.info("the store commits again")
            self._fleet.intake.store_recovered()

    # ---- stopping ----------------------------------------------------------------------------------------------------

    def _stop_asked(self, asked: m.StopEngine) -> None:
        if asked.mark:
            mark_down(self._home)
        self._leave = asked.leave
        self._core.capacity = replace(self._core.capacity, attempts=0)  # nothing new starts
        if asked.leave:
            self._stopped.set()
        else:
            self._drain_until = time.monotonic() + STOP_WITHIN_S
            self._drain()

    def _drain(self) -> None:
        """Let executing attempts finish, for ten minutes at most; those left then belong to their keepers."""
        self._leave = any(run.fence and not run.suspended_at for run in self._core.state.runs.values())
        if not self._leave or time.monotonic() > self._drain_until:
            self._stopped.set()
        else:
            self._loop.call_later(DRAIN_LOOK_S, self._drain)

    def _stop_now(self) -> None:
        """SIGTERM: what executes is left to the keepers, who start an engine again when it is needed."""
        self._leave = True
        self._stopped.set()

    def _close(self) -> None:
        self._fleet.shut_down(leave=self._leave)
        self._core.flush_history()
        self._core.flush()
        self._core.close()
        self._closed = True
        if not self._writer.flush(10.0):
            logger.error("closing with uncommitted events: %s", self._writer.problem)
        else:
            rows = self._core.ledger.rows()
            seq, body = self._core.state.seq, self._core.state.dump()
            self._core.ledger.written(rows)
            self._store.write_snapshot(seq, body)
        self._writer.stop()
        self._reader.stop()
        self._store.interrupt()
        self._asker.stop()
        self._store.close()


def _say_removed(removed: leftovers.Removed) -> None:
    if removed.files:
        logger.info("removed %d files of old code and surroundings, %d bytes", removed.files, removed.size)


def _ignore(*_: object) -> None:
    return None


def _log_to(home: Home) -> None:
    handler = logging.handlers.RotatingFileHandler(home.engine_log, maxBytes=10 * 2**20, backupCount=4)
    handler.setFormatter(_Facts("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Facts(logging.Formatter):
    """Appends the `extra` facts of a record to its line."""

    _KNOWN = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        facts = {key: value for key, value in vars(record).items() if key not in self._KNOWN and key != "message"}
        facts.pop("asctime", None)
        return super().format(record) + (f" {facts}" if facts else "")


async def _serve(home: Home, settings: EngineSettings, *, keep: bool, umask: int) -> None:
    await Daemon(home, settings, keep=keep, umask=umask).run()


def _claim(home: Home, *, stand_by: bool) -> EngineLock | None:
    """The home, for this process; None when another has it, and with `stand_by` only when it is gone."""
    while True:
        if not (stand_by and is_marked_down(home)):
            try:
                lock = lock_home(home, version=__version__)
            except HomeLockedError:
                if not stand_by:
                    return None
            except FileNotFoundError:
                return None
            else:
                if not (stand_by and is_marked_down(home)):
                    return lock
                lock.release()  # an engine was stopped between our look and our claim
        time.sleep(STAND_BY_S)


def main(argv: list[str] | None = None) -> int:
    """Run an engine until it stops; 0 also when another engine already has the home."""
    parser = argparse.ArgumentParser(prog="kernelkit.daemon")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="do not stop when idle")
    parser.add_argument(
        "--stand-by", action="store_true", help="wait while another engine has the home, or `kernelkit down` stopped it"
    )
    parser.add_argument("--settings", help="engine settings as JSON, in place of the project's")
    options = parser.parse_args(argv)
    umask = os.umask(0o077)  # the database holds payloads; bodies get the former one back
    home = Home(options.home).create()
    lock = _claim(home, stand_by=options.stand_by)
    if lock is None:
        return 0  # whoever started us meets the engine that was quicker
    try:
        gc.set_threshold(*GC_THRESHOLDS)  # before the log is folded
        memory.use_one_heap()  # before there are threads
        _log_to(home)
        settings = (
            msgspec.json.decode(options.settings, type=EngineSettings)
            if options.settings
            else load_engine_settings(home)
        )
        anyio.run(partial(_serve, home, settings, keep=options.keep, umask=umask))
    except KernelKitError as problem:
        logger.error("engine did not start: %s", problem)
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # all is closed; what DuckDB's module says of itself at an ordinary exit would fill the log's end
