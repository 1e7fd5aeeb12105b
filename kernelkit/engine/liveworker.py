"""A worker as the engine knows it: planned, running or retired, until it is known to have ended."""

from __future__ import annotations

import msgspec

from kernelkit.models.machine import Machine
from kernelkit.models.task import Isolation


class Worker(msgspec.Struct, omit_defaults=True):
    """A worker process, from the plan to spawn it until it is known to have ended."""

    id: str
    env_id: str
    isolation: Isolation
    pid: int = 0
    started_at: float = 0.0
    boot_id: str = ""
    retired: bool = False
    machine: Machine | None = None
