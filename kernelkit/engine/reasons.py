"""Why a queued run is not running, in words for a person.

Asked from the outside in: what holds up everybody, its queue, its copy for a key, then what it needs itself. The first
that holds it up is told. Whatever `placement.py` comes to heed besides must be told here too: the simulation holds that
no queued run is without a true reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.clock import to_datetime
from kernelkit.engine.commands import Capacity
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.machines import shortage
from kernelkit.engine.state import State
from kernelkit.engine.turns import MACHINES
from kernelkit.models.run import RunStatus


def queued_reason(state: State, run: LiveRun, capacity: Capacity, *, count_ahead: bool = True) -> str | None:
    """None when the run is not queued.

    Counting the runs ahead of it looks at all of its queue, so lists of runs do without.
    """
    if run.status is RunStatus.PENDING_VERSION:
        return f"no client has defined the task {run.task_id} yet"
    if run.status is not RunStatus.QUEUED:
        return None
    if run.retry_at:
        return f"attempt {run.attempt + 1} of {run.max_attempts} waits out its backoff; the slot was given back"
    reason = next(_holds_up(state, run, capacity), None)
    if reason is None:
        return "about to start"
    return reason + (_ahead(state, run) if count_ahead else "")


def is_queue_paused(state: State, run: LiveRun, capacity: Capacity) -> bool:
    """Whether `queued_reason` is that the run's queue is paused, as a fact that can be acted on."""
    if run.status is not RunStatus.QUEUED or run.retry_at or state.paused or not capacity.attempts:
        return False
    record = state.queues.get(run.queue)
    return record is not None and record.paused


def _holds_up(state: State, run: LiveRun, capacity: Capacity) -> Iterator[str]:
    if not capacity.attempts:
        yield "the engine is stopping: it starts no more runs, the next engine does"
    if state.paused:
        yield "the project is paused"
    yield from _queue(state, run)
    if len(state.holders) >= capacity.attempts:
        yield f"project limit: {len(state.holders)} of {capacity.attempts} executing"
    exclusive = state.executing_exclusive()
    if run.isolation == "process" and exclusive >= capacity.exclusive:
        yield f"no exclusive worker free: {exclusive} of {capacity.exclusive} in use"
    yield from _machine(state, run, capacity)


def _queue(state: State, run: LiveRun) -> Iterator[str]:
    queue = f"queue {run.queue}"
    record = state.queues.get(run.queue)
    if record is None:
        return
    if record.paused:
        yield f"{queue} is paused"
    limit, used = record.current, state.holding(run.slots)
    if limit is not None and used >= limit:
        key = f", key {run.concurrency_key}" if run.concurrency_key else ""
        yield f"{queue}{key}: {used} of {limit} in use"
    if run.queue in state.turns.throttled and not run.suspended_at:
        moment = to_datetime(record.next_token()).isoformat(sep=" ", timespec="milliseconds")
        yield f"{queue}: rate limit {record.rate}, next start at {moment.removesuffix('+00:00')} UTC"


def _machine(state: State, run: LiveRun, capacity: Capacity) -> Iterator[str]:
    if not run.machine:
        return
    waits = shortage(state, run, capacity)
    if waits is not None:
        yield waits
    for kind in MACHINES:
        first = state.turns.first(kind, state.clock)
        if first is not None and first[1].id != run.id:
            its = shortage(state, first[1], capacity) or "starts first"
            yield f"waits its turn: {first[1].id} came before it and {its}"


def _ahead(state: State, run: LiveRun) -> str:
    """How many of its queue, or of the queue's copy for its key, go before it."""
    members = state.queued.get(run.queue, {}).get(run.concurrency_key, ())
    count = sum(1 for other in members if (found := state.runs[other]).is_ready and found.order < run.order)
    return f", {count} {'run' if count == 1 else 'runs'} ahead" if count else ""
