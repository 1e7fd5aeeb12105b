"""Caps on memory, and counts of threads: how a machine preset is made true for a process.

Two nets. Inside the process RLIMIT_DATA refuses what does not fit, at once and as a `MemoryError`, which names the line
and leaves the worker usable; it is lowered for each attempt and lifted after it. From outside the keeper adds up what
the process holds together with those it started, and kills them all over the cap. A control group would do both, but
only where its memory controller is ours to write, which in containers and on most desktops it is not.

What a newcomer would get wrong: RLIMIT_DATA counts what is reserved, not what is resident. What the process had
reserved and not touched before the attempt (stacks of threads, arenas) is therefore allowed on top.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from kernelkit.models.machine import Machine

ALLOWANCE = 64 * 2**20  # above the cap, before the keeper kills: what was reserved before the attempt may get used

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "PYTHON_CPU_COUNT",  # `os.cpu_count()` from Python 3.13 on
)


def thread_variables(machine: Machine | None) -> dict[str, str]:
    """Variables that tell libraries how many threads to start; they read them once, when they are imported.

    >>> thread_variables(Machine("medium-2x", 2, 4 * 2**30))["OMP_NUM_THREADS"]
    '2'
    """
    return {} if machine is None else dict.fromkeys(THREAD_VARIABLES, str(machine.threads))


class MemoryCap:
    """The inner net of one process; without a size it caps nothing."""

    def __init__(self, size: int | None) -> None:
        self._size = size

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Refuse memory over the cap in this block, in every thread of the process."""
        before = self._lower()
        try:
            yield
        finally:
            self._set(before)

    def lift(self) -> None:
        """Refuse nothing any more until the next block: what went wrong has to be told."""
        if self._size is not None:
            self._set(resource.getrlimit(resource.RLIMIT_DATA)[1])

    def _lower(self) -> int:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if self._size is not None:
            status = _status(os.getpid())
            unused = max(0, status.get("VmData", 0) - status.get("RssAnon", 0))
            wanted = self._size + unused
            self._set(wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
        return soft

    def _set(self, soft: int) -> None:
        if self._size is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def tree_memory(pid: int, enough: int) -> int:
    """Bytes that a process and all below it hold, files that can be read again not counted.

    Pages that they share are counted once, but that is looked at only when the plain sum is over `enough`.
    """
    try:
        pids = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return 0
    held = sum(_held(each) for each in pids)
    return held if held <= enough or len(pids) == 1 else sum(_share(each) for each in pids)


def _held(pid: int) -> int:
    status = _status(pid)
    if "RssAnon" in status:
        return status["RssAnon"] + status.get("RssShmem", 0)
    with contextlib.suppress(psutil.Error):  # no Linux, or it has just ended
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _share(pid: int) -> int:
    facts = _facts(Path(f"/proc/{pid}/smaps_rollup"))
    return facts.get("Pss_Anon", 0) + facts.get("Pss_Shmem", 0) if facts else _held(pid)


def _status(pid: int) -> dict[str, int]:
    return _facts(Path(f"/proc/{pid}/status"))


def _facts(file: Path) -> dict[str, int]:
    """The lines `Name:   123 kB` of a file in /proc, in bytes; empty where there is none."""
    found = {}
    with contextlib.suppress(OSError):
        for line in file.read_text().splitlines():
            if line.endswith(" kB"):
                name, _, size = line.partition(":")
                found[name] = int(size[:-3]) * 1024
    return found


def oom_kills() -> int:
    """How many processes of this control group the kernel has killed for lack of memory."""
    for file in _counters():
        with contextlib.suppress(OSError, ValueError):
            for line in file.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def _counters() -> Iterator[Path]:
    root = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers == "":  # version 2
                yield root / place.lstrip("/") / "memory.events"
                yield root / "memory.events"
            elif "memory" in controllers.split(","):
                yield root / "memory" / place.lstrip("/") / "memory.oom_control"
                yield root / "memory" / "memory.oom_control"
