"""Captured lines on their way to the store, numbered per run, and the last few of watched runs."""

from __future__ import annotations

from collections import deque

from kernelkit.clock import from_datetime
from kernelkit.models.run import LogLine
from kernelkit.store.rows import LineRow
from kernelkit.wire.messages import WorkerLogs

TAIL = 50


class Logbook:
    """Numbers the lines of live runs; a gap in the numbers is a count of dropped lines."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        """`counts` is how many lines each live run of a former engine has."""
        self._counts = dict(counts or {})
        self._tails: dict[str, deque[LogLine]] = {}

    def take(self, logs: WorkerLogs) -> list[LineRow]:
        """Rows for the store."""
        count = self._counts.get(logs.run_id, 0)
        rows = []
        for line in logs.lines:
            rows.append(LineRow(logs.run_id, logs.attempt, from_datetime(line.at), line.level, line.text, count))
            count += 1
        self._counts[logs.run_id] = count + logs.dropped
        tail = self._tails.get(logs.run_id)
        if tail is not None:
            tail.extend(logs.lines)
        return rows

    def begin(self, run_id: str, so_far: tuple[LogLine, ...]) -> None:
        """Keep the tail of a run that is now watched."""
        if run_id not in self._tails:
            self._tails[run_id] = deque(so_far[-TAIL:], maxlen=TAIL)

    def end(self, run_id: str) -> None:
        self._tails.pop(run_id, None)

    def is_kept(self, run_id: str) -> bool:
        return run_id in self._tails

    def tail(self, run_id: str) -> tuple[LogLine, ...]:
        return tuple(self._tails.get(run_id, ()))

    def forget(self, run_id: str) -> None:
        """The run is over and its last lines are in."""
        self._counts.pop(run_id, None)
