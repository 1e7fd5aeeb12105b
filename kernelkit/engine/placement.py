"""Who may start next, on which worker, and why the others may not.

Pure: `next_dispatch` returns the events of one dispatch; the caller applies them and asks again. Runs of one queue that
need one kind of worker form a lane; among the heads of all lanes that are not held up, the oldest goes first.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.engine.commands import Capacity, Roll
from kernelkit.engine.machines import fits, granted, shortage
from kernelkit.engine.state import Lane, LiveRun, State, Worker
from kernelkit.models import event as ev
from kernelkit.models.machine import Machine
from kernelkit.models.run import RunStatus
from kernelkit.models.task import Isolation, TaskVersion


def next_dispatch(state: State, capacity: Capacity, now: int, roll: Roll) -> Sequence[ev.AnyEvent]:
    """The events that start the next run, or none when nobody may start."""
    if not capacity.attempts:  # the engine is stopping: not even a run that has kept its slot starts again
        return ()
    for run_id in state.kept:  # these hold their slots already
        return dispatch(state, state.runs[run_id], capacity, now, roll)
    if len(state.holders) >= capacity.attempts:
        return ()
    first: LiveRun | None = None
    machined: LiveRun | None = None  # the same, of those that reserve memory and vCPUs
    for lane in list(state.lanes):
        if _lane_is_held(state, lane, capacity):
            continue
        run = state.head(lane)
        if run is None:
            continue
        if run.machine:
            if machined is None or run.order < machined.order:
                machined = run
        elif first is None or run.order < first.order:
            first = run
    if (
        machined is not None
        and (first is None or machined.order < first.order)
        and fits(state, machined.machine, capacity)
    ):
        first = machined
    return () if first is None else dispatch(state, first, capacity, now, roll)


def dispatch(state: State, run: LiveRun, capacity: Capacity, now: int, roll: Roll) -> Sequence[ev.AnyEvent]:
    """The events that give `run` to a worker, planning one where none is free."""
    if run.suspended_at and run.fence:  # its worker has it still
        return (ev.RunResumed(now, run.id, run.fence, tuple(run.fresh)),)
    locked = bool(run.version)
    version = locked_version(state, run)
    spec = version.spec
    env_id = run.env_id or spec.env_id  # one bundle may be triggered from several surroundings
    events: list[ev.AnyEvent] = []
    machine = granted(run.machine, capacity)
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


def _lane_is_held(state: State, lane: Lane, capacity: Capacity) -> bool:
    slots, isolation = lane
    limit = state.limit_of(slots)
    if limit is not None and state.holding(slots) >= limit:
        return True
    return isolation == "process" and state.executing_exclusive() >= capacity.exclusive


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

    def load(worker: Worker) -> int:
        return len(state.by_worker.get(worker.id, ()))

    return min(usable, key=load).id


def queued_reason(state: State, run: LiveRun, capacity: Capacity, *, count_ahead: bool = True) -> str | None:
    """Why a queued run is not running, in words for a person; None when it is not queued.

    Counting the runs ahead walks the whole lane, so lists of runs do without.
    """
    if run.status is RunStatus.PENDING_VERSION:
        return f"no client has defined the task {run.task_id} yet"
    if run.status is not RunStatus.QUEUED:
        return None
    if run.retry_at:
        return f"attempt {run.attempt + 1} of {run.max_attempts} waits out its backoff; the slot was given back"
    ahead = _ahead(state, run) if count_ahead else ""
    limit = state.limit_of(run.slots)
    used = state.holding(run.slots)
    if limit is not None and used >= limit:
        key = f", key {run.concurrency_key}" if run.concurrency_key else ""
        return f"queue {run.queue}{key}: {used} of {limit} in use{ahead}"
    if len(state.holders) >= capacity.attempts:
        return f"project limit: {len(state.holders)} of {capacity.attempts} executing{ahead}"
    exclusive = state.executing_exclusive()
    if run.isolation == "process" and exclusive >= capacity.exclusive:
        return f"no exclusive worker free: {exclusive} of {capacity.exclusive} in use{ahead}"
    waits = shortage(state, run, capacity)
    if waits is not None:
        return f"{waits}{ahead}"
    before = _before(state, run, capacity)
    if before is None:
        return "about to start"
    waits = shortage(state, before, capacity) or "starts first"
    return f"waits its turn: {before.id} came before it and {waits}{ahead}"


def _before(state: State, run: LiveRun, capacity: Capacity) -> LiveRun | None:
    """The run that has to start before this one: the first of its lane, or of all that want a machine as it does."""
    lane = (run.slots, run.isolation)
    first = state.head(lane) if lane in state.lanes else None
    if first is None or first.id != run.id or not run.machine:
        return None if first is None or first.id == run.id else first
    open_lanes = [lane for lane in list(state.lanes) if not _lane_is_held(state, lane, capacity)]
    heads = [head for lane in open_lanes if (head := state.head(lane)) is not None and head.machine]
    first = min(heads, key=lambda head: head.order, default=None)
    return None if first is None or first.id == run.id else first


def _ahead(state: State, run: LiveRun) -> str:
    # A lane also has entries of runs that have started since, and two of one that came back to it.
    lane = state.lanes.get((run.slots, run.isolation), ())
    before = {other for order, other in lane if order < run.order}
    live = [state.runs[other] for other in before if other in state.runs]
    count = sum(1 for other in live if other.is_ready and other.isolation == run.isolation)
    return f", {count} {'run' if count == 1 else 'runs'} ahead" if count else ""
