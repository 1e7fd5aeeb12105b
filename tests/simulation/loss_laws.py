"""What must hold of attempts whose worker is lost: those that had begun are counted, those that had not are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from tests.simulation.laws import EventLaw, broken

if TYPE_CHECKING:
    from tests.simulation.world import World


def what_had_begun_is_not_given_back(world: World, event: ev.DispatchUndone) -> None:
    """A dispatch whose code was executed counts as an attempt; only one that resumes may be repeated."""
    entry = world.book.runs[event.run_id]
    if entry.fence in world.begun and not entry.resumes:
        broken(what_had_begun_is_not_given_back, f"{event} of {entry}")


def starts_are_not_tried_for_ever(world: World, event: ev.DispatchUndone) -> None:
    """The third dispatch in a row that a worker does not begin is not given back once more."""
    entry = world.book.runs[event.run_id]
    if event.blames_worker and entry.unbegun >= 2:
        broken(starts_are_not_tried_for_ever, f"{event} of {entry}")


def what_had_not_begun_is_not_counted(world: World, event: ev.AttemptFailed | ev.RunFinished) -> None:
    """An attempt whose code was not executed fails only where memory ran out or workers keep ending before it, and
    then as any attempt of a lost worker does."""
    command, entry = world.host.command, world.book.runs[event.run_id]
    if not isinstance(command, c.WorkerEnded) or command.out_of_memory or event.run_id not in command.unbegun:
        return
    is_final = isinstance(event, ev.RunFinished) and event.status is RunStatus.SYSTEM_FAILURE
    if entry.unbegun < 2 or (is_final and event.run_id not in command.undelivered):
        broken(what_had_not_begun_is_not_counted, f"{event} of {entry}")


LOSS_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.DispatchUndone: (what_had_begun_is_not_given_back, starts_are_not_tried_for_ever),
    ev.AttemptFailed: (what_had_not_begun_is_not_counted,),
    ev.RunFinished: (what_had_not_begun_is_not_counted,),
}
