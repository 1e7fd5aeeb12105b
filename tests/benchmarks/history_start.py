"""How soon an engine dispatches when its home holds a million finished runs.

The home is filled through the store's own `append`, with the events and rows an engine would have written. It is
started in the two states an engine leaves: after a stop (its last snapshot covers everything) and after `kill -9` just
before the next snapshot was due (nearly 50,000 events to fold again).
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil

from kernelkit import ids
from kernelkit.clock import to_datetime
from kernelkit.config import EngineSettings, Home
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, AttemptStatus, Run, RunStatus
from kernelkit.models.task import TaskVersion
from kernelkit.models.value import Value
from kernelkit.store.rows import Batch, HistoryRow, LogRow
from kernelkit.store.store import Store
from tests.benchmarks import figures
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.project import Project, project

NAME = "history_start"
LIMIT_S = 3.0
DAYS = 28  # what is older than 30 is removed
AT_ONCE = 10_000  # runs in a commit
EVENTS = 3  # of a run
BEHIND = 49_500 // EVENTS  # runs whose events no snapshot covers yet


def measure(runs: int = 1_000_000, repeats: int = 5) -> dict[str, Any]:
    """Seconds from the spawn of the engine's process to the first dispatch, after a stop and after a kill."""
    with project(NAME) as ours:
        noop.trigger(**payload(0)).result(timeout=60)
        ours.down()
        began = time.perf_counter()
        fill(ours.home, runs, behind=min(BEHIND, runs // 2))
        filled = time.perf_counter() - began
        size = ours.home.database.stat().st_size
        killed = [_start(ours, runs, kill=True) for _ in range(repeats)]
        _start(ours, runs, kill=False)  # folds what the kills left, and stops
        stopped = [_start(ours, runs, kill=False) for _ in range(repeats)]
    dispatch = {
        "after_a_stop_s": figures.spread([each["dispatch"] for each in stopped]),
        "after_kill_9_s": figures.spread([each["dispatch"] for each in killed]),
    }
    worst = max(each["median"] for each in dispatch.values())
    return figures.line(
        NAME,
        worst,
        "s to the first dispatch",
        f"<= {LIMIT_S:g}",
        worst <= LIMIT_S,
        {
            **dispatch,
            "result_known_after_kill_9_s": figures.spread([each["known"] for each in killed]),
            "runs": runs,
            "events": runs * EVENTS,
            "events_behind_the_snapshot": min(BEHIND, runs // 2) * EVENTS,
            "database_mb": round(size / 1e6, 1),
            "filling_took_s": round(filled, 1),
        },
    )


def _start(ours: Project, runs: int, *, kill: bool) -> dict[str, float]:
    """One start, by the trigger that finds no engine."""
    ours.client.close()
    fresh = Project(ours.folder)
    ours.client = fresh.client
    with fresh.client.use():
        fresh.home.down_mark.unlink(missing_ok=True)
        at = time.time()
        result = noop.trigger(**payload(0)).result(timeout=120)
        known = time.time() - at
        total = fresh.client.runs.list(limit=1).total
        assert total >= min(runs, 100_000), f"the home has {total} runs"
        started = result.run.started_at
        assert started is not None
        if kill:
            _kill_all(fresh)
        else:
            fresh.down()
    return {"dispatch": started.timestamp() - at, "known": known}


def _kill_all(ours: Project) -> None:
    """The engine first: keepers would start another."""
    ours.kill_engine()
    while left := ours.processes():
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)


# ---- a million runs ------------------------------------------------------------------------------------------------


def fill(home: Home, runs: int, *, behind: int) -> None:
    store = Store.open(home, EngineSettings())
    try:
        recovered = store.recover()
        assert recovered.snapshot is not None and not list(recovered.events), "the engine has stopped in good order"
        state = State.load(recovered.snapshot)
        version = state.tasks[noop.id]
        first = store.last_seq
        covered = first + (runs - behind) * EVENTS
        for batch in _batches(runs, first, version):
            store.append(batch)
            if batch.events[0].seq <= covered <= batch.events[-1].seq:
                state.seq = covered
                store.write_snapshot(covered, state.dump())
                store.checkpoint()
    finally:
        store.close()


def _batches(runs: int, seq: int, version: TaskVersion) -> Iterator[Batch]:
    until = time.time_ns() // 1_000 - 60_000_000
    step = DAYS * 86_400 * 1_000_000 // runs
    events: list[LogRow] = []
    history: list[HistoryRow] = []
    for n in range(runs):
        at = until - (runs - n) * step
        for event in (made := _Finished(n, at, version)).events:
            seq += 1
            events.append(LogRow(seq, event.at, type(event).__name__, made.id, ev.to_json(event)))
        history.append(HistoryRow(made.run, None, None, seq))
        if len(history) == AT_ONCE or n == runs - 1:
            yield Batch(events=events, history=history)
            events, history = [], []


class _Finished:
    """A run that took some milliseconds; one in twenty failed."""

    def __init__(self, n: int, at: int, version: TaskVersion) -> None:
        spec = version.spec
        self.id = ids.make_id("run", now_ms=at // 1_000, entropy=(n * 48_271) % 2**45)
        worker = f"w_{n // 50_000:018d}"
        text = f'{{"user":"user {n * 7919 % 9973}","tags":["a","b"],"opts":{{"x":1.5,"deep":true}},"n":{n}}}'
        value = Value(text=text, size=len(text))
        failed = n % 20 == 19
        status = RunStatus.FAILED if failed else RunStatus.COMPLETED
        ended: AttemptStatus = "FAILED" if failed else "COMPLETED"
        output = None if failed else Value(text=f"[{n},4711]", size=len(f"[{n},4711]"))
        error = None
        if failed:
            error = Error(name="ValueError", message=f"no row {n}", traceback=f'  File "jobs.py", line {n % 400}\n' * 4)
        started, finished = at + 2_000, at + 4_000 + n % 900
        self.events: tuple[ev.AnyEvent, ...] = (
            ev.RunTriggered(at, self.id, spec.id, spec.queue_name, spec.isolation, value),
            ev.RunDispatched(
                started, self.id, f"{n:016x}", worker, 1, version.number, spec.bundle, spec.env_id, 1, spec.retry
            ),
            ev.RunFinished(finished, self.id, status, started, output, error),
        )
        self.run = Run(
            id=self.id,
            task_id=spec.id,
            status=status,
            payload_json=text,
            payload_size=len(text),
            output_json=output.text if output else None,
            output_size=output.size if output else 0,
            error=error,
            attempts=(Attempt(1, ended, to_datetime(started), to_datetime(finished), error, worker),),
            attempt_number=1,
            created_at=to_datetime(at),
            queued_at=to_datetime(at),
            started_at=to_datetime(started),
            finished_at=to_datetime(finished),
            queue=spec.queue_name,
            version=version.number,
            worker=worker,
        )


if __name__ == "__main__":
    sys.exit(figures.main(measure))
