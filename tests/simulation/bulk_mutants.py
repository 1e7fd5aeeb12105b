"""Engines that are mistaken about bulk actions. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import bulk as bulks
from kernelkit.engine import commands as c
from kernelkit.engine import decide
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from tests.simulation.mutants import Mutant, Patch, handle


def moved_on_runs_canceled_all_the_same(patch: Patch) -> None:
    """Whether a run still matches at its turn is not asked."""
    patch.setattr(bulks, "matches", lambda run, created_at, asked: True)


def abort_not_heard(patch: Patch) -> None:
    """An action that was aborted goes on."""
    before = bulks.advance_bulk

    def advance(state: State, command: c.AdvanceBulk, now: int, *others: Any) -> Sequence[ev.AnyEvent]:
        bulk = state.bulks[command.bulk_id]
        state.bulks[bulk.id] = replace(bulk, status="PENDING")
        return before(state, command, now, *others)

    patch.setattr(decide, "advance_bulk", advance)
    ended = applying._HANDLERS[ev.BulkEnded]

    def stays_open(state: State, event: ev.BulkEnded) -> None:
        ended(state, event)
        if event.status == "ABORTED" and event.bulk_id in state.bulks:
            state.bulks[event.bulk_id] = replace(state.bulks[event.bulk_id], status="PENDING")

    handle(patch, ev.BulkEnded, stays_open)


def cursor_forgotten(patch: Patch) -> None:
    """Where an action has come to is not noted."""
    before = applying._HANDLERS[ev.BulkAdvanced]
    handle(patch, ev.BulkAdvanced, lambda state, event: before(state, replace(event, cursor="")))


def ended_runs_counted_as_canceled(patch: Patch) -> None:
    """A run that is over already counts as a success."""
    before = bulks.advance_bulk

    def advance(state: State, command: c.AdvanceBulk, now: int, *others: Any) -> Sequence[ev.AnyEvent]:
        return [
            replace(event, success=event.success + event.failure, failure=0)
            if isinstance(event, ev.BulkAdvanced)
            else event
            for event in before(state, command, now, *others)
        ]

    patch.setattr(decide, "advance_bulk", advance)


BULK_MUTANTS = (
    Mutant(moved_on_runs_canceled_all_the_same, {"bulks_cancel_what_matches"}),
    Mutant(abort_not_heard, {"ended_bulks_do_nothing"}),
    Mutant(cursor_forgotten, {"each_run_has_one_turn"}),
    Mutant(ended_runs_counted_as_canceled, {"bulks_count_what_they_did"}),
)
