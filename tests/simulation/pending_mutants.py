"""Engines that are mistaken about runs whose task is not defined. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import commands as c
from kernelkit.engine import decide, definitions
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.task import TaskSpec
from tests.simulation.mutants import Mutant, Patch, handle


def definition_wakes_nobody(patch: Patch) -> None:
    """Runs that wait for a task go on waiting when it is defined."""
    before = definitions.define

    def define(state: State, command: c.DefineTask, now: int) -> Sequence[ev.AnyEvent]:
        return before(state, command, now)[:1]

    patch.setattr(decide, "define", define)


def waiting_run_stands_in_its_queue(patch: Patch) -> None:
    """A run whose task is not defined stands in a queue as any other."""
    before = applying._HANDLERS[ev.RunTriggered]

    def triggered(state: State, event: ev.RunTriggered) -> LiveRun | None:
        run = before(state, replace(event, awaited=None))
        if run is not None and event.awaited is not None:
            run.awaited = event.awaited
            state.undefined.setdefault(run.task_id, set()).add(run.id)
        return run

    handle(patch, ev.RunTriggered, triggered)


def definition_overrules_the_trigger(patch: Patch) -> None:
    """What a trigger said itself is forgotten once the task is there."""
    before = definitions._version_found

    def found(run: LiveRun, spec: TaskSpec, now: int) -> ev.VersionFound:
        return replace(before(run, spec, now), queue=spec.queue_name, ttl=spec.ttl)

    patch.setattr(definitions, "_version_found", found)


def ended_run_still_waits(patch: Patch) -> None:
    """A canceled run is still woken by the definition of its task."""
    patch.setattr(State, "drop_undefined", lambda self, run: None)


PENDING_MUTANTS = (
    Mutant(definition_wakes_nobody, {"no_run_waits_for_a_task_that_is_there"}),
    Mutant(
        waiting_run_stands_in_its_queue,
        {
            "an_error_of_the_engine",
            "the_book_agrees",
            "nothing_starts_without_its_task",
            "the_project_keeps_its_limits",
            "no_run_that_could_start_is_left_standing",
        },
    ),
    Mutant(definition_overrules_the_trigger, {"a_definition_gives_what_was_left_open"}),
    Mutant(ended_run_still_waits, {"no_run_waits_for_a_task_that_is_there", "an_error_of_the_engine"}),
)
