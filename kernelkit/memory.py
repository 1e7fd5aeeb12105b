"""Has the C library hold on to less memory that nobody uses.

What a burst of work has freed stays with the process: glibc returns the end of a heap, and only of some, and gives
threads heaps of their own, full of holes. After ten thousand triggers that is a fifth of an engine's memory, for as
long as it lives. Where there is another C library, nothing happens.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """Have the threads that are started from now on share one heap. For a process whose threads take turns anyway."""
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free pages to the system. Takes a few milliseconds: for quiet moments.

    >>> give_back()
    """
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        getattr(ctypes.CDLL(None), name)(*arguments)
    except (OSError, AttributeError):  # another C library than glibc
        return
