"""Schedules in the simulation: what clients do with them, the book's chapter on them, and the laws.

Expressions are minutes of the hour in UTC, so that the laws can count slots with nothing but division.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL
from kernelkit.models.schedule import Schedule, Timing

if TYPE_CHECKING:
    from tests.simulation.book import Book
    from tests.simulation.world import World

MINUTE = 60_000_000
HOUR = 60 * MINUTE
EVERY = {"* * * * *": range(60), "*/2 * * * *": range(0, 60, 2), "7,38 * * * *": (7, 38), "0 * * * *": (0,)}
"""The expressions of the simulation, and the minutes of the hour they mean."""

ScheduleEvent = ev.ScheduleSaved | ev.ScheduleDeleted | ev.SlotsPassed | ev.SlotsReopened


def slots_between(cron: str, start: int, end: int) -> int:
    """How many slots lie from `start` to before `end`."""
    return _before(cron, end) - _before(cron, start)


def is_slot(cron: str, moment: int) -> bool:
    return moment % MINUTE == 0 and moment % HOUR // MINUTE in EVERY[cron]


def _before(cron: str, moment: int) -> int:
    hours, left = divmod(moment, HOUR)
    return hours * len(EVERY[cron]) + sum(1 for minute in EVERY[cron] if minute * MINUTE < left)


# ---- the book --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ScheduleEntry:
    """One schedule as the log tells it."""

    schedule: Schedule
    waits_for: int
    passed: int = 0
    last_run: str = ""

    @property
    def reopened(self) -> bool:
        """It makes up for slots that were given up while the clock was ahead."""
        return self.waits_for <= self.passed


@dataclass
class ScheduleBook:
    """All schedules the log tells of, and the slots that have got a run."""

    live: dict[str, ScheduleEntry] = field(default_factory=dict)
    fired: set[tuple[str, int]] = field(default_factory=set)
    unnoted: dict[str, list[ev.RunTriggered]] = field(default_factory=dict)  # runs whose slots are not noted yet
    noted: set[str] = field(default_factory=set)  # schedules that passed slots in this step

    def write(self, event: ScheduleEvent) -> None:
        match event:
            case ev.ScheduleSaved():
                entry = self.live.setdefault(event.schedule.id, ScheduleEntry(event.schedule, 0))
                entry.schedule, entry.waits_for = event.schedule, event.schedule.next_at
            case ev.ScheduleDeleted():
                del self.live[event.schedule_id]
            case ev.SlotsReopened():
                self.live[event.schedule_id].waits_for = event.next_at
            case ev.SlotsPassed():
                entry = self.live[event.schedule_id]
                entry.waits_for = event.next_at
                entry.passed = max(entry.passed, event.passed)
                entry.last_run = event.run_id or entry.last_run
                self.unnoted.pop(event.schedule_id, None)
                self.noted.add(event.schedule_id)

    def fire(self, event: ev.RunTriggered) -> None:
        if event.schedule_id and event.slot:
            self.fired.add((event.schedule_id, event.slot))
            self.unnoted.setdefault(event.schedule_id, []).append(event)


# ---- laws of events ----------------------------------------------------------------------------------------------


def a_slot_has_one_run(world: World, event: ev.RunTriggered) -> None:
    """There is one run per schedule and slot, whatever crashes and however clocks jump."""
    if event.slot and (event.schedule_id, event.slot) in world.book.schedules.fired:
        _broken(a_slot_has_one_run, event)


def slots_fire_when_they_have_come(world: World, event: ev.RunTriggered) -> None:
    """A schedule that is on makes runs of its own task for slots of its expression that have come, and no others."""
    if not event.slot:
        return
    entry = world.book.schedules.live.get(event.schedule_id or "")
    if entry is None or not entry.schedule.active or not entry.waits_for <= event.slot <= event.at:
        _broken(slots_fire_when_they_have_come, f"{event} of {entry}")
    elif not is_slot(entry.schedule.timing.cron, event.slot) or event.task_id != entry.schedule.task_id:
        _broken(slots_fire_when_they_have_come, f"{event} of {entry}")


def late_slots_follow_the_policy(world: World, event: ev.SlotsPassed) -> None:
    """Of slots that come late one fires, or none, or the last few, as the schedule says."""
    entry = world.book.schedules.live[event.schedule_id]
    runs = world.book.schedules.unnoted.get(event.schedule_id, [])
    timing = entry.schedule.timing
    most = timing.max_catch_up if timing.catch_up == "all" and timing.overlap == "queue" else 1
    too_late = timing.catch_up == "skip" and any(run.slot <= event.at - MINUTE for run in runs)
    if len(runs) > most or too_late or len(runs) != event.fired:
        _broken(late_slots_follow_the_policy, f"{event} with {[run.slot for run in runs]} of {timing}")
    if timing.catch_up == "latest" and event.fired and event.slot != event.passed:
        _broken(late_slots_follow_the_policy, f"{event}: not the latest")
    gave_up = not event.fired and event.missed is not None and event.missed.why == "late"
    if gave_up and timing.catch_up != "skip" and timing.overlap != "skip":
        _broken(late_slots_follow_the_policy, f"{event}: none of {timing}")


def runs_do_not_overlap(world: World, event: ev.SlotsPassed) -> None:
    """With overlap="skip" no run is made while the schedule's last one goes on, and none is left out otherwise."""
    entry = world.book.schedules.live[event.schedule_id]
    last = world.book.runs.get(entry.last_run)
    busy = last is not None and last.status not in FINAL
    skips = entry.schedule.timing.overlap == "skip"
    if (busy and skips and event.fired) or (event.missed and event.missed.why == "overlap" and not (busy and skips)):
        _broken(runs_do_not_overlap, f"{event} while {last}")


