"""What a subscription tells of runs, put aside until the picture that shows them takes it in on its own thread."""

from __future__ import annotations

import threading

from kernelkit.authoring.caller import Caller
from kernelkit.errors import KernelKitError
from kernelkit.models.run import Run
from kernelkit.ui.silence import has_engine


class Heard:
    """The listening half of a `Source` of `ui/live_view.py`: of each run its newest snapshot."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._lock = threading.Lock()
        self._came: dict[str, Run] = {}
        self._must_read = True  # all of it, as some of what has changed was not told
        self._problem: Exception | None = None
        self.wake = threading.Event()
        self.urgent = threading.Event()

    # ---- as the caller's thread calls it ---------------------------------------------------------------------------

    def changed(self, run: Run) -> None:
        with self._lock:
            self._came[run.id] = run
        self.wake.set()

    def reconnected(self) -> None:
        self.reread()

    def reread(self) -> None:
        """What was told may not be all: read everything in the next round."""
        self._must_read = True
        self.wake.set()

    def failed(self, problem: Exception) -> None:
        self._problem = problem
        self.wake.set()

    # ---- on the picture's thread -----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return has_engine(self._caller)

    def _raise_problem(self) -> None:
        """Raise what ended the subscription, if anything has."""
        if self._problem is not None:
            raise KernelKitError(str(self._problem)) from self._problem

    def _take_heard(self) -> list[Run]:
        """The runs that have changed since this was asked last."""
        with self._lock:
            came, self._came = self._came, {}
        return list(came.values())
