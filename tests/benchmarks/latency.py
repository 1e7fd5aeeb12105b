"""How long one no-op run takes, from the trigger to its durable result, with everything warm and nothing else to do.

Judged by what a commit costs: a run needs two, one for the trigger and one for the end. Those commits are meant, as the
engine times them (`kernelkit status` tells). In a process that does nothing else they cost less, and right after one
another half as much: both are told beside it, and what a bare write and flush of a small file costs, which without any
database is dearer after a wait as well. A virtual machine's disk and caches are slow to be woken.

What made the slowest slow is asked of as many runs again, as looking at three processes before and after a run takes
longer than the run; for each, what the system says of those milliseconds is set against an ordinary run.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import kernelkit as kk
from kernelkit.config import EngineSettings, Home
from kernelkit.models.run import Run
from kernelkit.store.rows import Batch, LogRow
from kernelkit.store.store import Store
from tests.benchmarks import figures, machine
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.project import project

NAME = "latency"
COMMITS = 2.5
REST_MS = 1.5
WAIT_S = 0.001
TURN = 30  # runs, then as many commits
TURN_WARMUPS = 3
STAGES = ("to the engine", "commit, dispatch", "body, report", "commit, notice")


class Sample(NamedTuple):
    """One run: its time, that of each stage, and what the system counted meanwhile."""

    seconds: float
    stages: tuple[float, ...]
    written: int  # bytes the engine handed to `write`
    starved: dict[str, float]  # seconds in which a thread of ours was ready and had no CPU


def measure(runs: int = 300, warmups: int = 50) -> dict[str, Any]:
    """Percentiles of runs and of commits between them, and what made the slowest slow."""
    with project(NAME) as ours, machine.scratch("commits") as folder:
        for n in range(warmups):
            noop.trigger(**payload(n)).result(timeout=60)
        pids = {
            "engine": ours.engine_pid,
            "worker": ours.processes("kernelkit.execution.worker")[0].pid,
            "client": os.getpid(),
        }
        store = Store.open(Home(folder).create(), EngineSettings())
        file = os.open(folder / "flushed", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        flushes: list[float] = []
        cold_flushes: list[float] = []
        bare: list[float] = []
        samples: list[Sample] = []
        commits: list[float] = []
        cold: list[float] = []
        try:
            # In turns of several: a run whose processes slept through a commit elsewhere is no longer a warm one.
            for first in range(0, runs, TURN):
                turn = range(first, min(first + TURN, runs))
                bare.extend([_bare(n) for n in turn])
                commits.extend([_commit(store, 2 * n + 1) for n in turn])
                for n in turn:
                    time.sleep(WAIT_S)
                    cold.append(_commit(store, 2 * n + 2))
                flushes.extend([_flush(file) for n in turn])
                for _ in turn:
                    time.sleep(WAIT_S)
                    cold_flushes.append(_flush(file))
                samples.extend([_sample(n, pids) for n in turn])
                for n in range(TURN_WARMUPS):
                    _bare(n)
        finally:
            os.close(file)
            store.close()
        status = kk.engine.status()
    found = figures.latencies(bare)
    allowed = _allowed(status.commit)
    return figures.line(
        NAME,
        found["p50"],
        "ms",
        f"<= {COMMITS} commits + {REST_MS} ms",
        found["p50"] <= allowed,
        {
            "latency_ms": found,
            "latency_while_looked_at_ms": figures.latencies([sample.seconds for sample in samples]),
            "commit_ms": {"p50": round(status.commit * 1e3, 3), "p95": round(status.commit_p95 * 1e3, 3)},
            "allowed_ms": round(allowed, 3),
            "share_of_allowed": round(found["p50"] / allowed, 3),
            "commit_alone_ms": figures.latencies(cold),
            "allowed_by_commits_alone_ms": round(_allowed(figures.percentile(cold, 0.5)), 3),
            "commit_after_another_ms": figures.latencies(commits),
            "allowed_by_commits_after_another_ms": round(_allowed(figures.percentile(commits, 0.5)), 3),
            "flush_ms": figures.latencies(cold_flushes),
            "flush_after_another_ms": figures.latencies(flushes),
            "stages_ms_p50": _stages(samples),
            "ordinary_written_bytes": _usual_bytes(samples),
            "slowest": _slowest(samples),
            "p99_cause": _cause(samples),
        },
    )


def _allowed(commit: float) -> float:
    return COMMITS * commit * 1e3 + REST_MS


def _flush(file: int) -> float:
    began = time.perf_counter()
    os.write(file, b"x" * 300)
    os.fdatasync(file)
    return time.perf_counter() - began


def _commit(store: Store, seq: int) -> float:
    began = time.perf_counter()
    store.append(Batch(events=[LogRow(seq, time.time_ns() // 1_000, "RunTriggered", f"run_{seq:018d}", "{}" * 100)]))
    return time.perf_counter() - began


def _bare(n: int) -> float:
    began = time.perf_counter()
    noop.trigger(**payload(n)).result(timeout=60)
    return time.perf_counter() - began


def _sample(n: int, pids: dict[str, int]) -> Sample:
    starved = {who: _starved(pid) for who, pid in pids.items()}
    engine = psutil.Process(pids["engine"])
    written = engine.io_counters().write_chars
    at = time.time()
    began = time.perf_counter()
    result = noop.trigger(**payload(n)).result(timeout=60)
    took = time.perf_counter() - began
    ended = at + took
    written = engine.io_counters().write_chars - written
    assert result.unwrap() == [n, pids["worker"]]
    waited = {who: _starved(pid) - starved[who] for who, pid in pids.items()}
    return Sample(took, _moments(result.run, at, ended), written, waited)


def _moments(run: Run, began: float, ended: float) -> tuple[float, ...]:
    """Stages, by the wall clock of three processes of one machine."""
    started, finished = run.attempts[0].started_at, run.finished_at
    assert started is not None and finished is not None
    moments = [began, run.created_at.timestamp(), started.timestamp(), finished.timestamp(), ended]
    return tuple(after - before for before, after in pairwise(moments))


def _starved(pid: int) -> float:
    """Seconds all threads of a process have waited for a CPU so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[1])
        except OSError:
            continue  # a thread that has just ended
    return total / 1e9