def no_slot_is_lost(world: World, event: ev.SlotsPassed) -> None:
    """Every slot that passes has a run or is told of as missed, and the schedule goes on with the next one."""
    entry = world.book.schedules.live[event.schedule_id]
    cron = entry.schedule.timing.cron
    came = slots_between(cron, entry.waits_for, event.passed + 1)
    told = event.fired + (event.missed.count if event.missed else 0)
    if came != told or event.passed > event.at or event.passed < entry.waits_for:
        _broken(no_slot_is_lost, f"{came} came, {told} are told of: {event} of {entry}")
    between = slots_between(cron, event.passed + 1, event.next_at)
    if not is_slot(cron, event.next_at) or (between and not entry.reopened):
        _broken(no_slot_is_lost, f"{between} slots before the next one: {event}")
    if event.next_at <= event.at and not entry.reopened:
        _broken(no_slot_is_lost, f"those up to {event.at} are not dealt with: {event}")


EVENT_LAWS: dict[type[Any], tuple[Callable[[World, Any], None], ...]] = {
    ev.RunTriggered: (a_slot_has_one_run, slots_fire_when_they_have_come),
    ev.SlotsPassed: (late_slots_follow_the_policy, runs_do_not_overlap, no_slot_is_lost),
}


# ---- laws of steps -----------------------------------------------------------------------------------------------


def runs_and_slots_are_noted_together(world: World, state: State) -> None:
    """A slot's run and the note that it has passed are of one step, so that no crash comes between them."""
    if world.book.schedules.unnoted:
        _broken(runs_and_slots_are_noted_together, world.book.schedules.unnoted)


def slots_are_not_overdue(world: World, state: State) -> None:
    """When time was told to have passed, every schedule has dealt with a slot that had come."""
    book = world.book.schedules
    if isinstance(world.host.command, c.Tick):
        for entry in book.live.values():
            if 0 < entry.waits_for <= world.now and entry.schedule.id not in book.noted:
                _broken(slots_are_not_overdue, entry)
    book.noted.clear()


def a_definition_has_its_schedule(world: World, state: State) -> None:
    """A task that was just defined with cron= has a schedule of its own, one without has none."""
    command = world.host.command
    if isinstance(command, c.DefineTask):
        own = [
            entry.schedule
            for entry in world.book.schedules.live.values()
            if entry.schedule.kind == "DECLARATIVE" and entry.schedule.task_id == command.spec.id
        ]
        wanted = [] if command.spec.timing is None else [command.spec.timing]
        if [schedule.timing for schedule in own] != wanted:
            _broken(a_definition_has_its_schedule, f"{own} for {command.spec.timing}")


