"""Engines for tests: `with engine() as eng:` and every KernelKit call inside the block goes to it.

Without `real_time` it is the real state machine and store, in memory, on a loop whose time stands still until
`advance` moves it. With `real_time=True` it is the daemon itself, with keeper and worker processes and the wall clock.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec

from kernelkit.authoring import caller as callers
from kernelkit.authoring import defaults
from kernelkit.authoring.hooks import forgotten_after
from kernelkit.authoring.surroundings import detect_owner
from kernelkit.client.client import Client
from kernelkit.clock import MICROS, from_datetime, to_datetime
from kernelkit.config import EngineSettings, Home
from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.decide import next_due, seconds_until
from kernelkit.engine.host import capacity_of
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.errors import KernelKitError
from kernelkit.execution.asyncio_records import follow_tasks
from kernelkit.store.store import Store
from kernelkit.store.writer import InlineWriter
from kernelkit.testing.caller import TestCaller
from kernelkit.testing.local import LocalFleet
from kernelkit.testing.loop import VirtualLoop
from kernelkit.wire import messages as m
from kernelkit.wire.discovery import lock_owner
from kernelkit.wire.launch import ENGINE_MODULE

STUCK_AFTER_S = 60.0
ASKED_TO_END = 10  # times; a body may swallow a cancellation or two
_OPEN = ("QUEUED", "DEQUEUED", "EXECUTING", "DELAYED", "WAITING", "PENDING_VERSION")


class Engine(Protocol):
    """What a test can do with its engine."""

    @property
    def now(self) -> datetime: ...

    def advance(self, **duration: float) -> None: ...

    def drain(self) -> None: ...


class VirtualEngine:
    """The engine in this process, in virtual time."""

    def __init__(self, now: datetime, home: Home, settings: EngineSettings, *, in_memory: bool) -> None:
        self._begun = from_datetime(now)
        self._loop = VirtualLoop()
        follow_tasks(self._loop)
        self._timer: Any = None
        self._thread = threading.Thread(target=self._serve, name="kernelkit-test-engine", daemon=True)
        self._thread.start()
        self._home = home
        self.caller = TestCaller(self._loop, home, detect_owner())
        self._loop.ask(lambda: self._open(settings, in_memory)).result(STUCK_AFTER_S)

    @property
    def now(self) -> datetime:
        """The virtual moment, aware, in UTC."""
        return to_datetime(self._micros())

    def advance(self, **duration: float) -> None:
        """Let time pass (`hours=24`, as for `timedelta`), firing whatever falls due on the way, in order."""
        self._settle(timedelta(**duration).total_seconds())

    def drain(self) -> None:
        """Return when nothing can move without time passing."""
        self._settle(0.0)

    def lose_workers(self) -> None:
        """Have every worker end now, as if it had been killed: what waits goes on from its checkpoints, later.

        Attempts that execute fail with `WorkerLostError`. To see whether a task that waits can be called again.
        """
        self._loop.ask(self._fleet.lose_workers).result(STUCK_AFTER_S)

    def close(self) -> None:
        for _ in range(ASKED_TO_END):
            if not self._loop.ask(self._fleet.end_all).result(STUCK_AFTER_S):
                break
            self._loop.settle(0.0, 5.0)
        self._loop.ask(self._store.close).result(STUCK_AFTER_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    # ---- on the loop's thread ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._loop.run_forever()

    def _open(self, settings: EngineSettings, in_memory: bool) -> None:
        self._store = Store.open(None if in_memory else self._home, settings)
        clock = _VirtualClock(self)
        writer = InlineWriter(self._store)
        self._core = Core(self._store, writer, clock, capacity_of(settings), SeededRoll(), soon=self._loop.call_soon)
        self._core.environment = settings.environment
        self._core.project = self._home.path.parent.name
        self._core.on_timer = self._set_timer
        self._core.suspend_after, self._core.hold_for = settings.suspend_after, settings.hold_for
        logbook = Logbook()
        self._fleet = LocalFleet(self._core, self._loop, clock, self._home, logbook)
        self.caller.requests = self._fleet.requests = Requests(
            self._core,
            Notices(self._core, logbook, self._loop.call_later),
            self._home,
            pid=0,
            started_at=self._begun,
            monotonic=self._loop.time,
            silent_for=lambda _: 0.0,
            stop=lambda _: None,
        )
        self._core.take(c.Tick())

    def _micros(self) -> int:
        return self._begun + round(self._loop.time() * MICROS)

    def _set_timer(self, at: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if at is not None:
            self._timer = self._loop.call_later(seconds_until(at, self._micros()), self._rang)

    def _rang(self) -> None:
        due = next_due(self._core.state)
        if due is not None and due <= self._micros():
            self._core.take(c.Tick())
        else:
            self._set_timer(due)

    def _settle(self, seconds: float) -> None:
        if not self._loop.settle(seconds, STUCK_AFTER_S):
            raise KernelKitError(
                f"The test engine did not come to rest within {STUCK_AFTER_S:.0f} real seconds: a task's body is still "
                "busy, or blocks on something outside."
            )
        if self._fleet.problem is not None:
            problem, self._fleet.problem = self._fleet.problem, None
            raise problem


class RealEngine:
    """The daemon, its processes and the wall clock."""

    def __init__(self, home: Home, settings: EngineSettings) -> None:
        self._home = home.create()
        given = msgspec.json.encode(settings).decode()
        self._process = subprocess.Popen(
            [sys.executable, "-m", ENGINE_MODULE, "--home", str(home.path), "--keep", "--settings", given],
            start_new_session=True,
        )
        self._wait_for_the_lock()
        self.caller = Client(home=home.path)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, **duration: float) -> None:
        """Wait for real; for the rare test that needs it."""
        time.sleep(timedelta(**duration).total_seconds())

    def drain(self) -> None:
        """Return when no run executes or may start."""
        busy = ("QUEUED", "DEQUEUED", "EXECUTING")
        while True:
            page = self.caller.call(m.ListRuns(status=busy, limit=1))
            assert isinstance(page, m.RunPage)
            if not page.runs:
                return
            self.caller.outcome(page.runs[0].id).result(STUCK_AFTER_S)

    def kill_workers(self) -> None:
        """End every worker process, as the kernel would (signal 9)."""
        status = self.caller.call(m.GetStatus())
        assert isinstance(status, m.EngineStatus)
        for worker in status.workers:
            with contextlib.suppress(ProcessLookupError):
                if worker.pid:
                    os.kill(worker.pid, signal.SIGKILL)

    def close(self) -> None:
        with contextlib.suppress(KernelKitError):
            for run in self._unfinished():
                self.caller.call(m.Cancel(run, "the test engine has ended"))
            self.caller.call(m.StopEngine(mark=False))
        self.caller.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def _wait_for_the_lock(self) -> None:
        """Else a client that finds no engine yet would start one, without these settings, and that could be quicker."""
        deadline = time.monotonic() + STUCK_AFTER_S
        while self._process.poll() is None and time.monotonic() < deadline:
            owner = lock_owner(self._home)
            if owner is not None and owner.pid == self._process.pid:
                return
            time.sleep(0.005)

    def _unfinished(self) -> list[str]:
        page = self.caller.call(m.ListRuns(status=_OPEN, limit=1000))
        assert isinstance(page, m.RunPage)
        return [run.id for run in page.runs]


class _VirtualClock:
    def __init__(self, engine: VirtualEngine) -> None:
        self._engine = engine

    def now(self) -> int:
        return self._engine._micros()


class SeededRoll:
    """The same fences, worker ids and jitter in every test."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def fence(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def worker_id(self) -> str:
        return f"w_{self._random.getrandbits(40):010x}"

    def jitter(self) -> float:
        return self._random.random()