# ---- the slowest ---------------------------------------------------------------------------------------------------


def _stages(samples: list[Sample]) -> dict[str, float]:
    return {
        stage: round(statistics.median(sample.stages[i] for sample in samples) * 1e3, 3)
        for i, stage in enumerate(STAGES)
    }


def _usual_bytes(samples: list[Sample]) -> int:
    return int(statistics.median(sample.written for sample in samples))


def _slowest(samples: list[Sample], count: int = 5) -> list[dict[str, Any]]:
    usual = _stages(samples)
    return [
        {
            "ms": round(sample.seconds * 1e3, 2),
            "over_usual_ms": {stage: round(sample.stages[i] * 1e3 - usual[stage], 2) for i, stage in enumerate(STAGES)},
            "without_cpu_ms": {who: round(waited * 1e3, 2) for who, waited in sample.starved.items()},
            "engine_wrote_bytes": sample.written,
            "cause": _cause_of(sample, samples),
        }
        for sample in sorted(samples, reverse=True)[:count]
    ]


def _cause_of(sample: Sample, samples: list[Sample]) -> str:
    usual = figures.percentile([each.seconds for each in samples], 0.5)
    excess = sample.seconds - usual
    starved = sum(sample.starved.values())
    causes = []
    if sample.written > 3 * _usual_bytes(samples):
        causes.append("the engine appended finished runs to history in that moment")
    if starved > excess / 3:
        causes.append("other programs had the CPUs")
    if not causes:
        stages = _stages(samples)
        stage = max(range(len(STAGES)), key=lambda i: sample.stages[i] * 1e3 - stages[STAGES[i]])
        causes.append(f"the time went into “{STAGES[stage]}”, and none of what is counted explains it")
    return " and ".join(causes)


def _cause(samples: list[Sample]) -> str:
    """In words, for all runs from the 99th percentile up."""
    edge = figures.percentile([sample.seconds for sample in samples], 0.99)
    slow = [sample for sample in samples if sample.seconds >= edge]
    told: dict[str, int] = {}
    for sample in slow:
        cause = _cause_of(sample, samples)
        told[cause] = told.get(cause, 0) + 1
    return "; ".join(f"{count} of {len(slow)}: {cause}" for cause, count in sorted(told.items(), key=lambda e: -e[1]))


if __name__ == "__main__":
    sys.exit(figures.main(measure))
