"""What schedules do: made, changed, turned on and off, and fired when their slots come. Pure, as all of `decide`.

A slot's run and the note that the slot has passed are events of one commit, so there is one run per schedule and slot
whatever crashes. What a newcomer would get wrong: slots only move forward. When a clock goes back, slots that have
fired do not fire again; those that were given up while it was ahead are still to come, and are reopened.
"""

from __future__ import annotations

import difflib
import hashlib
import heapq
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from kernelkit.clock import MICROS, to_datetime
from kernelkit.engine import commands as c
from kernelkit.engine.state import State
from kernelkit.errors import InvalidOptionError, UnknownScheduleError, UnknownTaskError
from kernelkit.ids import make_id
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL
from kernelkit.models.schedule import FIELDS, Missed, Schedule
from kernelkit.models.task import TaskSpec
from kernelkit.models.value import Value
from kernelkit.rules import firing
from kernelkit.rules.cron import cron_of
from kernelkit.wire.messages import TriggerItem

LATE = 59 * MICROS
"""A slot whose moment is no longer ago than this is on time; less than the shortest interval of a cron expression."""

UPCOMING = 10
MOST_AT_ONCE = 100
"""Schedules that one `Tick` fires: others are served between that and the next, which is due at once."""


class Fire(msgspec.Struct, frozen=True, gc=False):
    """A run to make for a slot."""

    item: TriggerItem
    schedule_id: str
    slot: int


# ---- asked for by people -----------------------------------------------------------------------------------------


def save(state: State, command: c.SaveSchedule, now: int) -> Sequence[ev.AnyEvent]:
    """Make a schedule, or change the one with its id (`change`) or deduplication key."""
    timing = command.timing
    cron_of(timing.cron)
    firing.check_timezone(timing.timezone)
    _refuse_unfit(state, command.task_id)
    known = _to_change(state, command)
    if known is None:
        made = Schedule(
            id=command.id,
            task_id=command.task_id,
            timing=timing,
            external_id=command.external_id,
            deduplication_key=command.deduplication_key,
            created_at=now,
            changed_at=now,
        )
        return (ev.ScheduleSaved(now, _waiting(made, now)),)
    changed = replace(known, task_id=command.task_id, timing=timing, external_id=command.external_id)
    if changed == known:
        return ()
    return (ev.ScheduleSaved(now, _changed(known, replace(changed, changed_at=now), now)),)


def _to_change(state: State, command: c.SaveSchedule) -> Schedule | None:
    if command.change:
        known = _known(state, command.id)
        if known.kind == "DECLARATIVE":
            raise InvalidOptionError(
                f"The schedule {known.id} comes from the definition of {known.task_id!r}. Change cron= there and "
                "define the task again; it can be turned off with kk.schedules.deactivate(id).",
                schedule_id=known.id,
            )
        return known
    return state.schedules.get(command.id) or state.schedules.get(
        state.schedule_keys.get(command.deduplication_key, "") if command.deduplication_key else ""
    )


def switch(state: State, command: c.SwitchSchedule, now: int) -> Sequence[ev.AnyEvent]:
    """Turn a schedule on, from its next slot on, or off."""
    known = _known(state, command.schedule_id)
    if known.active == command.active:
        return ()
    return (ev.ScheduleSaved(now, _waiting(replace(known, active=command.active, changed_at=now), now)),)


def delete(state: State, command: c.DeleteSchedule, now: int) -> Sequence[ev.AnyEvent]:
    return (ev.ScheduleDeleted(now, _known(state, command.schedule_id).id),)


def run_now(state: State, command: c.RunSchedule, now: int) -> Iterator[Fire]:
    """A run besides the slots."""
    schedule = _known(state, command.schedule_id)
    if command.run_id not in state.runs and not command.known:
        yield _fire(state, schedule, now, command.run_id, schedule.last_slot, slot=0)


