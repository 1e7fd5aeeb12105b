"""A core on a store in memory, with ports that note what they were asked and a loop that is turned by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from kernelkit.config import EngineSettings
from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.models.run import Run
from kernelkit.store.rows import Batch
from kernelkit.store.store import Store
from kernelkit.wire import messages as m
from tests.engine.samples import T0, Roll, item, spec

T = TypeVar("T")
Call = Callable[[], None]


class StandingClock:
    def __init__(self) -> None:
        self.moment = T0

    def now(self) -> int:
        return self.moment


class HeldWriter:
    """Commits into the store when the test says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[Batch, Call | None]] = deque()
        self.problem = ""
        self.batches: list[Batch] = []

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def put(self, batch: Batch, committed: Call | None) -> None:
        self._waiting.append((batch, committed))

    def commit(self) -> None:
        """Everything put so far, and what follows from it."""
        while self._waiting:
            batch, committed = self._waiting.popleft()
            self._store.append(batch)
            self.batches.append(batch)
            if committed is not None:
                committed()


class Workers:
    """Notes what leaves for workers."""

    def __init__(self) -> None:
        self.started: list[m.StartAttempt] = []
        self.stopped: list[tuple[str, m.StopAttempt]] = []
        self.told: list[m.WaitsOver] = []
        self.ended: list[str] = []

    def start(self, worker_id: str, env_id: str, attempt: m.StartAttempt) -> None:
        self.started.append(attempt)

    def stop(self, worker_id: str, attempt: m.StopAttempt) -> None:
        self.stopped.append((worker_id, attempt))

    def tell(self, worker_id: str, results: m.WaitsOver) -> None:
        self.told.append(results)

    def let_go(self, worker_id: str) -> None:
        self.ended.append(worker_id)


class Notes:
    """Notes what leaves for clients."""

    are_heard = True

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.ends: list[Run] = []

    def changed(self, run_id: str, *, status_changed: bool) -> None:
        self.changes.append(run_id)

    def ended(self, run: Run) -> None:
        self.ends.append(run)

    def queues_changed(self) -> None:
        self.changes.append("queues")


class Bench:
    """A core and everything around it; `settle` turns the loop until nothing is left to do."""

    def __init__(self, former: Bench | None = None) -> None:
        self.store: Store = former.store if former else Store.open(None, EngineSettings())
        self.roll: Roll = former.roll if former else Roll()  # no fence or worker id is ever given twice
        self.writer = HeldWriter(self.store)
        self.clock = StandingClock()
        self.soon: deque[Call] = deque()
        self.timers: list[int | None] = []
        self.core = Core(self.store, self.writer, self.clock, c.Capacity(), self.roll, soon=self.soon.append)
        self.workers, self.notes = Workers(), Notes()
        self.core.workers, self.core.notices = self.workers, self.notes
        self.core.on_timer = self.timers.append
        if former is None:
            self.core.take(c.DefineTask(spec()))
            self.settle()

    def turn(self) -> None:
        """One turn of the loop: what was taken goes to the writer."""
        for _ in range(len(self.soon)):
            self.soon.popleft()()

    def settle(self) -> None:
        while self.soon or self.writer.is_waiting:
            self.turn()
            self.writer.commit()

    def again(self) -> Bench:
        """A new engine on the same store, as after a crash: what was not committed is gone."""
        return Bench(self)

    def trigger(self, run_id: str, then: Call | None = None, **changes: Any) -> None:  # any field of an item
        self.core.take(c.TriggerRuns((item(run_id, **changes),)), then)

    def report(self, run_id: str, body: m.ReportBody) -> None:
        self.core.take(c.TakeReport(run_id, self.core.state.runs[run_id].fence, body))
