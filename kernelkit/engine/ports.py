"""What the engine is given from outside: whoever writes, sends, tells, reads, and starts keepers.

None of them may be told anything before the commit of what it says; `core.py` sees to that. The daemon puts loops and
sockets behind them, the test engine virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from kernelkit.models.run import Run
from kernelkit.store.rows import Batch
from kernelkit.wire import messages as m

Then = Callable[[], None]
T = TypeVar("T")


class WriterPort(Protocol):
    """Commits batches in the order given and then calls `committed` on the loop."""

    @property
    def problem(self) -> str: ...

    def put(self, batch: Batch, committed: Then | None) -> None: ...


class WorkersPort(Protocol):
    """Whoever gets attempts to workers; called only after the commit."""

    def start(self, worker_id: str, env_id: str, attempt: m.StartAttempt) -> None: ...

    def stop(self, worker_id: str, attempt: m.StopAttempt) -> None: ...

    def tell(self, worker_id: str, results: m.WaitsOver) -> None:
        """Give an attempt what came of its waits."""
        ...

    def let_go(self, worker_id: str) -> None:
        """End a process whose suspended attempt has left it."""
        ...


class NoticesPort(Protocol):
    """Whoever tells clients what became of runs; called only after the commit."""

    @property
    def are_heard(self) -> bool:
        """Whether anybody wants to hear of changes now; whoever comes later is told how things are then."""
        ...

    def changed(self, run_id: str, *, status_changed: bool) -> None: ...

    def ended(self, run: Run) -> None: ...

    def queues_changed(self) -> None: ...


class ReadPort(Protocol):
    """Runs a blocking read off the loop and then calls back on it."""

    def __call__(self, fn: Callable[[], T], then: Callable[[T], None]) -> None: ...


class KeeperLauncher(Protocol):
    """Starts keeper programs; `engine/keepers.py` does it with processes."""

    def launch(self, env_id: str) -> None:
        """Start a keeper; raises `KernelKitError` in words when that is impossible."""
        ...

    def failure(self, env_id: str) -> str | None:
        """Why the launched keeper has ended, or None while it runs."""
        ...
