"""Whether the end of a worker's process was for lack of memory. Pure.

What a newcomer would get wrong: the kernel kills a process that is out of memory with the same signal 9 as a person
does; only the counter of its control group, or how close to its cap the process was, tells them apart.
"""

from __future__ import annotations

import re
import signal

EXIT_OUT_OF_MEMORY = 71
"""What a worker exits with when it had not even the memory to say so."""

NEAR_THE_CAP = 0.9

# How allocators of Rust and C++ take their leave when a cap refuses them memory.
_LAST_WORDS = re.compile(r"memory allocation of \d+ bytes failed|std::bad_alloc|out of memory", re.IGNORECASE)


def ended_for_memory(
    returncode: int,
    *,
    killed: bool,
    oom_kills: int,
    peak: int | None,
    cap: int | None,
    stderr: str = "",
) -> bool:
    """`killed`: by us; `oom_kills`: processes of its control group that the kernel killed for memory meanwhile.

    >>> ended_for_memory(-9, killed=False, oom_kills=0, peak=95, cap=100)
    True
    >>> ended_for_memory(-9, killed=True, oom_kills=0, peak=95, cap=100)
    False
    """
    if killed:
        return False
    if returncode == -signal.SIGKILL:
        return oom_kills > 0 or (cap is not None and peak is not None and peak >= NEAR_THE_CAP * cap)
    if cap is None:
        return False
    if returncode == -signal.SIGABRT:
        return _LAST_WORDS.search(stderr) is not None
    return returncode == EXIT_OUT_OF_MEMORY