def one_schedule_per_deduplication_key(world: World, state: State) -> None:
    """A deduplication key belongs to one schedule."""
    keys = [entry.schedule.deduplication_key for entry in world.book.schedules.live.values()]
    keys = [key for key in keys if key]
    if len(keys) != len(set(keys)):
        _broken(one_schedule_per_deduplication_key, keys)


def the_book_agrees_on_schedules(world: World, state: State) -> None:
    """The engine's memory says of every schedule what the log says."""
    told = {i: (entry.waits_for, entry.last_run) for i, entry in world.book.schedules.live.items()}
    known = {one.id: (one.next_at, one.last_run_id) for one in state.schedules.values()}
    if told != known:
        _broken(the_book_agrees_on_schedules, f"{told} is not {known}")


def a_clock_set_back_gives_slots_back(world: World, state: State) -> None:
    """After the clock was set back, a schedule waits for the next slot it has not fired, as far as it remembers."""
    if not isinstance(world.host.command, c.Tick) or world.now >= state.clock:
        return
    for entry in world.book.schedules.live.values():
        known = state.schedules[entry.schedule.id]
        if entry.waits_for and entry.schedule.timing.catch_up == "latest" and known.missed:
            last = known.missed[-1]
            if last.why == "late" and last.first > world.now and entry.waits_for > last.last:
                _broken(a_clock_set_back_gives_slots_back, f"{entry} has given up {last} at {world.now}")


STEP_LAWS = (
    runs_and_slots_are_noted_together,
    slots_are_not_overdue,
    a_definition_has_its_schedule,
    one_schedule_per_deduplication_key,
    a_clock_set_back_gives_slots_back,
)


def _broken(law: Callable[..., None], words: object) -> None:
    from tests.simulation.laws import broken

    broken(law, words)


# ---- clients ---------------------------------------------------------------------------------------------------------


def random_timing(world: World) -> Timing:
    random = world.random
    return Timing(
        random.choice(("* * * * *", *EVERY)),
        "UTC",
        random.choice(("latest", "skip", "all", "all")),
        random.choice((1, 3)),
        random.choice(("queue", "skip")),
    )


def save(world: World) -> None:
    """Make a schedule, now and then under a key that is taken, or change one; mostly for a task that there is."""
    random, state = world.random, world.host.state
    tasks = sorted(state.tasks)
    task_id = random.choice(tasks) if tasks and random.random() < 0.95 else "nothing"
    change = bool(state.schedules) and random.random() < 0.3
    schedule_id = random.choice(sorted(state.schedules)) if change else world.new_id("sched")
    key = random.choice(("", "a", "b", "c"))
    world.host.try_take(c.SaveSchedule(schedule_id, task_id, random_timing(world), "ext", key, change))


def _any(world: World) -> str:
    known = sorted(world.host.state.schedules)
    return world.random.choice(known) if known and world.random.random() < 0.95 else "sched_unknown"


def switch(world: World) -> None:
    world.host.try_take(c.SwitchSchedule(_any(world), world.random.random() < 0.7))


def delete(world: World) -> None:
    world.host.try_take(c.DeleteSchedule(_any(world)))


def run_now(world: World) -> None:
    known = world.random.random() < 0.1
    world.host.try_take(c.RunSchedule(_any(world), world.new_id("run"), known))


def turn_all_off(world: World) -> None:
    """Those as well that a task brings which somebody defines late."""
    for schedule in list(world.host.state.schedules.values()):
        if schedule.active:
            world.host.take(c.SwitchSchedule(schedule.id, False))


def worth_noting(event: ev.AnyEvent, book: Book) -> list[str]:
    """What of schedules must happen often enough to prove anything."""
    match event:
        case ev.SlotsPassed():
            facts = ["slots caught up"] if event.fired > 1 else []
            if event.missed is not None:
                facts.append(f"slots missed: {event.missed.why}")
            elif event.fired == 1:
                facts.append("slot on time")
            return facts
        case _:
            return []
