"""An asyncio loop whose clock is virtual: time passes only when it is told to, and then in no time at all.

When nothing is ready the loop would sleep until its next timer. Here it jumps there instead, as far as `allow` lets it,
and otherwise stands still and says so. A plain function that runs on a thread of its own holds the clock meanwhile.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Future
from selectors import SelectorKey
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for one thread; all public methods but `time` are for other threads."""

    def __init__(self) -> None:
        self._now = 0.0
        self._allowed = 0.0
        self._busy = 0
        self._still: list[threading.Event] = []
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now

    # ---- from other threads ------------------------------------------------------------------------------------

    def settle(self, seconds: float, timeout: float) -> bool:
        """Let `seconds` pass and return when nothing can move any more; False if that takes `timeout` real seconds."""
        still = threading.Event()

        def begin() -> None:
            self._allowed = self._now + seconds
            self._still.append(still)

        self.call_soon_threadsafe(begin)
        return still.wait(timeout)

    def ask(self, fn: Callable[[], T]) -> Future[T]:
        """Have `fn` called on the loop."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(fn())
            except Exception as error:  # it belongs to whoever asked
                future.set_exception(error)

        self.call_soon_threadsafe(call)
        return future

    # ---- on the loop -------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Something runs elsewhere that the loop cannot see: time stands until `let_go`."""
        self._busy += 1

    def let_go(self) -> None:
        self._busy -= 1

    def _sleep(self, timeout: float | None) -> bool:
        """Whether the loop may go on at once, having moved its clock, instead of standing still."""
        if self._busy:
            return False
        if timeout is not None and self._now + timeout <= self._allowed:
            self._now += timeout
            return True
        self._now = max(self._now, self._allowed)
        for still in self._still:
            still.set()
        self._still.clear()
        return False


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, Any]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        return [] if self._loop._sleep(timeout) else super().select(None)
