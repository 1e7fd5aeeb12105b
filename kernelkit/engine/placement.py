"""Who may start next, and on which worker.

Pure: `next_dispatch` returns the events of one dispatch; the caller applies them and asks again. Whose turn it is says
`turns.py`; why a run is not running says `reasons.py`, and the two must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.engine.commands import Capacity, Roll
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.liveworker import Worker
from kernelkit.engine.machines import fits, granted
from kernelkit.engine.state import State
from kernelkit.engine.turns import KINDS, SHARED
from kernelkit.models import event as ev
from kernelkit.models.machine import Machine
from kernelkit.models.task import Isolation, TaskVersion


def next_dispatch(state: State, capacity: Capacity, now: int, roll: Roll) -> Sequence[ev.AnyEvent]:
    """The events that start the next run, or none when nobody may start."""
    if not capacity.attempts:  # the engine is stopping: not even a run that has kept its slot starts again
        return ()
    moment = max(now, state.clock)
    if state.turns.throttled:
        state.turns.wake(moment)
    for run_id in state.kept:  # these hold their slots already
        if state.has_token(state.runs[run_id].queue, moment):
            return dispatch(state, state.runs[run_id], capacity, now, roll)
    if state.paused or len(state.holders) >= capacity.attempts:
        return ()
    kinds = KINDS if state.executing_exclusive() < capacity.exclusive else SHARED
    firsts = state.turns.firsts(kinds, moment)
    # The kinds of one copy have the same rank: among them the run with the lowest order goes first.
    too_large = False
    if len(firsts) > 1:
        firsts.sort(key=lambda first: (first[0], first[1].order))
    for _, run in firsts:
        if run.machine and too_large:  # it would keep the larger one from ever starting
            continue
        if not run.machine or fits(state, run.machine, capacity):
            return dispatch(state, run, capacity, now, roll)
        too_large = True
    return ()


def dispatch(state: State, run: LiveRun, capacity: Capacity, now: int, roll: Roll) -> Sequence[ev.AnyEvent]:
    """The events that give `run` to a worker, planning one where none is free."""
    if run.suspended_at and run.fence:  # its worker has it still
        return (ev.RunResumed(now, run.id, run.fence, run.fresh),)
    locked = bool(run.version)
    version = locked_version(state, run)
    spec = version.spec
    env_id = run.env_id or spec.env_id  # one bundle may be triggered from several surroundings
    events: list[ev.AnyEvent] = []
    machine = granted(run.machine, capacity) if run.machine else None
    worker_id = _free_worker(state, env_id, run.isolation, capacity, machine)
    if worker_id is None:
        worker_id = roll.worker_id()
        events.append(ev.WorkerPlanned(now, worker_id, env_id, run.isolation, machine))
    events.append(
        ev.RunDispatched(
            at=now,
            run_id=run.id,
            fence=roll.fence(),
            worker_id=worker_id,
            attempt=run.attempt if run.suspended_at else run.attempt + 1,
            version=run.version if locked else version.number,
            bundle=run.bundle if locked else spec.bundle,
            env_id=env_id,
            max_attempts=run.max_attempts or spec.retry.max_attempts,
            retry=run.retry or spec.retry,
            resumes=bool(run.suspended_at),
        )
    )
    return events


def locked_version(state: State, run: LiveRun) -> TaskVersion:
    """The version `run` is, or would be, executed as: its pinned bundle's, else the latest."""
    return state.bundles.get(run.bundle) or state.tasks[run.task_id]


def _free_worker(
    state: State, env_id: str, isolation: Isolation, capacity: Capacity, machine: Machine | None = None
) -> str | None:
    """An exclusive worker of that machine that does nothing, or the least busy shared one once enough are planned."""
    usable = [
        worker
        for worker_id in sorted(state.by_env.get(env_id, ()))
        if (worker := state.workers[worker_id]).isolation == isolation
        and worker.machine == machine
        and not worker.retired
    ]
    if isolation == "process":
        return next((worker.id for worker in usable if worker.id not in state.by_worker), None)
    if len(usable) < capacity.shared_workers:
        return None
    if len(usable) == 1:
        return usable[0].id

    def load(worker: Worker) -> int:
        return len(state.by_worker.get(worker.id, ()))

    return min(usable, key=load).id
