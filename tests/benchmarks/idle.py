"""What an engine, one keeper and one worker cost while nothing happens: CPU and memory.

CPU time is read from the scheduler in nanoseconds, since clock ticks of 10 ms are too coarse for so little of it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import figures
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.project import project, proportional_bytes

NAME = "idle"
CPU_PERCENT = 0.5
MEMORY_MB = 120.0
MODULES = {
    "engine": "kernelkit.daemon",
    "keeper": "kernelkit.execution.keeper",
    "worker": "kernelkit.execution.worker",
}


def measure(seconds: int = 30, settle: int = 8) -> dict[str, Any]:
    """Percent of one core and megabytes (PSS) of the three together; `settle` is waited for first."""
    with project(NAME) as ours:
        noop.trigger(**payload(0)).result(timeout=60)
        time.sleep(settle)  # the engine's own checkpoint comes five seconds after the last commit
        pids: dict[str, int] = {}
        for who, module in MODULES.items():
            (process,) = ours.processes(module)
            pids[who] = process.pid
        before = {who: _cpu(pid) for who, pid in pids.items()}
        began = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        cpu = {who: (_cpu(pid) - before[who]) / elapsed * 100 for who, pid in pids.items()}
        memory = {who: proportional_bytes(pid) / 1e6 for who, pid in pids.items()}
    total, used = sum(cpu.values()), sum(memory.values())
    return figures.line(
        NAME,
        round(total, 3),
        "% of a core",
        f"<= {CPU_PERCENT} % of a core, <= {MEMORY_MB:g} MB together",
        total <= CPU_PERCENT and used <= MEMORY_MB,
        {
            "cpu_percent": {who: round(value, 3) for who, value in cpu.items()},
            "pss_mb": {who: round(value, 1) for who, value in memory.items()},
            "pss_mb_together": round(used, 1),
            "seconds": round(elapsed, 1),
        },
    )


def _cpu(pid: int) -> float:
    """Seconds on a CPU so far, over all threads that still live."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


if __name__ == "__main__":
    sys.exit(figures.main(measure))
