"""Ending processes for good, and what the system tells about them.

What a newcomer would get wrong: killing a process group is not enough. A child with a session of its own survives it,
and one that forks while it is being killed leaves another; so the tree is stopped first, walked until nothing new turns
up, and killed then. Killed children stay zombies until someone reaps them: `/proc/<pid>` existing is not being alive
(`wire.liveness.is_alive` reads the state).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
WORKER_MARK = "KERNELKIT_WORKER_ID"  # inherited by whatever a worker starts: how an escaped process is told to be its
_PASSES = 20  # of walking a tree that goes on forking while it is stopped


def kill_tree(pid: int, *, group: bool = True) -> set[int]:
    """SIGKILL to `pid`, to everything below it and (with `group`) to its process group; the pids that were found.

    The caller reaps what is its child. A process that is gone already is no error.
    """
    found: set[int] = set()
    for _ in range(_PASSES):
        fresh = ({pid} | _below(pid) | {low for high in found for low in _below(high)}) - found
        if not fresh:
            break
        for member in fresh:
            _signal(member, signal.SIGSTOP)  # what is stopped does not fork
        found |= fresh
    if group:
        kill_group(pid)
    for member in found:
        _signal(member, signal.SIGKILL)
    return found


def kill_group(pgid: int) -> None:
    """SIGKILL to a whole process group, which may have no members any more."""
    if pgid != os.getpgrp():  # never our own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pgid, signal.SIGKILL)


def kill_marked(worker_id: str) -> set[int]:
    """SIGKILL to whatever a worker has started, wherever it went since; not to this process. The pids."""
    found: set[int] = set()
    for _ in range(_PASSES):
        others = (pid for pid in psutil.pids() if pid != os.getpid() and pid not in found)
        fresh = {pid for pid in others if variable_of(pid, WORKER_MARK) == worker_id}
        if not fresh:
            break
        for pid in fresh:
            _signal(pid, signal.SIGKILL)
        found |= fresh
    return found


def _below(pid: int) -> set[int]:
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except psutil.Error:
        return set()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def children() -> set[int]:
    """Pids of this process's own children, zombies included."""
    try:
        return {child.pid for child in psutil.Process().children()}
    except psutil.Error:
        return set()


def variable_of(pid: int, name: str) -> str | None:
    """A variable of the environment another process was started with; None when it has none or cannot be looked at."""
    start = os.fsencode(name) + b"="
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((os.fsdecode(entry[len(start) :]) for entry in entries if entry.startswith(start)), None)


def peak_memory(pid: int) -> int | None:
    """The most resident memory a living process has had so far, in bytes."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def become_subreaper() -> bool:
    """Have orphaned descendants re-parented to this process (Linux), which must then reap them."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
