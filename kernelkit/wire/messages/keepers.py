"""What the engine and a keeper tell each other: spawn and kill workers, and what became of them."""

from __future__ import annotations

from typing import Literal

from kernelkit.models.machine import Machine
from kernelkit.wire.messages.message import Message


class SpawnWorker(Message, frozen=True):
    worker_id: str
    kind: Literal["shared", "process"]
    machine: Machine | None = None  # cap its memory, and tell its libraries how many threads to start


class KillWorker(Message, frozen=True):
    """Engine → keeper: end this worker and every process below it now."""

    worker_id: str


class KeeperShutdown(Message, frozen=True):
    """Engine → keeper: stop your workers and exit."""


class WorkerSpawned(Message, frozen=True):
    worker_id: str
    pid: int
    started_at: float


class WorkerExited(Message, frozen=True):
    """`returncode` as `subprocess` gives it: negative is a signal. `killed` when this keeper did it on request."""

    worker_id: str
    returncode: int
    killed: bool = False
    peak_memory: int | None = None
    stderr_tail: str = ""
    out_of_memory: bool = False  # the keeper ended it over its cap, or the kernel ended a process for memory meanwhile
    begun: tuple[str, ...] | None = None  # fences of attempts whose code had begun; None when that is not known


class SpawnFailed(Message, frozen=True):
    worker_id: str
    reason: str
