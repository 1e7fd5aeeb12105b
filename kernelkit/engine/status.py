"""What `kernelkit status` and `%engine` say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from kernelkit.config import Home
from kernelkit.engine.core import Core
from kernelkit.version import __version__
from kernelkit.wire.messages import EngineStatus, WorkerInfo


def engine_status(
    core: Core, silent_for: Callable[[str], float], home: Home, pid: int, started_at: int, *, clients: int
) -> Callable[[], EngineStatus]:
    """A function that gives the status; it counts history in the store, on any thread."""
    state = core.state
    live = Counter(str(run.status) for run in state.runs.values())
    workers = tuple(
        WorkerInfo(
            id=worker.id,
            kind=worker.isolation,
            pid=worker.pid,
            env_id=worker.env_id,
            attempts=len(state.by_worker.get(worker.id, ())),
            silent_s=silent_for(worker.id),
        )
        for worker in state.workers.values()
    )
    executing, problem = len(state.holders), core.writer.problem

    def read() -> EngineStatus:
        return EngineStatus(
            pid=pid,
            version=__version__,
            home=str(home.path),
            started_at=started_at,
            runs=dict(Counter(core.store.counts()) + live),
            executing=executing,
            limit=core.capacity.attempts,
            workers=workers,
            clients=clients,
            store_problem=problem,
            log_path=str(home.engine_log),
        )

    return read