def own(state: State, spec: TaskSpec, now: int) -> Iterator[ev.AnyEvent]:
    """The schedule that a task's definition asks for: made, changed or taken away with it."""
    known = state.schedules.get(state.own_schedules.get(spec.id, ""))
    timing = spec.timing
    if timing is None:
        if known is not None:
            yield ev.ScheduleDeleted(now, known.id)
        return
    cron_of(timing.cron)
    firing.check_timezone(timing.timezone)
    _refuse_needy(spec)
    if known is None:
        schedule_id = make_id("sched", now_ms=now // 1_000, entropy=_entropy(spec.id))
        made = Schedule(schedule_id, spec.id, timing, "DECLARATIVE", created_at=now, changed_at=now)
        yield ev.ScheduleSaved(now, _waiting(made, now))
    elif known.timing != timing:
        yield ev.ScheduleSaved(now, _changed(known, replace(known, timing=timing, changed_at=now), now))


def _changed(known: Schedule, changed: Schedule, now: int) -> Schedule:
    """With another expression or zone it has other slots; what it missed of the former ones is past."""
    if (known.timing.cron, known.timing.timezone) == (changed.timing.cron, changed.timing.timezone):
        return changed
    return _waiting(replace(changed, missed=()), now)


def _waiting(schedule: Schedule, now: int) -> Schedule:
    """The schedule as it waits for the first slot that is still to come."""
    if not schedule.active:
        return replace(schedule, next_at=0)
    return replace(schedule, next_at=_next_of(schedule, now) or 0)


def _known(state: State, schedule_id: str) -> Schedule:
    known = state.schedules.get(schedule_id)
    if known is None:
        raise UnknownScheduleError(
            f"There is no schedule {schedule_id!r} in this project. kk.schedules.list() shows them.",
            schedule_id=schedule_id,
        )
    return known


def _refuse_unfit(state: State, task_id: str) -> None:
    version = state.tasks.get(task_id)
    if version is None:
        near = difflib.get_close_matches(task_id, state.tasks, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "Define the task first."
        raise UnknownTaskError(f"There is no task {task_id!r} to schedule. {hint}", task_id=task_id, near=near)
    _refuse_needy(version.spec)


def _refuse_needy(spec: TaskSpec) -> None:
    """A task that needs a field which no schedule gives would fail at every slot."""
    shape = _shape(spec.json_schema)
    needed = sorted(shape.needed - FIELDS)
    if not shape.is_object:
        raise InvalidOptionError(
            f"The task {spec.id!r} cannot be scheduled: its payload is no object of fields, as a schedule gives. Take "
            "`payload: kk.ScheduledPayload`, or no payload at all.",
            field="task",
        )
    if needed:
        raise InvalidOptionError(
            f"The task {spec.id!r} cannot be scheduled: it needs {', '.join(map(repr, needed))}, which a schedule does "
            "not give. Give each a default, or take `payload: kk.ScheduledPayload`, or no payload at all.",
            field="task",
        )


# ---- fired by time -----------------------------------------------------------------------------------------------


def next_due(state: State) -> int | None:
    """The next slot of any schedule; drops slots that nobody waits for any more."""
    while state.slots:
        at, schedule_id = state.slots[0]
        schedule = state.schedules.get(schedule_id)
        if schedule is not None and schedule.next_at == at:
            return at
        heapq.heappop(state.slots)
    return None


def due(state: State, now: int) -> Iterator[ev.AnyEvent | Fire]:
    """What the moment `now` brings: runs for slots that have come, and a note for each schedule."""
    if now < state.clock:
        yield from _reopened(state, now)
    for schedule in _over(state, now):
        yield from _passed(state, schedule, now)


def _over(state: State, now: int) -> list[Schedule]:
    """The first schedules whose slot has come, in the order of their slots; leaves the heap as it is."""
    found: dict[str, Schedule] = {}
    places = [(*state.slots[0], 0)] if state.slots else []
    while places and len(found) < MOST_AT_ONCE:
        at, schedule_id, place = heapq.heappop(places)
        if at > now:
            break
        schedule = state.schedules.get(schedule_id)
        if schedule is not None and schedule.next_at == at:
            found[schedule_id] = schedule
        for below in (2 * place + 1, 2 * place + 2):
            if below < len(state.slots):
                heapq.heappush(places, (*state.slots[below], below))
    return list(found.values())


def _passed(state: State, schedule: Schedule, now: int) -> Iterator[ev.AnyEvent | Fire]:
    """The slots from the one it waits for to now: which fire, and which are given up."""
    timing = schedule.timing
    cron, zone = timing.cron, timing.timezone
    first = schedule.next_at
    until = min(now, _end_of_reopened(schedule))
    behind = firing.next_slot(cron, zone, first)
    if behind is None or behind > until:
        come = [first]
    elif timing.catch_up == "all":
        come = firing.last_slots(cron, zone, until, timing.max_catch_up, since=first)
    else:
        come = [firing.last_slot(cron, zone, until, since=first) or first]
    last = come[-1]
    if timing.catch_up == "skip" and last < now - LATE:
        come = []
    missed: Missed | None = None
    if schedule.task_id not in state.tasks:
        missed, come = _given_up(schedule, first, last, "task"), []
    elif come and timing.overlap == "skip":
        if _is_busy(state, schedule):
            missed, come = _given_up(schedule, first, last, "overlap" if last == first else "late"), []
        else:
            come = come[-1:]
    if missed is None and (not come or come[0] > first):
        missed = _given_up(schedule, first, come[0] - 1 if come else last, "late")
    before = schedule.last_slot
    run_id = ""
    for place, slot in enumerate(come):
        run_id = _run_id(schedule, slot, now, place)
        yield _fire(state, schedule, slot, run_id, before, slot=slot)
        before = slot
    yield ev.SlotsPassed(
        now,
        schedule.id,
        passed=last,
        next_at=_next_of(schedule, last) or 0,
        slot=come[-1] if come else 0,
        run_id=run_id,
        fired=len(come),
        missed=missed,
    )


def _given_up(schedule: Schedule, first: int, last: int, why: Any) -> Missed:  # one of the words of `Missed.why`
    timing = schedule.timing
    count = firing.count_slots(timing.cron, timing.timezone, first, last + 1)
    latest = firing.last_slot(timing.cron, timing.timezone, last, since=first)
    return Missed(first, latest or first, count, why)


def _is_busy(state: State, schedule: Schedule) -> bool:
    run = state.runs.get(schedule.last_run_id)
    return run is not None and run.status not in FINAL


def _run_id(schedule: Schedule, slot: int, now: int, place: int) -> str:
    """Ids of runs that are made up for at once sort as their slots do."""
    return make_id("run", now_ms=now // 1_000 + place, entropy=_entropy(f"{schedule.id} {slot}"))


def _entropy(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


# ---- clocks that were set back -----------------------------------------------------------------------------------


def _reopened(state: State, now: int) -> Iterator[ev.AnyEvent]:
    """Slots that were given up while the clock was ahead, and lie before us again."""
    for schedule in state.schedules.values():
        if schedule.next_at > now and any(missed.last > now for missed in schedule.missed):
            slot = _next_of(schedule, now)
            if slot is not None and slot < schedule.next_at:
                yield ev.SlotsReopened(now, schedule.id, slot)


def _next_of(schedule: Schedule, after: int) -> int | None:
    """The first slot later than `after` that has not been dealt with, or was given up and is behind `after`."""
    timing = schedule.timing
    if after < schedule.passed:
        given_up = [missed for missed in schedule.missed if after < missed.last and missed.why == "late"]
        if given_up:
            first = min(max(after, missed.first - 1) for missed in given_up)
            return firing.next_slot(timing.cron, timing.timezone, first)
        after = schedule.passed
    return firing.next_slot(timing.cron, timing.timezone, after)


def _end_of_reopened(schedule: Schedule) -> int:
    """The last slot of the stretch that is being made up for; all time to come when none is."""
    if schedule.next_at <= schedule.passed:
        for missed in schedule.missed:
            if missed.first <= schedule.next_at <= missed.last:
                return missed.last
    return 1 << 62


# ---- payloads ----------------------------------------------------------------------------------------------------


class _Shape(msgspec.Struct, frozen=True):
    """What a task's JSON Schema says of its payload's fields."""

    needed: frozenset[str]
    taken: frozenset[str] | None  # None: any
    is_object: bool


@lru_cache(maxsize=1_024)
def _shape(json_schema: str) -> _Shape:
    schema = msgspec.json.decode(json_schema) if json_schema else {}
    fields = frozenset(schema.get("properties", ())) if schema.get("additionalProperties") is False else None
    kind = schema.get("type", "object")
    return _Shape(frozenset(schema.get("required", ())), fields, kind == "object" or "object" in kind)


def _fire(state: State, schedule: Schedule, moment: int, run_id: str, before: int, *, slot: int) -> Fire:
    version = state.tasks.get(schedule.task_id)
    taken = _shape(version.spec.json_schema).taken if version else None
    payload = _payload(schedule, moment, before)
    if taken is not None:
        payload = {name: value for name, value in payload.items() if name in taken}
    data = msgspec.json.encode(payload)
    item = TriggerItem(run_id, schedule.task_id, Value(text=data.decode(), size=len(data)))
    return Fire(item, schedule.id, slot)


def _payload(schedule: Schedule, moment: int, before: int) -> dict[str, Any]:  # any JSON object
    timing = schedule.timing
    return {
        "type": schedule.kind,
        "timestamp": to_datetime(moment),
        "last_timestamp": to_datetime(before) if before else None,
        "timezone": timing.timezone,
        "schedule_id": schedule.id,
        "external_id": schedule.external_id or None,
        "upcoming": [to_datetime(at) for at in firing.upcoming(timing.cron, timing.timezone, moment, UPCOMING)],
    }