@contextlib.contextmanager
def engine(
    *,
    now: datetime | None = None,
    home: Path | str | None = None,
    workers: int | None = None,
    real_time: bool = False,
    **settings: Any,  # any field of EngineSettings
) -> Iterator[VirtualEngine | RealEngine]:
    """An engine for the block; every KernelKit call in it, on this thread, goes there.

    `now` is the virtual start (aware); `home` keeps the database in that folder instead of in memory; `workers` is the
    number of exclusive worker processes of a `real_time` engine; other keywords are engine settings. Global hooks that
    are registered inside the block are dropped at its end.

    >>> import kernelkit as kk
    >>> @kk.task
    ... async def double(n: int) -> int:
    ...     return 2 * n
    >>> with engine() as eng:
    ...     run = double.trigger(n=21)
    ...     eng.drain()
    ...     run.result().output
    42
    """
    if workers is not None:
        settings["exclusive_workers"] = workers
    chosen = msgspec.convert(settings, EngineSettings)
    with contextlib.ExitStack() as stack:
        folder = Path(home) if home else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kernelkit-")))
        place = Home(folder / ".kernelkit" if not folder.name.startswith(".") else folder).create()
        made: VirtualEngine | RealEngine
        if real_time:
            made = RealEngine(place, chosen)
        else:
            made = VirtualEngine(now or datetime.now(UTC), place, chosen, in_memory=home is None)
        stack.callback(made.close)
        stack.enter_context(forgotten_after())
        stack.enter_context(defaults.forgotten_after())
        stack.enter_context(callers.use(made.caller))
        yield made
