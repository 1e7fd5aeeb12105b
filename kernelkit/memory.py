"""Gives memory back to the system that the C library only keeps at hand.

What a burst of work has freed stays with the process: glibc returns the end of a heap, and only of some. After ten
thousand triggers that is a tenth of an engine's memory, for as long as it lives.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> bool:
    """Return free pages to the system; False where the C library cannot. Takes a few milliseconds: for quiet moments.

    >>> give_back() in (True, False)
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):  # another C library than glibc
        return False
