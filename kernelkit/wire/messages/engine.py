"""Messages about the engine itself: how it is, and that it should stop."""

from __future__ import annotations

import msgspec

from kernelkit.models.pulse import Beats
from kernelkit.wire.messages.message import Message


class GetStatus(Message, frozen=True):
    """→ `EngineStatus`; without `history` only live runs are counted, which costs nothing to ask every second."""

    history: bool = True


class WorkerInfo(msgspec.Struct, frozen=True):
    id: str
    kind: str
    pid: int
    env_id: str
    attempts: int
    silent_s: float = 0.0  # how long a shared worker's loop has not answered
    doing: tuple[str, ...] = ()  # tasks of its attempts, at most 3
    suspended: int = 0  # of its attempts those that only wait
    memory: int = 0  # bytes it holds; 0 where that cannot be read
    memory_limit: int = 0  # of its machine; 0 = no cap of its own
    since: int = 0  # when it began what it does, or else was started


class QueueHeld(msgspec.Struct, frozen=True):
    """Why the first runs of a queue do not start."""

    queue: str
    queued: int
    reason: str


class EngineStatus(Message, frozen=True):
    pid: int
    version: str
    home: str
    started_at: int
    runs: dict[str, int]  # by status; live runs, plus everything in history
    executing: int
    limit: int
    workers: tuple[WorkerInfo, ...]
    clients: int
    store_problem: str = ""  # in words, while the store cannot commit
    log_path: str = ""
    pulse: Beats = Beats()
    memory_limit: int = 0  # bytes that all workers together may hold
    engine_memory: int = 0
    held: tuple[QueueHeld, ...] = ()  # queues with runs in line, the longest first, at most 5
    commit: float = -1.0  # seconds that the latest commits took: their median; -1 while there was none
    commit_p95: float = -1.0


class StopEngine(Message, frozen=True):
    """→ `Done`, then the engine stops. `leave` leaves executing attempts to their keepers instead of letting them
    finish; `mark` writes the note that keeps clients from starting it again by themselves."""

    leave: bool = False
    mark: bool = True
