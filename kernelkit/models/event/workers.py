"""Worker processes, from the order to their end: what is known of them after a crash of the engine."""

from __future__ import annotations

from kernelkit.models.event.event import Event
from kernelkit.models.machine import Machine
from kernelkit.models.task import Isolation


class WorkerPlanned(Event, frozen=True):
    """A worker of this id is to be spawned in environment `env_id`."""

    worker_id: str
    env_id: str
    isolation: Isolation
    machine: Machine | None = None  # what its attempts may use, as clamped to the host


class WorkerRunning(Event, frozen=True):
    """The worker's process is known: enough to tell after a crash of the engine whether it still lives."""

    worker_id: str
    pid: int
    started_at: float
    boot_id: str


class WorkerRetired(Event, frozen=True):
    """The worker takes no further attempts."""

    worker_id: str


class WorkerGone(Event, frozen=True):
    """The worker's process has ended."""

    worker_id: str
