"""How many no-op async runs a second go through the real daemon, beside huey on SQLite with flushes.

Ours: one client, two `batch_trigger` calls, until every result is on disk and known. The two alternate in one run, so
that whatever else the machine does hits both. Then it proves what was timed: other processes ran the bodies, `history`
has a row per run, the engine flushed to disk (counted from outside), and a `kill -9` of the engine loses no result.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil

import kernelkit as kk
from tests.benchmarks import figures, huey_peer, machine
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.project import Project, cpu_seconds, project

NAME = "throughput"
LIMIT = 3.0
BATCHES = 2


def measure(items: int = 1_000, alternations: int = 6, warmups: int = 2) -> dict[str, Any]:
    """Rates of both, their ratio, and the proofs; `items` is the size of each of two batches."""
    with project(NAME) as ours, machine.scratch("huey") as folder:
        noop.trigger(**payload(0)).result(timeout=60)
        for _ in range(warmups):
            _timed(items)
        rounds: list[dict[str, float]] = []
        peers: dict[str, list[tuple[float, float]]] = {polls: [] for polls in huey_peer.POLLS}
        batches: list[str] = []
        cpu: list[dict[str, float]] = []
        for _ in range(alternations):
            for polls, seconds in peers.items():
                with huey_peer.consumer(folder, polls) as tasks:
                    seconds.append(huey_peer.timed(tasks, BATCHES * items))
            before = _cpu(ours)
            triggered, known, handles, values = _timed(items)
            cpu.append({who: used - before[who] for who, used in _cpu(ours).items()})
            rounds.append({"triggered": triggered, "known": known})
            batches.extend(handle.id for handle in handles)
        proofs = _proofs(ours, items, batches, values, [run.id for handle in handles for run in handle.runs])
    count = BATCHES * items
    rate = statistics.median(count / each["known"] for each in rounds)
    peer_rates = {polls: statistics.median(count / known for _, known in seconds) for polls, seconds in peers.items()}
    best = max(peer_rates, key=lambda polls: peer_rates[polls])
    ratio = round(rate / peer_rates[best], 2)
    return figures.line(
        NAME,
        ratio,
        "times huey's runs/s",
        f">= {LIMIT}",
        ratio >= LIMIT,
        {
            "runs_per_round": count,
            "runs_per_s": figures.spread([count / each["known"] for each in rounds], 1),
            "triggers_per_s": figures.spread([count / each["triggered"] for each in rounds], 1),
            "cpu_us_per_run": {
                who: round(statistics.median(each[who] for each in cpu) / count * 1e6, 1) for who in cpu[0]
            },
            "peer": f"huey, {best}",
            "peer_runs_per_s": {
                polls: figures.spread([count / known for _, known in seconds], 1) for polls, seconds in peers.items()
            },
            "peer_enqueued_per_s": {
                polls: figures.spread([count / enqueued for enqueued, _ in seconds], 1)
                for polls, seconds in peers.items()
            },
            "peer_durability": "WAL, synchronous=FULL; a task leaves the queue before it runs; 2 worker processes",
            "proofs": proofs,
        },
        packages=("huey",),
    )


def _timed(items: int) -> tuple[float, float, list[kk.BatchHandle[list[int]]], list[list[int]]]:
    """Seconds until all runs were acknowledged and until all results were known; the batches and the outputs."""
    payloads = [payload(n) for n in range(items)]
    began = time.perf_counter()
    handles = [noop.batch_trigger(payloads) for _ in range(BATCHES)]
    triggered = time.perf_counter() - began
    results = [result for handle in handles for result in handle.result(timeout=300)]
    known = time.perf_counter() - began
    values = [result.unwrap() for result in results]
    assert [n for n, _ in values] == list(range(items)) * BATCHES, "results are not those of their runs"
    return triggered, known, handles, values


def _cpu(ours: Project) -> dict[str, float]:
    engine = psutil.Process(ours.engine_pid)
    workers = ours.processes("kernelkit.execution.worker")
    return {
        "client": cpu_seconds(psutil.Process()),
        "engine": cpu_seconds(engine),
        "workers": sum(cpu_seconds(worker) for worker in workers),
    }


# ---- proofs --------------------------------------------------------------------------------------------------------


def _proofs(
    ours: Project, items: int, batches: list[str], values: list[list[int]], last_ids: list[str]
) -> dict[str, Any]:
    engine = ours.engine_pid
    pids = {pid for _, pid in values}
    assert not pids & {engine, psutil.Process().pid}, "a body ran in the engine or in the client"
    flushes = _flushes(engine, items, ours.folder)
    assert ours.kill_engine() == engine
    read_back = _read_back(last_ids, values)
    assert ours.engine_pid != engine, "the killed engine answers"
    ours.down()
    rows = _rows(ours.home.database, batches)
    assert rows == len(batches) * items, f"{rows} rows for {len(batches) * items} runs"
    return {
        "engine_pid": engine,
        "body_pids": sorted(pids),
        "fdatasync": flushes,
        "read_back_after_kill_9": read_back,
        "history_rows": rows,
        "runs_measured": len(batches) * items,
    }


def _read_back(run_ids: list[str], values: list[list[int]]) -> int:
    """Ask an engine that has only the disk to go by for every result of the last round."""
    found = [kk.runs.retrieve(run_id) for run_id in run_ids]
    assert all(run.status == "COMPLETED" for run in found), "a run that had completed has not"
    assert [run.output for run in found] == values, "a result differs from what was told before the kill"
    return len(found)


def _rows(database: Path, batches: list[str]) -> int:
    """Rows of these batches in the file itself, read without any of our code."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute("SELECT count(DISTINCT id) FROM history WHERE list_contains(?, batch_id)", [batches])
        return int(found.fetchall()[0][0])


def _flushes(engine: int, items: int, folder: Path) -> dict[str, Any]:
    """fdatasync calls of the engine over one round, counted by the kernel's tracer, which slows it down."""
    strace = shutil.which("strace")
    if strace is None:
        return {"skipped": "strace is not installed"}
    report = folder / "strace.txt"
    tracer = subprocess.Popen(
        [strace, "-c", "-f", "-e", "trace=fdatasync,fsync", "-o", str(report), "-p", str(engine)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()  # "attached", or why not
        if "attached" not in said:
            return {"skipped": f"strace could not attach: {said.strip()}"}
        _timed(items)
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=60)
    counted = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(fdatasync|fsync)$", report.read_text(), re.M)
    calls = sum(int(number) for number, _ in counted)
    assert calls > 0, f"no flush in a round of {BATCHES * items} runs: {report.read_text()}"
    return {"calls": calls, "runs": BATCHES * items, "runs_per_call": round(BATCHES * items / calls, 1)}


if __name__ == "__main__":
    sys.exit(figures.main(measure))
