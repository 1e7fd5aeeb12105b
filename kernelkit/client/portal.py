"""One background thread with an event loop of its own, through which a process talks to engines.

The kernel's own loop belongs to the person and may be busy or blocked; this one never runs people's code but the
callbacks of `watch`. What a newcomer would get wrong: after `os.fork` the child has the objects but not the thread, so
whoever holds a portal asks `is_usable` and makes a new one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

THREAD_NAME = "kernelkit-portal"

_open: weakref.WeakSet[Portal] = weakref.WeakSet()
_inherited: list[object] = []  # portals of the process that forked us: kept so that nothing of theirs is finalised here


class Portal:
    """A running loop on a daemon thread. Functions are handed over with `run_soon`, in order, from any thread."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._is_closed = False
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_woken = False
        self._context = contextvars.Context()  # an empty one: a caller's context must not live on in our tasks
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name=THREAD_NAME, daemon=True)
        self._thread.start()
        started.wait()
        _open.add(self)

    @property
    def is_usable(self) -> bool:
        """False after a fork and after `close`."""
        return self._pid == os.getpid() and not self._is_closed

    @property
    def is_here(self) -> bool:
        """Whether this code runs on the portal's own thread, where waiting for an answer would wait for ever."""
        return threading.current_thread() is self._thread

    def run_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function` on the loop. A thousand of these in a row wake it once."""
        self._inbox.append((function, arguments))
        if not self._is_woken:
            self._is_woken = True
            self.loop.call_soon_threadsafe(self._drain, context=self._context)

    def close(self, last: Callable[[], object] | None = None) -> None:
        """Call `last`, stop the loop and end the thread."""
        if not self.is_usable or self.is_here:
            return
        self._is_closed = True
        if last is not None:
            self.run_soon(last)
        self.run_soon(self._stop)
        self._thread.join(timeout=2.0)

    def _stop(self) -> None:
        # one more turn of the loop, so that what was just closed is written and told
        self.loop.call_soon(self.loop.call_soon, self.loop.stop)

    def _drain(self) -> None:
        self._is_woken = False
        while self._inbox:
            function, arguments = self._inbox.popleft()
            try:
                function(*arguments)
            except Exception:  # one bad call must not end the loop for all others; it is logged with its traceback
                logger.exception("portal call failed")

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(started.set)
        try:
            self.loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()


def _at_exit() -> None:
    for portal in list(_open):
        portal.close()


def _in_child() -> None:
    _inherited.extend(_open)
    _open.clear()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_in_child)
