"""How long a client waits for 200 no-op runs: from `batch_trigger` until it has every result, all of them on disk.

One small batch, as a notebook sends it, with everything warm; `throughput` is about many. The proof is a `kill -9` of
the engine: the next one finds each batch by its id, with every result that was told before.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import psutil

import kernelkit as kk
from tests.benchmarks import figures
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.project import Project, cpu_seconds, project

NAME = "batch"
LIMIT_S = 0.06


def measure(items: int = 200, rounds: int = 30, warmups: int = 5) -> dict[str, Any]:
    """The median of many rounds, what each process spent on one, and the proof."""
    with project(NAME) as ours:
        noop.trigger(**payload(0)).result(timeout=60)
        for _ in range(warmups):
            _Round(items)
        before = _cpu(ours)
        taken = [_Round(items) for _ in range(rounds)]
        spent = {who: (used - before[who]) / (rounds * items) * 1e6 for who, used in _cpu(ours).items()}
        engine = ours.engine_pid
        pids = {pid for each in taken for _, pid in each.outputs}
        assert not pids & {engine, psutil.Process().pid}, "a body ran in the engine or in the client"
        assert ours.kill_engine() == engine
        for each in taken:
            found = [result.unwrap() for result in kk.batch.retrieve(each.batch_id).result(timeout=60)]
            assert found == each.outputs, "a result differs from what was told before the kill"
    value = statistics.median(each.known for each in taken)
    return figures.line(
        NAME,
        round(value, 4),
        "s",
        f"<= {LIMIT_S} s",
        value <= LIMIT_S,
        {
            "runs": items,
            "known_ms": figures.latencies([each.known for each in taken]),
            "triggered_ms": figures.latencies([each.triggered for each in taken]),
            "cpu_us_per_run": {who: round(each, 1) for who, each in spent.items()},
            "proofs": {"body_pids": sorted(pids), "batches_read_back_after_kill_9": len(taken)},
        },
    )


class _Round:
    """One batch, timed."""

    def __init__(self, items: int) -> None:
        payloads = [payload(n) for n in range(items)]
        began = time.perf_counter()
        batch = noop.batch_trigger(payloads)
        self.triggered = time.perf_counter() - began
        results = batch.result(timeout=60)
        self.known = time.perf_counter() - began
        self.batch_id = batch.id
        self.outputs = [result.unwrap() for result in results]
        assert [n for n, _ in self.outputs] == list(range(items)), "results are not those of their runs"


def _cpu(ours: Project) -> dict[str, float]:
    workers = ours.processes("kernelkit.execution.worker")
    return {
        "client": cpu_seconds(psutil.Process()),
        "engine": cpu_seconds(psutil.Process(ours.engine_pid)),
        "workers": sum(cpu_seconds(worker) for worker in workers),
    }


if __name__ == "__main__":
    sys.exit(figures.main(measure))
