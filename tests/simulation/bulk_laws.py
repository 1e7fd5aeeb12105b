"""What must hold of bulk actions: each run has one turn, the counts are right, and nothing is done after the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from tests.simulation.laws import EventLaw, broken

if TYPE_CHECKING:
    from tests.simulation.world import World


def ended_bulks_do_nothing(world: World, event: ev.BulkAdvanced | ev.BulkEnded) -> None:
    """After its end, by itself or by an abort, a bulk action does nothing more."""
    bulk = world.book.bulks.get(event.bulk_id)
    if bulk is None or bulk.is_completed:
        broken(ended_bulks_do_nothing, f"{event} of {bulk}")


def each_run_has_one_turn(world: World, event: ev.BulkAdvanced) -> None:
    """A bulk action goes from new runs to old ones and never back."""
    command = world.host.command
    assert isinstance(command, c.AdvanceBulk)
    before = world.book.bulks[event.bulk_id].cursor
    if event.cursor != min(command.run_ids) or (before and max(command.run_ids) >= before):
        broken(each_run_has_one_turn, f"{event} for {command.run_ids} after {before!r}")


def bulks_count_what_they_did(world: World, event: ev.BulkAdvanced) -> None:
    """A success is a run that this chunk canceled, or one that it made; all others are failures."""
    command = world.host.command
    assert isinstance(command, c.AdvanceBulk)
    canceled = {each.run_id for each in world.step_events if isinstance(each, ev.RunCanceled)}
    made = sum(1 for each in world.step_events if isinstance(each, ev.RunTriggered))
    cancels = world.book.bulks[event.bulk_id].kind == "CANCEL"
    success = len(canceled & set(command.run_ids)) if cancels else made
    if (event.success, event.failure) != (success, len(command.run_ids) - success):
        broken(bulks_count_what_they_did, f"{event}, but {success} of {command.run_ids}")


def bulks_cancel_what_matches(world: World, event: ev.RunCanceled) -> None:
    """A bulk action cancels what its filter means at that moment, and the runs below, nothing else."""
    command = world.host.command
    if not isinstance(command, c.AdvanceBulk):
        return
    bulk, entry = world.book.bulks[command.bulk_id], world.book.runs[event.run_id]
    if entry.parent in {each.run_id for each in world.step_events if isinstance(each, ev.RunCanceled)}:
        return
    if entry.parent and world.book.runs[entry.parent].canceled:
        return
    matches = not bulk.asked.status or entry.status.value in bulk.asked.status
    matches = matches and (not bulk.asked.task or entry.task in bulk.asked.task)
    if bulk.kind != "CANCEL" or event.run_id not in command.run_ids or not matches:
        broken(bulks_cancel_what_matches, f"{event} by {bulk}")


def replays_are_few(world: World, event: ev.BulkBegan) -> None:
    """At most three bulk replays go on at a time."""
    going = [bulk for bulk in world.book.bulks.values() if bulk.kind == "REPLAY" and not bulk.is_completed]
    if event.bulk.kind == "REPLAY" and len(going) >= 3:
        broken(replays_are_few, event)


BULK_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.BulkBegan: (replays_are_few,),
    ev.BulkAdvanced: (ended_bulks_do_nothing, each_run_has_one_turn, bulks_count_what_they_did),
    ev.BulkEnded: (ended_bulks_do_nothing,),
    ev.RunCanceled: (bulks_cancel_what_matches,),
}
