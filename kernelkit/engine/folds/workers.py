"""The part of `apply.py` that changes workers, from the plan to spawn one until it is known to have ended.

What becomes of the attempts that a worker had are events of their own, which come before `WorkerGone`.
"""

from __future__ import annotations

from kernelkit.engine.liveworker import Worker
from kernelkit.engine.state import State
from kernelkit.models import event as ev


def planned(state: State, event: ev.WorkerPlanned) -> None:
    state.workers[event.worker_id] = Worker(
        id=event.worker_id, env_id=event.env_id, isolation=event.isolation, machine=event.machine
    )
    state.by_env.setdefault(event.env_id, set()).add(event.worker_id)


def running(state: State, event: ev.WorkerRunning) -> None:
    worker = state.workers[event.worker_id]
    worker.pid, worker.started_at, worker.boot_id = event.pid, event.started_at, event.boot_id


def retired(state: State, event: ev.WorkerRetired) -> None:
    state.workers[event.worker_id].retired = True


def gone(state: State, event: ev.WorkerGone) -> None:
    worker = state.workers.pop(event.worker_id)
    members = state.by_env[worker.env_id]
    members.discard(worker.id)
    if not members:
        del state.by_env[worker.env_id]
