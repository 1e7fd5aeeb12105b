"""Which status may follow which: one table, checked by the engine at every change and by the simulation."""

from __future__ import annotations

from kernelkit.models.run import FINAL, RunStatus

S = RunStatus

_ENDS_OF_AN_ATTEMPT = frozenset({S.COMPLETED, S.FAILED, S.CRASHED, S.SYSTEM_FAILURE, S.TIMED_OUT, S.CANCELED})

MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    S.DELAYED: frozenset({S.QUEUED, S.DELAYED, S.PENDING_VERSION, S.CANCELED}),
    S.PENDING_VERSION: frozenset({S.QUEUED, S.EXPIRED, S.CANCELED}),
    S.QUEUED: frozenset({S.DEQUEUED, S.PENDING_VERSION, S.EXPIRED, S.CANCELED, S.SYSTEM_FAILURE}),
    S.DEQUEUED: frozenset({S.EXECUTING, S.QUEUED}) | _ENDS_OF_AN_ATTEMPT,
    # EXECUTING may follow EXECUTING: the next attempt after a short backoff that kept the slot is dispatched again.
    S.EXECUTING: frozenset({S.WAITING, S.QUEUED, S.DEQUEUED, S.EXECUTING}) | _ENDS_OF_AN_ATTEMPT,
    # DEQUEUED: a suspended body was woken by something that nobody saw, and has ended.
    S.WAITING: frozenset({S.QUEUED, S.DEQUEUED, S.CANCELED}),
} | {status: frozenset() for status in FINAL}


def allows(before: RunStatus, after: RunStatus) -> bool:
    """
    >>> allows(RunStatus.QUEUED, RunStatus.DEQUEUED), allows(RunStatus.COMPLETED, RunStatus.QUEUED)
    (True, False)
    """
    return after in MOVES[before]
