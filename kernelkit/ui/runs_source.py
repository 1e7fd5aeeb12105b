"""Reads some runs and hears how they change, for a live picture of them: what the tree and the timeline have in common.

What came in is kept as snapshots by id, newest wins, and taken in on the picture's thread.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from kernelkit.authoring.caller import Caller
from kernelkit.errors import KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.ui.faces import Bundle
from kernelkit.ui.heard import Heard

logger = logging.getLogger(__name__)


class Shown(Protocol):
    """The runs that are meant: a `RunTree`, a `RunTimeline`."""

    run_id: str

    @property
    def caller(self) -> Caller: ...

    def root(self) -> Run: ...

    def read(self) -> tuple[list[Run], int]:
        """The runs, oldest first, and how many there are."""
        ...

    def family(self, top: Run) -> RunFilter:
        """What they are among."""
        ...


class RunsSource(Heard, ABC):
    """A `Source` of `ui/live_view.py` over runs; a picture of its own says what is drawn of them."""

    def __init__(self, shown: Shown, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(shown.caller)
        self._shown = shown
        self._now = now or (lambda: datetime.now(UTC))
        self._runs: dict[str, Run] = {}
        self._total = 0
        self._stop: Callable[[], None] | None = None
        self._wanted: list[str] = []
        self.open_card: Callable[[str], None] | None = None
        """Shows the card of a run below the picture; on the picture's thread."""

    @property
    def caller(self) -> Caller:
        return self._caller

    def open(self) -> None:
        """Begin to listen, then read: whatever changes in between is heard."""
        top = self._shown.root()
        self._stop = self._caller.subscribe(self._shown.family(top), self)
        self.read()

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return bool(self._runs) and all(run.is_completed for run in self._runs.values())

    def read(self) -> None:
        self._raise_problem()
        if self._must_read:
            self._must_read = False
            runs, self._total = self._shown.read()
            self._runs = {run.id: run for run in runs}
        for run in self._take_heard():
            known = self._runs.get(run.id)
            self._total += known is None
            if known is None or not known.is_completed:
                self._runs[run.id] = run
        wanted, self._wanted = self._wanted, []
        if wanted and self.open_card is not None:
            try:
                self.open_card(wanted[-1])
            except KernelKitError as problem:  # the picture goes on, and tells of the engine by itself
                logger.info("a card could not be shown", extra={"run_id": wanted[-1], "reason": str(problem)})

    @abstractmethod
    def view(self) -> dict[str, Any]: ...

    @abstractmethod
    def bundle(self) -> Bundle: ...

    def asked(self, content: dict[str, Any]) -> None:
        """A click or a key of the reader's."""
        match content:
            case {"do": "card", "id": str(run_id)} if run_id in self._runs:
                self._wanted.append(run_id)
        self.wake.set()
        self.urgent.set()

    def close(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
