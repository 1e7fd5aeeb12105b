"""A stretch of a run's life: what it was doing, from when to when.

A run's spans follow one another in time and leave no gaps, from the trigger to the end. What a newcomer would get
wrong: an attempt that waits durably has several spans of executing; only the last of them has an outcome.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from kernelkit.models.error import Error
from kernelkit.models.run import AttemptStatus
from kernelkit.models.wait import Waiting

SpanKind = Literal["delayed", "undefined", "queued", "starting", "executing", "waiting", "backoff"]


class Span(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One stretch; the last one of a run that goes on has no end.

    "undefined" is the time for which no task of that id was defined, "starting" the way from a slot to the first line
    of code. `attempt` is the one that executes, waits or has failed before a backoff; 0 before the first.
    """

    kind: SpanKind
    started_at: datetime
    finished_at: datetime | None = None
    attempt: int = 0
    outcome: AttemptStatus | None = None  # how the attempt ended, where it ended with this span
    error: Error | None = None  # without its traceback
    waiting_for: tuple[Waiting, ...] = ()  # what a wait was for when it began

    def lasted(self, now: datetime) -> timedelta:
        """How long it lasted, or has by `now`.

        >>> from datetime import UTC
        >>> Span("queued", datetime(2026, 1, 1, tzinfo=UTC)).lasted(datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC)).seconds
        9
        """
        return max(timedelta(), (self.finished_at or now) - self.started_at)
