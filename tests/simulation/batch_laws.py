"""What must hold of batches: every item is accounted for, and none hinders the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine import commands as c
from kernelkit.engine.queues import names
from kernelkit.errors import QueueFullError
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.wire import messages as m
from tests.simulation.laws import EventLaw, a_run_id_is_used_once, broken

if TYPE_CHECKING:
    from tests.simulation.world import World


def items_of(command: c.Command) -> tuple[m.TriggerItem, ...]:
    """The items that a command asks for."""
    match command:
        case c.TriggerRuns():
            return command.items
        case c.TakeReport(body=m.ChildTrigger() as body):
            return body.items
        case _:
            return ()


def must_be_refused(world: World, item: m.TriggerItem) -> bool:
    """Whether there is something wrong with an item: itself, its task, its code or its queue."""
    state = world.host.state
    queues = names(state) | {
        other.queue
        for other in items_of(world.host.command)
        if other.queue_limit is not None or other.queue_rate is not None
    }
    version = state.bundles.get(item.bundle) if item.bundle else state.tasks.get(item.task_id)
    nameless = version is None and (bool(item.bundle) or not item.allow_undefined)
    return item.problem is not None or nameless or bool(item.queue and item.queue not in queues)


def finds_no_room(world: World, item: m.TriggerItem) -> bool:
    """Whether the queue of an item is as long as it may be."""
    size, state = world.capacity.queue_size, world.host.state
    version = state.bundles[item.bundle] if item.bundle else state.tasks.get(item.task_id)
    queue = item.queue or (version.spec.queue_name if version else f"task/{item.task_id}")
    return size is not None and not (item.delay_s or item.delay_until) and state.queued_of(queue) >= size


def only_bad_items_fail(world: World, event: ev.RunRefused) -> None:
    """An item becomes a failed run only when it could not have been triggered."""
    if event.error.code == QueueFullError.code and world.capacity.queue_size is not None:
        return
    if not must_be_refused(world, world.asked[event.run_id]):
        broken(only_bad_items_fail, event)


def bad_items_are_not_triggered(world: World, event: ev.RunTriggered) -> None:
    """Nothing is made of an item that says itself what is wrong with it."""
    asked = world.asked.get(event.run_id)
    if asked is not None and asked.problem is not None:
        broken(bad_items_are_not_triggered, event)


def batches_account_for_every_item(world: World, event: ev.BatchMade) -> None:
    """A batch names, in order, the run of each of its items, made for it or answered, and each error at its place."""
    batch = event.batch
    full = {error.index for error in batch.errors if error.error.code == QueueFullError.code and not error.run_id}
    asked = ["" if index in full else item.run_id for index, item in enumerate(items_of(world.host.command))]
    expected = [world.book.same.answered.get(run_id, run_id) for run_id in asked]
    runs = [world.book.runs.get(run_id) for run_id in batch.run_ids]
    refused = {
        index
        for index, run in enumerate(runs)
        if index in full
        or (run is not None and run.id in asked and run.ended and run.status is RunStatus.SYSTEM_FAILURE)
    }
    if (
        batch.id in world.book.batches
        or list(batch.run_ids) != expected
        or (full and world.capacity.queue_size is None)
        or any(
            run is None or (run.id in asked and run.batch != batch.id)
            for index, run in enumerate(runs)
            if index not in full
        )
        or refused != {error.index for error in batch.errors}
        or len(refused) == len(runs)
    ):
        broken(batches_account_for_every_item, f"{event} of {asked}")


def batches_are_refused_whole(world: World, command: c.Command) -> None:
    """A batch is refused only when every one of its items is."""
    match command:
        case c.TriggerRuns(batch_id=batch_id) | c.TakeReport(body=m.ChildTrigger(batch_id=batch_id)):
            pass
        case _:
            return
    good = [
        item.run_id for item in items_of(command) if not must_be_refused(world, item) and not finds_no_room(world, item)
    ]
    if batch_id and good:
        broken(batches_are_refused_whole, f"{good} would do in {command}")


BATCH_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.RunTriggered: (bad_items_are_not_triggered,),
    ev.RunRefused: (a_run_id_is_used_once, only_bad_items_fail),
    ev.BatchMade: (batches_account_for_every_item,),
}
