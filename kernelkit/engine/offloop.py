"""Reads that may block, off the loop: the answer comes back on it, and so does whatever went wrong.

A failed read belongs to whoever asked, never to the loop. `read_now` sees what is on disk at this moment, and so misses
what was just taken; `read_settled` sees that too.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.engine.core import Core
from kernelkit.engine.ports import ReadPort, T

Refuse = Callable[[Exception], None]


def read_settled(core: Core, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
    """Read off the loop, after everything taken so far is on disk."""
    core.after_commit(lambda: read_now(core, read, then, refuse))


def read_now(core: Core, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
    """Read off the loop what is on disk."""
    read_through(core.read, read, then, refuse)


def read_through(port: ReadPort, read: Callable[[], T], then: Callable[[T], None], refuse: Refuse) -> None:
    """Read through that port, and call `then` with what was read or `refuse` with what went wrong."""

    def safely() -> T | _Problem:
        try:
            return read()
        except Exception as problem:  # whatever went wrong is the asker's to know
            return _Problem(problem)

    def done(result: T | _Problem) -> None:
        if isinstance(result, _Problem):
            refuse(result.error)
        else:
            then(result)

    port(safely, done)


class _Problem:
    def __init__(self, error: Exception) -> None:
        self.error = error
