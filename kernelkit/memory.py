"""Has a process hold on to less memory that nobody uses.

What a burst of work has freed stays with the process: glibc returns the end of a heap, and only of some, and gives
threads heaps of their own, full of holes. After ten thousand triggers that is a fifth of an engine's memory, for as
long as it lives. Where there is another C library, nothing happens. And of a large library's code, DuckDB's above all,
the pages that were ever looked at stay mapped, 30 MB of them.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
_MADV_DONTNEED = 4
_LARGE_BYTES = 8 * 2**20


def use_one_heap() -> None:
    """Have the threads that are started from now on share one heap. For a process whose threads take turns anyway."""
    _call("mallopt", _M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free pages to the system, and those of large libraries' code, which come back as they are needed.

    Takes a few milliseconds, and the next work one or two more: for quiet moments.

    >>> give_back()
    """
    _call("malloc_trim", 0)
    for begin, end in _large_code():
        _call("madvise", ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def _large_code() -> list[tuple[int, int]]:
    """Where code of this process lies that is read from a file and never written to: only that can be read again."""
    try:
        with open("/proc/self/maps") as file:
            found = [line.split() for line in file if " r-xp " in line and line.rstrip().endswith(".so")]
    except OSError:  # not Linux
        return []
    places = [tuple(int(place, 16) for place in line[0].split("-")) for line in found]
    return [(begin, end) for begin, end in places if end - begin >= _LARGE_BYTES]


def _call(name: str, *arguments: int | ctypes.c_void_p | ctypes.c_size_t) -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        getattr(ctypes.CDLL(None), name)(*arguments)
    except (OSError, AttributeError):  # another C library than glibc
        return
