"""Engines that are mistaken about what a lost worker had begun. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kernelkit.engine import attempts, decide
from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from tests.simulation.mutants import Mutant, Patch


def unbegun_attempts_counted(patch: Patch) -> None:
    """Every attempt that a lost worker had counts as a failed one."""

    def ended(state: State, command: c.WorkerEnded, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        return before(state, replace(command, unbegun=frozenset()), now, roll)

    before = attempts.decide_ended_worker
    patch.setattr(decide, "decide_ended_worker", ended)


def begun_attempts_given_back(patch: Patch) -> None:
    """No attempt that a lost worker had counts."""

    def ended(state: State, command: c.WorkerEnded, now: int, roll: c.Roll) -> Sequence[ev.AnyEvent]:
        held = frozenset(state.by_worker.get(command.worker_id, ()))
        return before(state, replace(command, unbegun=held), now, roll)

    before = attempts.decide_ended_worker
    patch.setattr(decide, "decide_ended_worker", ended)


def unlucky_runs_ended(patch: Patch) -> None:
    """A run before whose code workers keep ending is over, whatever attempts it has left."""
    patch.setattr(attempts, "_is_suspect", lambda run: False)


def starts_tried_for_ever(patch: Patch) -> None:
    """A run that no worker begins is dispatched without end."""
    patch.setattr(attempts, "MAX_START_FAILURES", 1_000)


LOSS_MUTANTS = (
    Mutant(unbegun_attempts_counted, {"what_had_not_begun_is_not_counted"}),
    Mutant(begun_attempts_given_back, {"what_had_begun_is_not_given_back"}),
    Mutant(unlucky_runs_ended, {"what_had_not_begun_is_not_counted"}),
    Mutant(starts_tried_for_ever, {"starts_are_not_tried_for_ever"}),
)
