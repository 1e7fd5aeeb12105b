"""What 10,000 suspended runs cost while nothing happens, and how soon they stand again after `kill -9` of everything.

Memory is what engine and workers have more of than before (PSS, without pages of libraries); the engine's CPU is read
from the scheduler.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import kernelkit as kk
from tests.benchmarks import figures
from tests.benchmarks.idle import _cpu
from tests.benchmarks.project import Project, data_bytes, project
from tests.benchmarks.waiting_bodies import lasting, sleeper

NAME = "suspended"
KIB_EACH = 8.0
CPU_PERCENT = 1.0
RECOVERY_S = 10.0
BATCH = 1_000


def measure(runs: int = 10_000, seconds: int = 20, settle: int = 8) -> dict[str, Any]:
    """KiB of each run; `settle` is waited for before memory and CPU are read, and CPU is read for `seconds`."""
    with project(NAME) as ours:
        lasting.trigger(seconds=0).result(timeout=60)
        before = _memory(ours)
        began = time.monotonic()
        for first in range(0, runs, BATCH):
            sleeper.batch_trigger([{}] * min(BATCH, runs - first))
        _all_wait(runs)
        suspended_s = time.monotonic() - began
        time.sleep(settle)
        grown = {who: used - before.get(who, 0) for who, used in _memory(ours).items()}
        engine = ours.engine_pid
        used, began = _cpu(engine), time.monotonic()
        time.sleep(seconds)
        cpu = (_cpu(engine) - used) / (time.monotonic() - began) * 100
        for process in ours.processes():
            process.kill()
        while ours.processes():
            time.sleep(0.01)
        began = time.monotonic()
        _all_wait(runs)
        recovery_s = time.monotonic() - began
        assert ours.engine_pid != engine
    each = sum(grown.values()) / runs / 1024
    return figures.line(
        NAME,
        round(each, 2),
        "KiB",
        f"<= {KIB_EACH:g} KiB each, engine <= {CPU_PERCENT:g} % of a core, WAITING again within {RECOVERY_S:g} s",
        each <= KIB_EACH and cpu <= CPU_PERCENT and recovery_s <= RECOVERY_S,
        {
            "runs": runs,
            "kib_each": {who: round(more / runs / 1024, 2) for who, more in grown.items()},
            "engine_cpu_percent": round(cpu, 3),
            "suspended_within_s": round(suspended_s, 2),
            "waiting_after_kill_9_s": round(recovery_s, 2),
        },
    )


def _memory(ours: Project) -> dict[str, int]:
    modules = {"engine": "kernelkit.daemon", "workers": "kernelkit.execution.worker"}
    return {who: sum(data_bytes(process.pid) for process in ours.processes(module)) for who, module in modules.items()}


def _all_wait(runs: int) -> None:
    """Return once that many runs are WAITING, and none is anything else but ended."""
    deadline = time.monotonic() + 300
    while (found := kk.runs.list(status="WAITING", limit=1).total) != runs:
        assert time.monotonic() < deadline, f"{found} of {runs} runs are WAITING"
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(figures.main(measure))
