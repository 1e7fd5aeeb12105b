"""Which process, which boot: what the engine and its keepers ask of processes that are not their children.

Apart from `discovery.py` because clients need none of it, and psutil costs every `%load_ext` some 20 ms.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

_START_TOLERANCE_S = 2.0  # the same start read by two processes may differ when the clock is set


def boot_id() -> str:
    """Changes with each boot of the machine, so that a pid from before it is known to be dead."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(int(psutil.boot_time()))


def process_started_at(pid: int) -> float:
    """Start time of a process (seconds since 1970), 0.0 when there is none; with the pid it names one process."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far; 0.0 when there is none."""
    try:
        used = psutil.Process(pid).cpu_times()
        return float(used.user + used.system)
    except psutil.Error:
        return 0.0


def is_alive(pid: int, started_at: float = 0.0) -> bool:
    """Whether that very process still runs. A zombie does not; nor does another that got its pid."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return not started_at or abs(process.create_time() - started_at) <= _START_TOLERANCE_S
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
