"""Engines that are mistaken about machines: what they reserve, whose turn it is, and what running out of memory brings.

Made as those of `mutants.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import attempts, decide, machines, newruns, placement, triggers
from kernelkit.engine import commands as c
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from tests.simulation.mutants import Mutant, Patch, handle


def memory_promised_twice(patch: Patch) -> None:
    """A machine's memory and vCPUs are not counted."""
    patch.setattr(placement, "fits", lambda state, name, capacity: True)


def small_machines_pass_large_ones(patch: Patch) -> None:
    """While a large machine does not fit, a younger small one starts."""

    def next_dispatch(state: State, capacity: c.Capacity, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        found = before(state, capacity, now, roll)
        if found or not capacity.attempts or state.paused or len(state.holders) >= capacity.attempts:
            return found
        for lane in [(slots, kind) for slots, lanes in state.lanes.items() for kind in lanes]:
            run = state.head(lane)
            if (
                run is None
                or state.is_full(run.queue, run.slots)
                or not state.may_start(run.queue, max(now, state.clock))
            ):
                continue
            if state.executing_exclusive() < capacity.exclusive and machines.fits(state, run.machine, capacity):
                return placement.dispatch(state, run, capacity, now, roll)
        return ()

    before = placement.next_dispatch
    patch.setattr(decide, "next_dispatch", next_dispatch)


def any_worker_for_a_machine(patch: Patch) -> None:
    """A run with a machine is given a worker without its cap."""
    before = placement._free_worker

    def free_worker(state: State, env_id: str, isolation: object, capacity: c.Capacity, machine: object) -> str | None:
        for worker in state.workers.values():
            if (worker.isolation, worker.env_id) == (isolation, env_id) == ("process", env_id) and (
                worker.id not in state.by_worker and not worker.retired
            ):
                return worker.id
        return before(state, env_id, isolation, capacity, machine)  # type: ignore[arg-type]  # as they came

    patch.setattr(placement, "_free_worker", free_worker)


def larger_machine_forgotten(patch: Patch) -> None:
    """A run that ran out of memory is tried again on the machine it had."""
    before = applying._HANDLERS[ev.AttemptFailed]

    def failed(state: State, event: ev.AttemptFailed) -> LiveRun | None:
        return before(state, replace(event, machine=""))

    handle(patch, ev.AttemptFailed, failed)


def out_of_memory_retried_like_any_error(patch: Patch) -> None:
    """The ordinary policy counts when memory ran out."""
    before = attempts._failed

    def failed(*args: object, **options: object) -> Sequence[ev.AnyEvent]:
        return before(*args, **{**options, "out_of_memory": False})  # type: ignore[arg-type]  # as they came

    patch.setattr(attempts, "_failed", failed)


def machine_of_the_trigger_ignored(patch: Patch) -> None:
    """A run has the machine of its task, whatever its trigger says."""
    before = newruns.new_run

    def triggered(state: State, item: object, now: int, **options: object) -> ev.RunTriggered:
        return before(state, replace(item, machine=""), now, **options)  # type: ignore[arg-type, type-var]  # as they came

    for room in (triggers, newruns):
        patch.setattr(room, "new_run", triggered)


MACHINE_MUTANTS = (
    Mutant(memory_promised_twice, {"the_host_is_not_promised_twice"}),
    Mutant(small_machines_pass_large_ones, {"machines_go_by_their_turn"}),
    Mutant(any_worker_for_a_machine, {"workers_are_what_attempts_need"}),
    Mutant(
        larger_machine_forgotten,
        {"the_project_keeps_its_limits", "workers_are_what_attempts_need", "machines_agree", "queued_runs_say_why"},
    ),
    Mutant(
        out_of_memory_retried_like_any_error,
        {"out_of_memory_changes_the_machine", "runs_fail_when_their_attempts_are_spent"},
    ),
    Mutant(machine_of_the_trigger_ignored, {"machines_are_what_was_asked_for"}),
)
