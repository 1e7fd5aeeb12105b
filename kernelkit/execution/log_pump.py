"""Sends what the logs of a worker hold, in small batches: each run's first megabyte freely, then at a bounded rate.

What a newcomer would get wrong: 50 MB of prints are to become a count of dropped lines (`run_log.py`) rather than a
stalled engine, so nothing is sent while the engine lags, and where there is no engine everything is put back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kernelkit.execution.run_log import FREE_BYTES, RunLog
from kernelkit.wire.messages import WorkerLogs

TICK_S = 0.05
RUN_BYTES_PER_TICK = 128 * 1024
ALL_BYTES_PER_TICK = 1024 * 1024
BATCH_BYTES = 256 * 1024
CROWDED_BYTES = 4 * 1024 * 1024  # waiting in the channel: then a tick sends nothing
ENDED_BYTES = 32_000_000  # of ended runs, kept while no engine is there


class LogPump:
    """Drains all logs of a worker, on the loop of its link.

    `send` hands a batch to the engine, or says False where there is none now. `crowded` tells whether it lags behind.
    `later` calls a function on the loop after some seconds, from any thread.
    """

    def __init__(
        self,
        *,
        send: Callable[[WorkerLogs], bool],
        crowded: Callable[[], bool],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._send = send
        self._crowded = crowded
        self._later = later
        self._lock = threading.Lock()
        self._dirty: dict[int, RunLog] = {}
        self._due = False

    def open(self, run_id: str, attempt: int) -> RunLog:
        return RunLog(run_id, attempt, self._wake)

    def finish(self, log: RunLog) -> None:
        """End a log and send what it holds; call it on the loop, before the attempt's last report."""
        log.end()
        if log.is_empty:
            return
        while (batch := log.take(BATCH_BYTES)) is not None:
            if not self._send(batch):
                log.put_back(batch)
                self._wake(log)
                return
        with self._lock:
            self._dirty.pop(id(log), None)

    def _wake(self, log: RunLog) -> None:
        with self._lock:
            self._dirty[id(log)] = log
            if self._due:
                return
            self._due = True
        self._later(TICK_S, self._tick)

    def _tick(self) -> None:
        with self._lock:
            logs, self._dirty = self._dirty, {}
            self._due = False
        waiting = list(logs.values())
        left = waiting if self._crowded() else self._drain(waiting)
        ended = 0
        for log in left:
            ended += log.held if log.ended else 0
            if not log.is_empty and ended <= ENDED_BYTES:
                self._wake(log)

    def _drain(self, logs: list[RunLog]) -> list[RunLog]:
        """Send a tick's share of each; returns those that have more."""
        left = []
        budget = ALL_BYTES_PER_TICK
        for log in logs:
            share = FREE_BYTES if log.is_free else RUN_BYTES_PER_TICK
            while share > 0 and budget > 0 and (batch := log.take(min(share, BATCH_BYTES))) is not None:
                if not self._send(batch):
                    log.put_back(batch)
                    break
                size = sum(len(line.text) + 1 for line in batch.lines) + 1
                share -= size
                budget -= size
            if not log.is_empty:
                left.append(log)
        return left
