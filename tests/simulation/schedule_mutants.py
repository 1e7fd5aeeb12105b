"""Engines that are mistaken about schedules. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import commands as c
from kernelkit.engine import decide, schedules
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.schedule import Schedule
from kernelkit.rules import firing
from tests.simulation.mutants import Mutant, Patch, handle


def slot_comes_again(patch: Patch) -> None:
    """A slot that has fired is waited for once more."""
    before = applying._HANDLERS[ev.SlotsPassed]

    def passed(state: State, event: ev.SlotsPassed) -> None:
        before(state, replace(event, next_at=event.passed))

    handle(patch, ev.SlotsPassed, passed)


def slot_left_out(patch: Patch) -> None:
    """The slot behind one that fired is passed over."""
    before = schedules._next_of

    def next_of(schedule: Schedule, after: int) -> int | None:
        slot = before(schedule, after)
        return slot if slot is None or not schedule.passed else before(schedule, slot)

    patch.setattr(schedules, "_next_of", next_of)


def missed_slots_untold(patch: Patch) -> None:
    """Slots that were given up are not told of."""
    before = schedules._passed

    def passed(state: State, schedule: Schedule, now: int) -> Iterator[ev.AnyEvent | schedules.Fire]:
        for what in before(state, schedule, now):
            yield replace(what, missed=None) if isinstance(what, ev.SlotsPassed) else what

    patch.setattr(schedules, "_passed", passed)


def every_late_slot_fires(patch: Patch) -> None:
    """All slots that came meanwhile fire, whatever the schedule says."""
    before = schedules._passed

    def passed(state: State, schedule: Schedule, now: int) -> Iterator[ev.AnyEvent | schedules.Fire]:
        timing = replace(schedule.timing, catch_up="all", max_catch_up=5)
        return before(state, replace(schedule, timing=timing), now)

    patch.setattr(schedules, "_passed", passed)


def oldest_late_slot_fires(patch: Patch) -> None:
    """Of late slots the first fires instead of the latest."""
    patch.setattr(firing, "last_slot", lambda cron, timezone, until, *, since=0: since)


def lateness_unlimited(patch: Patch) -> None:
    """A slot is on time however late it is."""
    patch.setattr(schedules, "LATE", 1 << 60)


def overlap_ignored(patch: Patch) -> None:
    """A run is made although the last one goes on."""
    patch.setattr(schedules, "_is_busy", lambda state, schedule: False)


def overlap_never_ends(patch: Patch) -> None:
    """A schedule that has made a run is busy for good."""
    patch.setattr(schedules, "_is_busy", lambda state, schedule: bool(schedule.last_run_id))


def switched_off_goes_on(patch: Patch) -> None:
    """A schedule that was turned off keeps its slots."""
    before = schedules._waiting
    patch.setattr(schedules, "_waiting", lambda schedule, now: replace(before(replace(schedule, active=True), now)))

    def switch(state: State, command: c.SwitchSchedule, now: int) -> Sequence[ev.AnyEvent]:
        known = schedules._known(state, command.schedule_id)
        if known.active == command.active:
            return ()
        on = schedules._waiting(known, now)
        return (ev.ScheduleSaved(now, replace(on, active=command.active)),)

    patch.setattr(schedules, "switch", switch)


def clock_ahead_forgets_slots(patch: Patch) -> None:
    """What was given up while the clock was ahead stays given up."""
    patch.setattr(schedules, "_reopened", lambda state, now: iter(()))


def clock_back_fires_again(patch: Patch) -> None:
    """When the clock was set back, slots that had fired come again."""

    def reopened(state: State, now: int) -> Iterator[ev.AnyEvent]:
        for schedule in state.schedules.values():
            timing = schedule.timing
            slot = firing.next_slot(timing.cron, timing.timezone, now)
            if slot is not None and schedule.next_at > slot:
                yield ev.SlotsReopened(now, schedule.id, slot)

    patch.setattr(schedules, "_reopened", reopened)


def snapshot_without_schedules(patch: Patch) -> None:
    """Schedules are not written down with the rest of the state."""
    before = State.dump

    def dump(state: State) -> bytes:
        kept, state.schedules = state.schedules, {}
        try:
            return before(state)
        finally:
            state.schedules = kept

    patch.setattr(State, "dump", dump)


def keys_not_kept(patch: Patch) -> None:
    """A deduplication key finds nothing."""
    before = State.index_schedule

    def index(state: State, schedule: Schedule) -> None:
        before(state, schedule)
        state.schedule_keys.clear()

    patch.setattr(State, "index_schedule", index)


def no_timer_for_slots(patch: Patch) -> None:
    """Nobody wakes the engine for a slot."""
    patch.setattr(State, "set_slot", lambda state, schedule: None)


def definition_without_cron_keeps_it(patch: Patch) -> None:
    """A task that is redefined without cron= keeps its schedule."""
    before = schedules.own

    def own(state: State, spec: object, now: int) -> Iterator[ev.AnyEvent]:
        return (event for event in before(state, spec, now) if not isinstance(event, ev.ScheduleDeleted))  # type: ignore[arg-type]  # a TaskSpec

    patch.setattr(schedules, "own", own)


def slots_noted_a_step_later(patch: Patch) -> None:
    """The run of a slot is made in one step, the slot noted in another: a crash may come between."""
    held: list[ev.AnyEvent] = []
    before = decide._slots_due

    def slots_due(state: State, now: int) -> Iterator[ev.AnyEvent]:
        for event in before(state, now):
            if isinstance(event, ev.SlotsPassed):
                held.append(event)
            else:
                yield event

    patch.setattr(decide, "_slots_due", slots_due)


SCHEDULE_MUTANTS = (
    Mutant(slot_comes_again, {"timers_are_set", "a_slot_has_one_run", "slots_are_not_overdue"}),
    Mutant(slot_left_out, {"no_slot_is_lost", "a_clock_set_back_gives_slots_back"}),
    Mutant(missed_slots_untold, {"no_slot_is_lost"}),
    Mutant(every_late_slot_fires, {"late_slots_follow_the_policy"}),
    Mutant(oldest_late_slot_fires, {"no_slot_is_lost", "late_slots_follow_the_policy"}),
    Mutant(lateness_unlimited, {"late_slots_follow_the_policy"}),
    Mutant(overlap_ignored, {"runs_do_not_overlap"}),
    Mutant(overlap_never_ends, {"runs_do_not_overlap"}),
    Mutant(switched_off_goes_on, {"slots_fire_when_they_have_come", "the_quiet_world_is_empty"}),
    Mutant(clock_ahead_forgets_slots, {"a_clock_set_back_gives_slots_back"}),
    Mutant(clock_back_fires_again, {"a_run_id_is_used_once", "a_slot_has_one_run", "no_slot_is_lost"}),
    Mutant(snapshot_without_schedules, {"snapshots_lose_nothing"}),
    Mutant(keys_not_kept, {"one_schedule_per_deduplication_key", "snapshots_lose_nothing"}),
    Mutant(no_timer_for_slots, {"timers_are_set"}),
    Mutant(definition_without_cron_keeps_it, {"a_definition_has_its_schedule"}),
    Mutant(slots_noted_a_step_later, {"runs_and_slots_are_noted_together"}),
)
