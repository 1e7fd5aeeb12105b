"""What `kernelkit status`, `%engine` and the engine's panel say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import psutil
from msgspec.structs import replace

from kernelkit.clock import MICROS
from kernelkit.config import Home
from kernelkit.engine.core import Core
from kernelkit.engine.liveworker import Worker
from kernelkit.engine.reasons import queued_reason
from kernelkit.version import __version__
from kernelkit.wire.messages import EngineStatus, QueueHeld, WorkerInfo

_DOING = 3
_HELD = 5


def engine_status(
    core: Core,
    silent_for: Callable[[str], float],
    home: Home,
    pid: int,
    started_at: int,
    *,
    clients: int,
    history: bool = True,
) -> Callable[[], EngineStatus]:
    """A function that gives the status, on any thread: it looks at processes, and with `history` into the store."""
    state = core.state
    live = Counter(
        {str(status): count for status, count in Counter([run.status for run in state.runs.values()]).items()}
    )
    workers = [_worker(core, worker, silent_for(worker.id)) for worker in state.workers.values()]
    executing, problem, held = len(state.holders), core.writer.problem, _held(core)
    pulse = core.pulse.read(core.clock.now())
    commits = sorted(core.store.commits)

    def read() -> EngineStatus:
        return EngineStatus(
            pid=pid,
            version=__version__,
            home=str(home.path),
            started_at=started_at,
            runs=dict(Counter(core.store.counts()) + live) if history else dict(live),
            executing=executing,
            limit=core.capacity.attempts,
            workers=tuple(replace(worker, memory=memory_of(worker.pid)) for worker in workers),
            clients=clients,
            store_problem=problem,
            log_path=str(home.engine_log),
            pulse=pulse,
            memory_limit=core.capacity.memory,
            engine_memory=memory_of(pid),
            held=held,
            commit=commits[len(commits) // 2] if commits else -1.0,
            commit_p95=commits[len(commits) * 95 // 100] if commits else -1.0,
        )

    return read


def _worker(core: Core, worker: Worker, silent_s: float) -> WorkerInfo:
    state = core.state
    runs = [state.runs[run_id] for run_id in state.by_worker.get(worker.id, ())]
    since = min([run.attempt_started_at for run in runs if run.attempt_started_at], default=0)
    return WorkerInfo(
        id=worker.id,
        kind=worker.isolation,
        pid=worker.pid,
        env_id=worker.env_id,
        attempts=len(runs),
        silent_s=silent_s,
        doing=tuple(sorted({run.task_id for run in runs})[:_DOING]),
        suspended=sum(bool(run.suspended_at) for run in runs),
        memory_limit=worker.machine.memory if worker.machine else 0,
        since=since or round(worker.started_at * MICROS),
    )


def _held(core: Core) -> tuple[QueueHeld, ...]:
    """Of the queues with most runs in line, why the first of them does not start."""
    state = core.state
    longest = sorted(((state.queued_of(name), name) for name in state.queued), reverse=True)[:_HELD]
    found = []
    for queued, name in longest:
        first = min([min(members) for members in state.queued[name].values() if members], default=None)
        if first is not None:
            reason = queued_reason(state, state.runs[first], core.capacity, count_ahead=False)
            found.append(QueueHeld(name, queued, reason or ""))
    return tuple(found)


def memory_of(pid: int) -> int:
    """Bytes that a process holds; 0 for one that is not there."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid > 0 else 0
    except psutil.Error:
        return 0
