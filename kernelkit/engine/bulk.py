"""What follows from a bulk action's commands. Pure; which runs a chunk is about was looked up before.

A chunk, its cursor and its counts are events of one commit, so that after a crash each run has been dealt with once or
not at all. What a newcomer would get wrong: a run is judged by the filter again at its turn, as it may have moved on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models import event as ev
from kernelkit.models.bulk import Bulk
from kernelkit.models.run import FINAL
from kernelkit.rules.matching import matches
from kernelkit.wire.messages import TriggerItem

MAX_REPLAYS = 3
"""Bulk replays at a time; each makes as many runs as it finds."""

Cancel = Callable[[State, str, str, int], Iterable[ev.AnyEvent]]
Trigger = Callable[[State, TriggerItem, int], ev.AnyEvent]


def start_bulk(state: State, command: c.StartBulk, now: int) -> Sequence[ev.AnyEvent]:
    """Note the action; its chunks follow by themselves."""
    bulk = command.bulk
    if bulk.id in state.bulks:
        return ()
    replays = sum(1 for other in state.bulks.values() if other.kind == "REPLAY" and not other.is_completed)
    if bulk.kind == "REPLAY" and replays >= MAX_REPLAYS:
        raise InvalidOptionError(
            f"{replays} replays of many runs are under way; at most {MAX_REPLAYS} may be. Wait for one, or abort it."
        )
    return (ev.BulkBegan(now, bulk),)


def advance_bulk(
    state: State, command: c.AdvanceBulk, now: int, cancel: Cancel, trigger: Trigger
) -> Sequence[ev.AnyEvent]:
    """One chunk: what is done to its runs, and how far the action has come."""
    bulk = state.bulks.get(command.bulk_id)
    if bulk is None or bulk.is_completed:
        return ()
    done: list[ev.AnyEvent] = []
    if bulk.kind == "CANCEL":
        success = _cancel_all(state, bulk, command.run_ids, now, cancel, done)
    else:
        success = _trigger_all(state, command.items, now, trigger, done)
    failure = len(command.run_ids) - success
    if command.run_ids:
        done.append(ev.BulkAdvanced(now, bulk.id, command.run_ids[-1], success, failure))
    if command.is_last:
        done.append(ev.BulkEnded(now, bulk.id, "COMPLETED"))
    return done


def abort_bulk(state: State, command: c.AbortBulk, now: int) -> Sequence[ev.AnyEvent]:
    """Do no further chunk; what is done stays done."""
    bulk = state.bulks.get(command.bulk_id)
    return () if bulk is None or bulk.is_completed else (ev.BulkEnded(now, bulk.id, "ABORTED"),)


def _cancel_all(
    state: State, bulk: Bulk, run_ids: Iterable[str], now: int, cancel: Cancel, done: list[ev.AnyEvent]
) -> int:
    """Cancel those that still match; returns how many of them are canceled by it."""
    wanted = set(run_ids)
    canceled: set[str] = set()
    for run_id in run_ids:
        run = state.runs.get(run_id)
        if run is None or run.status in FINAL or not matches(run, run.created_at, bulk.asked):
            continue
        for event in cancel(state, run_id, bulk.reason, now):
            assert isinstance(event, ev.RunCanceled)
            if event.run_id not in canceled:  # a child may be meant as well as its parent
                canceled.add(event.run_id)
                done.append(event)
    return len(wanted & canceled)


def _trigger_all(
    state: State, items: Iterable[TriggerItem], now: int, trigger: Trigger, done: list[ev.AnyEvent]
) -> int:
    success = 0
    for item in items:
        try:
            done.append(trigger(state, item, now))
        except KernelKitError:  # its task is no more or its queue is full: counted, as nobody waits for the reason
            continue
        success += 1
    return success
