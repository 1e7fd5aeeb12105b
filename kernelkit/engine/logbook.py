"""Captured lines on their way to the store, numbered per run, and the last few of watched runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from kernelkit.clock import from_datetime
from kernelkit.models.run import LogLine
from kernelkit.store.rows import LineRow
from kernelkit.wire.messages import WorkerLogs

TAIL = 50
KEPT_BYTES = 10 * 1024 * 1024  # of one run: what retention leaves of it …
LONG_BYTES = 12 * 1024 * 1024  # … and how much makes it worth the work


class Logbook:
    """Numbers the lines of live runs; a gap in the numbers is a count of dropped lines."""

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        """`counts` is how many lines each live run of a former engine has."""
        self._counts = dict(counts or {})
        self._bytes: dict[str, int] = {}
        self._tails: dict[str, deque[LogLine]] = {}
        self.has_long = False
        """Whether some run has written so much more than is kept of it that retention should run soon."""

    def take(self, logs: WorkerLogs) -> list[LineRow]:
        """Rows for the store."""
        count = self._counts.get(logs.run_id, 0)
        size = self._bytes.get(logs.run_id, 0)
        rows = []
        for line in logs.lines:
            size += len(line.text)
            rows.append(LineRow(logs.run_id, logs.attempt, from_datetime(line.at), line.level, line.text, count))
            count += 1
        self._counts[logs.run_id] = count + logs.dropped
        self._bytes[logs.run_id] = size
        self.has_long = self.has_long or size > LONG_BYTES
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

    def prune(self, live: Container[str]) -> None:
        """Retention runs: long logs are cut by it, and runs that are over need no numbers any more."""
        self._counts = {run_id: count for run_id, count in self._counts.items() if run_id in live}
        self._bytes = {run_id: min(size, KEPT_BYTES) for run_id, size in self._bytes.items() if run_id in live}
        self.has_long = False
