"""What this host has for attempts: the capacity of an engine, out of its settings.

What a newcomer would get wrong: in a container the memory of the machine is not what one may use; the limit of the
control group is, where there is one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kernelkit.config import EngineSettings
from kernelkit.engine.commands import Capacity

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # version 2, seen from inside a container
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # version 1
)


def capacity_of(settings: EngineSettings) -> Capacity:
    """The limits of a project, and of the host where the settings do not say."""
    return Capacity(
        attempts=settings.concurrency_limit,
        exclusive=settings.exclusive_workers,
        shared_workers=settings.shared_workers,
        cpu=settings.machine_vcpus or host_cpus(),
        memory=settings.machine_memory_bytes or host_memory(),
        strict_machines=settings.strict_machines,
        held=settings.held_workers,
        queue_size=settings.queue_size_limit or None,
    )


def host_cpus() -> float:
    """Processors this process may use."""
    with contextlib.suppress(AttributeError):  # macOS has no such call
        return float(len(os.sched_getaffinity(0)))
    return float(os.cpu_count() or 1)


def host_memory() -> int:
    """Bytes of memory that processes here may hold together."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_group_limits()])


def _group_limits() -> list[int]:
    found = []
    for file in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # there is none, or it says "max"
            found.append(int(file.read_text()))
    return found
