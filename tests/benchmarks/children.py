"""How long a run waits for its 1,000 children: from `batch_trigger_and_wait` until it goes on with every result.

Timed inside the parent, with everything warm. The proof is that every result is that of its own child, and that the
bodies ran in workers.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import psutil

import kernelkit as kk
from tests.benchmarks import figures
from tests.benchmarks.project import Project, cpu_seconds, project
from tests.benchmarks.waiting_bodies import child, parent

NAME = "children"
LIMIT_S = 0.3


def measure(children: int = 1_000, rounds: int = 10, warmups: int = 2) -> dict[str, Any]:
    """The median of some rounds, and what engine and workers spent on one child."""
    with project(NAME) as ours:
        child.trigger(n=0).result(timeout=60)
        for _ in range(warmups):
            _round(children)
        before = _cpu(ours)
        taken = [_round(children) for _ in range(rounds)]
        spent = {who: (used - before[who]) / (rounds * children) * 1e6 for who, used in _cpu(ours).items()}
        pids = {pid for _, found in taken for pid in found}
        assert not pids & {ours.engine_pid, psutil.Process().pid}, "a body ran in the engine or in the client"
    seconds = [each for each, _ in taken]
    value = statistics.median(seconds)
    return figures.line(
        NAME,
        round(value, 4),
        "s",
        f"<= {LIMIT_S} s",
        value <= LIMIT_S,
        {
            "children": children,
            "waited_ms": figures.latencies(seconds),
            "cpu_us_per_child": {who: round(each, 1) for who, each in spent.items()},
            "proofs": {"body_pids": sorted(pids)},
        },
    )


def _round(children: int) -> tuple[float, set[int]]:
    handle: kk.RunHandle[Any] = parent.trigger(children=children)
    seconds, found = handle.result(timeout=120).unwrap()
    assert [n for n, _ in found] == list(range(children)), "results are not those of their runs"
    return seconds, {pid for _, pid in found}


def _cpu(ours: Project) -> dict[str, float]:
    workers = ours.processes("kernelkit.execution.worker")
    return {
        "engine": cpu_seconds(psutil.Process(ours.engine_pid)),
        "workers": sum(cpu_seconds(worker) for worker in workers),
    }


if __name__ == "__main__":
    sys.exit(figures.main(measure))
