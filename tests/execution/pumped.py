"""A log and its pump in a test's hands."""

from __future__ import annotations

from collections.abc import Callable

from kernelkit.execution.log_pump import LogPump
from kernelkit.wire.messages import WorkerLogs


class Pumped:
    """A pump whose timer the test turns by hand."""

    def __init__(self) -> None:
        self.sent: list[WorkerLogs] = []
        self.online = True
        self.crowded = False
        self.timers: list[Callable[[], None]] = []
        self.pump = LogPump(
            send=self._send, crowded=lambda: self.crowded, later=lambda seconds, then: self.timers.append(then)
        )
        self.log = self.pump.open("run_1", 1)

    def _send(self, batch: WorkerLogs) -> bool:
        if self.online:
            self.sent.append(batch)
        return self.online

    def tick(self) -> None:
        timers, self.timers = self.timers, []
        for then in timers:
            then()

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(line.level, line.text) for batch in self.sent for line in batch.lines]

    @property
    def dropped(self) -> int:
        return sum(batch.dropped for batch in self.sent)
