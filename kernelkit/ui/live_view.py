"""Keeps a picture up to date that is about many runs: a tree, a table, a queue.

Each picture that is live has a thread of its own, for what it shows is read from the engine by pages and that may take
as long as the client has patience. It ends when there is nothing left to change, when its widget is closed, or when its
cell is executed again; then the static face takes the widget's place. Run cards, of which there may be many, share one
thread instead (`ui/live.py`).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from kernelkit.errors import KernelKitError
from kernelkit.ui.faces import Bundle
from kernelkit.ui.live import MAX_WIDGETS
from kernelkit.ui.silence import Silence

PAINT_EVERY_S = 0.5
BEAT_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class Source(Protocol):
    """What a live picture is made from. Called on the picture's thread only, but for `reread`, `asked` and `close`."""

    @property
    def wake(self) -> threading.Event:
        """Set whenever there may be something new to draw."""
        ...

    @property
    def urgent(self) -> threading.Event:
        """Set when the reader waits for it."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        ...

    @property
    def is_connected(self) -> bool: ...

    def read(self) -> None:
        """Take in what has changed; may ask the engine."""
        ...

    def view(self) -> dict[str, Any]:
        """What the widget is sent now."""
        ...

    def bundle(self) -> Bundle:
        """The static faces as of now."""
        ...

    def reread(self) -> None:
        """Have the next `read` ask the engine for everything; on any thread."""
        ...

    def asked(self, content: dict[str, Any]) -> None:
        """A click or a key of the reader's, on any thread; returns at once."""
        ...

    def close(self) -> None: ...


class Widget(Protocol):
    """What a live picture needs of its widget (`ui/view_widget.py`)."""

    def paint(self, view: dict[str, Any]) -> None: ...
    def heartbeat(self, *, silent_since: float | None) -> None: ...
    def close(self) -> None: ...


class LiveView:
    """One display that follows its source."""

    def __init__(
        self,
        source: Source,
        widget: Widget,
        publish: Callable[[Bundle], None],
        *,
        every_s: float = math.inf,
        pace_s: float | None = None,
    ) -> None:
        """Painted at most every `pace_s` seconds, half a second if not given, and at once when the reader waits.

        With `every_s` the source is read so often, and not only when it says that there is something new.
        """
        self._every_s = every_s
        self._pace_s = pace_s
        self._source = source
        self._widget = widget
        self._publish = publish
        self._stopped = False
        self._silence = Silence()
        self._round = threading.Condition()
        self._begun = self._done = 0  # rounds
        self.cell = self.execution = ""

    def begin(self) -> None:
        threading.Thread(target=self._follow, name="kernelkit-view", daemon=True).start()

    def stop(self) -> None:
        """End it where it stands; its output has been cleared, or there are too many."""
        self._stopped = True
        self._source.wake.set()
        self._source.urgent.set()

    def catch_up(self, patience_s: float) -> None:
        """Wait until the picture is of a moment after this one, or its static face stands in its place."""
        with self._round:
            last = self._begun
            self._source.reread()
            self._source.urgent.set()
            self._round.wait_for(lambda: self._done > last, patience_s)

    def _follow(self) -> None:
        try:
            self._paint_until_over()
        except KernelKitError as problem:  # no engine came back within the client's patience
            logger.info("a live view has ended", extra={"reason": str(problem)})
        finally:
            self._source.close()
            self._publish(self._source.bundle())
            self._widget.close()
            _views.forget(self)
            with self._round:
                self._done = self._begun + 1
                self._round.notify_all()

    def _paint_until_over(self) -> None:
        source = self._source
        while not self._stopped:
            source.wake.clear()
            source.urgent.clear()
            with self._round:
                self._begun += 1
            begun = time.thread_time()
            source.read()
            if source.is_connected:
                self._widget.paint(source.view())
            else:  # what is known stays, and the strip with it
                self._beat()
            if source.is_over:
                return
            with self._round:
                self._done = self._begun
                self._round.notify_all()
            # A picture of ten thousand runs takes a fifth of a second to make: it is made less often then.
            pace_s = max(self._pace_s or PAINT_EVERY_S, 4 * (time.thread_time() - begun))
            source.urgent.wait(pace_s)
            left_s = self._every_s - pace_s
            while left_s > 0 and not source.wake.wait(min(BEAT_EVERY_S, left_s)):
                self._beat()
                left_s -= BEAT_EVERY_S
                if not source.is_connected:  # a source that does not end with its engine looks for it when it is read
                    break

    @property
    def is_connected(self) -> bool:
        return self._source.is_connected

    def _beat(self) -> None:
        self._widget.heartbeat(silent_since=self._silence.since(is_connected=self._source.is_connected))


class LiveViews:
    """All live pictures of the process but run cards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: list[LiveView] = []

    def add(self, view: LiveView, cell: str, execution: str) -> None:
        """Follow it, and stop what an earlier execution of the same cell showed."""
        view.cell, view.execution = cell, execution
        with self._lock:
            old = [one for one in self._views if cell and one.cell == cell and one.execution != execution]
            old += self._views[: max(0, len(self._views) + 1 - MAX_WIDGETS)]
            self._views.append(view)
        for one in old:
            one.stop()
        view.begin()

    def settle(self, patience_s: float) -> None:
        """Wait until every picture whose engine is there has caught up, all together at most so long."""
        by = time.monotonic() + patience_s
        with self._lock:
            views = list(self._views)
        for view in views:
            if view.is_connected:
                view.catch_up(max(0.0, by - time.monotonic()))

    def forget(self, view: LiveView) -> None:
        with self._lock:
            if view in self._views:
                self._views.remove(view)

    @property
    def count(self) -> int:
        with self._lock:
            return len(self._views)


_views = LiveViews()


def views() -> LiveViews:
    """Those of this process."""
    return _views
