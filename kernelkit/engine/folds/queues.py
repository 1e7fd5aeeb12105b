"""The part of `apply.py` that changes what is set for queues: limits, rates, and whether they are paused.

The runs that stand in them belong to `triggers.py` and `attempts.py`. Every change ends with `State.queue_changed`, or
nobody who waited for it would start.
"""

from __future__ import annotations

from kernelkit.engine.state import State
from kernelkit.models import event as ev


def limited(state: State, event: ev.QueueLimited) -> None:
    state.record_of(event.queue).limit = event.limit
    state.queue_changed(event.queue)


def rated(state: State, event: ev.QueueRated) -> None:
    state.record_of(event.queue).set_rate(event.rate, state.clock)
    state.queue_changed(event.queue)


def overridden(state: State, event: ev.QueueOverridden) -> None:
    record = state.record_of(event.queue)
    record.override = event.limit
    record.overridden_at = 0 if event.limit is None else event.at
    state.queue_changed(event.queue)


def paused(state: State, event: ev.QueuePaused) -> None:
    _set_paused(state, event.queue, paused=True)


def resumed(state: State, event: ev.QueueResumed) -> None:
    _set_paused(state, event.queue, paused=False)


def _set_paused(state: State, queue: str, *, paused: bool) -> None:
    if not queue:
        state.paused = paused
        return
    state.record_of(queue).paused = paused
    state.queue_changed(queue)
