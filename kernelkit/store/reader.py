"""One thread for everything that reads, so that no query ever runs on the engine's loop or beside a second one.

Two busy readers halve the commit rate on two cores; one in a queue does not.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Reader:
    """Runs functions one after another on the reading thread.

    >>> reader = Reader()
    >>> reader.submit(lambda: 6 * 7).result()
    42
    >>> reader.stop()
    """

    def __init__(self, name: str = "kernelkit-store-reader") -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def submit(self, read: Callable[[], T]) -> Future[T]:
        """Have `read` called on the reading thread; its result or error is in the future."""
        return self._pool.submit(read)

    def call(
        self, read: Callable[[], T], post: Callable[[Callable[[], None]], object], then: Callable[[Future[T]], None]
    ) -> None:
        """Have `read` called on the reading thread, and then `then` with its future, carried by `post`.

        `then` does not hold the future itself: it would be in a cycle with it, and a snapshot or a page of runs, and
        what was read, would stay in memory until the collector comes by.
        """
        self.submit(read).add_done_callback(lambda future: post(partial(then, future)))

    def stop(self) -> None:
        """Let the current read end, drop the others, end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
