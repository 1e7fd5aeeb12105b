"""Engines that are mistaken about batches. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine import decide, newruns, triggers
from kernelkit.engine.state import State
from kernelkit.errors import KernelKitError
from kernelkit.models import event as ev
from tests.simulation.mutants import Mutant, Patch


def one_bad_item_stops_the_batch(patch: Patch) -> None:
    """A batch is made whole or not at all."""

    def batch(state: State, items: Sequence[Any], now: int, batch_id: str, *others: Any) -> list[ev.AnyEvent]:
        events = before(state, items, now, batch_id, *others)
        refused = next((event for event in events if isinstance(event, ev.RunRefused)), None)
        if refused is not None:
            raise KernelKitError(refused.error.message)
        return events

    before = triggers._batch
    patch.setattr(triggers, "_batch", batch)


def bad_items_are_dropped(patch: Patch) -> None:
    """Of an item that is refused nothing is said."""

    def batch(state: State, items: Sequence[Any], now: int, batch_id: str, *others: Any) -> list[ev.AnyEvent]:
        events = before(state, items, now, batch_id, *others)
        refused = {event.run_id for event in events if isinstance(event, ev.RunRefused)}
        kept: list[ev.AnyEvent] = []
        for event in events:
            if isinstance(event, ev.BatchMade):
                record = event.batch
                run_ids = tuple(run_id for run_id in record.run_ids if run_id not in refused)
                kept.append(replace(event, batch=replace(record, run_ids=run_ids, errors=())))
            elif not isinstance(event, ev.RunRefused):
                kept.append(event)
        return kept

    before = triggers._batch
    patch.setattr(triggers, "_batch", batch)


def batch_made_again_when_sent_again(patch: Patch) -> None:
    """That a batch has been made before is not asked."""
    before = triggers.trigger

    def trigger(state: State, command: c.TriggerRuns, now: int, size: int | None) -> list[ev.AnyEvent]:
        return before(state, replace(command, made=None), now, size)

    patch.setattr(decide, "trigger", trigger)


def too_large_item_triggered(patch: Patch) -> None:
    """What an item says is wrong with it is not heard."""
    before = newruns.new_run

    def triggered(state: State, item: Any, now: int, **others: Any) -> ev.RunTriggered:
        return before(state, replace(item, problem=None), now, **others)

    for room in (triggers, newruns):
        patch.setattr(room, "new_run", triggered)


BATCH_MUTANTS = (
    Mutant(one_bad_item_stops_the_batch, {"batches_are_refused_whole"}),
    Mutant(bad_items_are_dropped, {"batches_account_for_every_item"}),
    Mutant(
        batch_made_again_when_sent_again,
        {
            "a_run_id_is_used_once",
            "a_request_acts_once",
            "batches_account_for_every_item",
            "batches_are_refused_whole",
        },
    ),
    Mutant(too_large_item_triggered, {"bad_items_are_not_triggered"}),
)
