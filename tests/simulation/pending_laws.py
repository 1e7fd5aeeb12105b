"""What must hold of runs whose task nobody has defined yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.rules.lifecycle import allows
from tests.simulation.laws import EventLaw, broken, terminal_is_final

if TYPE_CHECKING:
    from tests.simulation.world import World


def only_who_asked_for_it_waits_for_a_task(world: World, event: ev.RunTriggered) -> None:
    """A run waits for its task to be defined only if its trigger says so, and only while there is no such task."""
    asked = world.asked[event.run_id]
    if event.awaited is not None and (not asked.allow_undefined or asked.task_id in world.host.state.tasks):
        broken(only_who_asked_for_it_waits_for_a_task, f"{event} for {asked}")


def nothing_starts_without_its_task(world: World, event: ev.RunDispatched) -> None:
    """No code runs of a task that is not defined."""
    if world.book.runs[event.run_id].awaits:
        broken(nothing_starts_without_its_task, event)


def a_definition_gives_what_was_left_open(world: World, event: ev.VersionFound) -> None:
    """A run that waited has the options of its trigger, else those of the task as it is defined."""
    entry, asked = world.book.runs[event.run_id], world.asked[event.run_id]
    known = world.host.state.tasks.get(entry.task)
    after = RunStatus.QUEUED if entry.status is RunStatus.PENDING_VERSION else entry.status
    if known is None or not entry.awaits or not allows(entry.status, after):
        broken(a_definition_gives_what_was_left_open, f"{event} while {entry}")
    spec = known.spec
    expected = (
        asked.queue or spec.queue_name,
        spec.ttl if asked.ttl is None else asked.ttl,
        spec.max_duration if asked.max_duration is None else asked.max_duration,
        asked.tags or spec.tags,
        asked.machine or spec.machine,
    )
    got = (event.queue, event.ttl, event.max_duration, event.tags, event.machine)
    if (got[:2] != expected[:2]) if entry.pushed else (got != expected):  # a push gives other tags, say
        broken(a_definition_gives_what_was_left_open, f"{event} for {asked} of {spec}")


def no_run_waits_for_a_task_that_is_there(world: World, state: State) -> None:
    """Once a task is defined nothing waits for that any more, and those that do wait are known by its id."""
    waiting: dict[str, set[str]] = {}
    for entry in world.book.live.values():
        if entry.awaits:
            waiting.setdefault(entry.task, set()).add(entry.id)
    if waiting != state.undefined or waiting.keys() & state.tasks.keys():
        broken(no_run_waits_for_a_task_that_is_there, f"{waiting}, and the state says {state.undefined}")


PENDING_LAWS: dict[type[ev.Event], tuple[EventLaw, ...]] = {
    ev.RunTriggered: (only_who_asked_for_it_waits_for_a_task,),
    ev.VersionFound: (terminal_is_final, a_definition_gives_what_was_left_open),
    ev.RunDispatched: (nothing_starts_without_its_task,),
}
