"""How busy the engine has been: runs that ended, and how long runs were queued before a worker got them, in 15 minutes.

For screens alone: kept in memory, counted when the events are taken, gone with the engine. Nothing is decided by it.
"""

from __future__ import annotations

from collections import deque
from statistics import median

import msgspec

from kernelkit.clock import MICROS
from kernelkit.models.pulse import Beats

STEP = 15 * MICROS
STEPS = 60
PER_MINUTE = 4
_SAMPLES = 200  # waits kept of each step: enough for a median, however many runs start


class _Step(msgspec.Struct):
    number: int
    ended: int = 0
    started: int = 0
    waits: list[int] = []


class Pulse:
    """Counts; all calls come on the engine's loop."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque(maxlen=STEPS)

    def ended(self, now: int) -> None:
        """A run is over."""
        self._now(now).ended += 1

    def started(self, now: int, waited: int) -> None:
        """A run was given to a worker for the first time, so many microseconds after it was queued."""
        step = self._now(now)
        waited = waited if waited > 0 else 0
        if step.started < _SAMPLES:
            step.waits.append(waited)
        else:
            step.waits[step.started % _SAMPLES] = waited
        step.started += 1

    def read(self, now: int) -> Beats:
        """The last 15 minutes, as far as the engine has run."""
        if not self._steps:
            return Beats()
        last = now // STEP
        by_number = {step.number: step for step in self._steps}
        first = max(last - STEPS + 1, self._steps[0].number)
        steps = [by_number.get(number) or _Step(number) for number in range(first, last + 1)]
        minute = steps[-PER_MINUTE:]
        waits = sorted(wait for step in minute for wait in step.waits)
        return Beats(
            ended=tuple(step.ended for step in steps),
            waits=tuple(median(step.waits) / MICROS if step.waits else -1.0 for step in steps),
            ended_a_minute=sum(step.ended for step in minute),
            wait=median(waits) / MICROS if waits else -1.0,
            wait_p95=waits[(len(waits) * 95 - 1) // 100] / MICROS if waits else -1.0,
        )

    def _now(self, now: int) -> _Step:
        number = now // STEP
        if not self._steps or number > self._steps[-1].number:  # a clock that was set back counts in the latest step
            self._steps.append(_Step(number))
        return self._steps[-1]
