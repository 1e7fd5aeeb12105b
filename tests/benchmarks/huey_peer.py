"""huey with a consumer of two worker processes, timed on the same work as ours."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.bodies import payload

WORKERS = 2
# The consumer's delays between looks at an empty queue: its own, and short ones that help it at low load.
POLLS: dict[str, list[str]] = {"default polls": [], "short polls": ["-d", "0.005", "-m", "0.02"]}
RESULT_POLL_S = 0.01


@contextlib.contextmanager
def consumer(folder: Path, polls: str) -> Iterator[Any]:
    """The tasks module, with a consumer that has proved to be up; `folder` must be the same in one process."""
    os.environ["HUEY_FILE"] = str(folder / "huey.db")
    tasks = importlib.import_module("tests.benchmarks.huey_tasks")
    options = ["-w", str(WORKERS), "-k", "process", "-n", "-q", *POLLS[polls]]
    process = machine.run_module("huey.bin.huey_consumer", "tests.benchmarks.huey_tasks.huey", *options)
    try:
        for n in range(4):
            tasks.noop(payload(n)).get(blocking=True, timeout=60)
        yield tasks
    finally:
        process.terminate()
        process.wait(20)


def timed(tasks: Any, count: int) -> tuple[float, float]:
    """Seconds to enqueue `count` tasks one by one, which is what it offers, and until all results are known."""
    began = time.perf_counter()
    waiting = [tasks.noop(payload(n)) for n in range(count)]
    enqueued = time.perf_counter() - began
    pids: set[int] = set()
    while waiting:
        still = []
        for result in waiting:
            found = result.get()
            if found is None:
                still.append(result)
            else:
                pids.add(found[1])
        waiting = still
        if waiting:
            time.sleep(RESULT_POLL_S)
    known = time.perf_counter() - began
    assert os.getpid() not in pids, "huey ran a task in the caller's process"
    return enqueued, known
