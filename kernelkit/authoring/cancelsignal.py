"""`CancelSignal`: how a body hears that it should stop.

Any thread may set it and any may wait, on a loop or not. KernelKit itself waits by it as well, where what sets it is on
another thread than what waits.
"""

from __future__ import annotations

import asyncio
import threading


class CancelSignal:
    """Tells a body that it should stop: `await signal.wait()`, `signal.is_set()`, `signal.reason`.

    Take a parameter named `signal` and the body is given time to end by itself before it is cancelled. It may be set
    and waited for from any thread; `wait_sync` is for plain functions.

    >>> signal = CancelSignal()
    >>> signal.is_set(), signal.wait_sync(timeout=0)
    (False, False)
    >>> signal.set("Canceled by user")
    >>> signal.wait_sync(), signal.reason
    (True, 'Canceled by user')
    """

    __slots__ = ("_event", "_lock", "_waiters", "reason")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.reason: str | None = None

    def set(self, reason: str) -> None:
        """Ask the body to stop; the first reason stays."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            waiters, self._waiters = self._waiters, []
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, waiter)

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Return once the signal is set; at once if it is."""
        with self._lock:
            if self._event.is_set():
                return
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append((loop, waiter))
        await waiter

    def wait_sync(self, timeout: float | None = None) -> bool:
        """Block until the signal is set, at most `timeout` seconds; says whether it is set."""
        return self._event.wait(timeout)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
