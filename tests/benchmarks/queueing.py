"""What queueing costs the engine: many runs behind a limit of 2, and what a pick costs among many concurrency keys.

CPU of the engine's own work from the trigger of a run until its end: deciding, applying, and writing each event as
text. Clients, workers, sockets and the database are not in it, so that nothing but the length of the queue can change
the figure. The collector is off while it measures: how often it runs is up to what else the process holds.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections import deque
from typing import Any

from kernelkit.engine import commands as c
from kernelkit.engine.decide import Change, step
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.task import Owner, TaskSpec
from kernelkit.models.value import NULL
from kernelkit.wire import messages as m
from tests.benchmarks import figures

NAME = "queueing"
START = 1_800_000_000_000_000
LENGTHS = (1_000, 3_000, 10_000, 30_000, 100_000)
KEYS = (10, 1_000)
LIMIT_US = 50.0
GROWTH = 1.3
KEY_RATIO = 1.5
BATCH = 1_000


class Names:
    """Fences and ids of workers, by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __getattr__(self, name: str) -> Any:
        return lambda: f"{name}_{next(self._numbers)}"


class Rig:
    """An engine's core without its surroundings: commands in, events out, each as the text that is stored."""

    def __init__(self, limit: int) -> None:
        self._state = State()
        self._capacity = c.Capacity(attempts=100)
        self._names = Names()
        self._now = START
        self._dispatched: deque[ev.RunDispatched] = deque()
        spec = TaskSpec(
            id="queued",
            function="queued",
            owner=Owner("module", "jobs.py"),
            env_id="env",
            bundle="b",
            fingerprint="f",
            concurrency_limit=limit,
        )
        self._take(c.DefineTask(spec))

    def run(self, runs: int, keys: int = 0) -> float:
        """Trigger `runs` runs, have all of them executed; microseconds of CPU for each."""
        begun = time.process_time()
        for first in range(0, runs, BATCH):
            numbers = range(first, min(first + BATCH, runs))
            self._take(c.TriggerRuns(tuple(_item(number, keys) for number in numbers)))
        done = 0
        while self._dispatched:
            attempt = self._dispatched.popleft()
            self._take(c.TakeReport(attempt.run_id, attempt.fence, m.Started(self._now)))
            self._take(c.TakeReport(attempt.run_id, attempt.fence, m.Succeeded(NULL, self._now, self._now)))
            done += 1
        assert done == runs and not self._state.runs
        return (time.process_time() - begun) / runs * 1e6

    def _take(self, command: c.Command) -> None:
        self._now += 10
        changes: list[Change] = step(self._state, command, self._capacity, self._now, self._names)
        for change in changes:
            ev.to_json(change.event)
            if isinstance(change.event, ev.RunDispatched):
                self._dispatched.append(change.event)


def _item(number: int, keys: int) -> m.TriggerItem:
    return m.TriggerItem(f"run_{number}", "queued", NULL, concurrency_key=f"key_{number % keys}" if keys else "")


def _cost(runs: int, limit: int, keys: int, rounds: int) -> list[float]:
    costs = []
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        try:
            costs.append(Rig(limit).run(runs, keys))
        finally:
            gc.enable()
    return costs


def measure(runs: int = LENGTHS[-1], rounds: int = 3) -> dict[str, Any]:
    """The CPU for a run among the longest queue is the figure; the least of each length's rounds, as others disturb."""
    lengths = [length for length in LENGTHS if length <= runs] or [runs]
    curve = {length: min(_cost(length, 2, 0, rounds)) for length in lengths}
    by_keys = {keys: min(_cost(max(lengths[-1] // 5, keys), 2, keys, rounds)) for keys in KEYS}
    growth = curve[lengths[-1]] / curve[lengths[0]]
    ratio = by_keys[KEYS[-1]] / by_keys[KEYS[0]]
    value = curve[lengths[-1]]
    return figures.line(
        NAME,
        round(value, 1),
        "µs of engine CPU a run",
        f"<= {LIMIT_US:g}; at most {GROWTH:g} times that of the shortest queue; keys: ratio <= {KEY_RATIO:g}",
        value <= LIMIT_US and growth <= GROWTH and ratio <= KEY_RATIO,
        {
            "us_per_run_by_length": {str(length): round(cost, 1) for length, cost in curve.items()},
            "growth": round(growth, 2),
            "us_per_run_by_keys": {str(keys): round(cost, 1) for keys, cost in by_keys.items()},
            "keys_ratio": round(ratio, 2),
        },
    )


if __name__ == "__main__":
    sys.exit(figures.main(measure))
