"""The part of `apply.py` that changes schedules: what they are, which slots have passed, how their last run ended."""

from __future__ import annotations

from msgspec.structs import replace

from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.schedule import KEPT_MISSED, Missed


def saved(state: State, event: ev.ScheduleSaved) -> None:
    known = state.schedules.get(event.schedule.id)
    if known is not None and known.deduplication_key != event.schedule.deduplication_key:
        state.schedule_keys.pop(known.deduplication_key, None)
    state.schedules[event.schedule.id] = event.schedule
    state.index_schedule(event.schedule)


def deleted(state: State, event: ev.ScheduleDeleted) -> None:
    schedule = state.schedules.pop(event.schedule_id)
    state.schedule_keys.pop(schedule.deduplication_key, None)
    if schedule.kind == "DECLARATIVE":
        del state.own_schedules[schedule.task_id]


def slots_passed(state: State, event: ev.SlotsPassed) -> None:
    schedule = state.schedules[event.schedule_id]
    missed, count = schedule.missed, schedule.missed_count
    dealt_with = event.fired + (event.missed.count if event.missed else 0)
    if event.passed <= schedule.passed:  # given up once and reopened: what comes behind is still given up
        count -= dealt_with
        missed = tuple([left for one in missed if (left := _behind(one, event, dealt_with)) is not None])
    if event.missed is not None:
        missed, count = (*missed, event.missed)[-KEPT_MISSED:], count + event.missed.count
    schedule = state.schedules[schedule.id] = replace(
        schedule,
        next_at=event.next_at,
        passed=max(schedule.passed, event.passed),
        last_slot=event.slot or schedule.last_slot,
        last_run_id=event.run_id or schedule.last_run_id,
        last_status="" if event.run_id else schedule.last_status,
        fired=schedule.fired + event.fired,
        missed_count=count,
        missed=missed,
    )
    state.set_slot(schedule)


def _behind(missed: Missed, event: ev.SlotsPassed, dealt_with: int) -> Missed | None:
    if not missed.first <= event.passed <= missed.last:
        return missed
    if not event.next_at or event.next_at > missed.last:
        return None
    return replace(missed, first=event.next_at, count=max(1, missed.count - dealt_with))


def slots_reopened(state: State, event: ev.SlotsReopened) -> None:
    schedule = state.schedules[event.schedule_id]
    schedule = state.schedules[schedule.id] = replace(schedule, next_at=event.next_at)
    state.set_slot(schedule)


def tell_schedule(state: State, run: LiveRun) -> None:
    """How the last run of a schedule ended is remembered with it."""
    schedule = state.schedules.get(run.schedule_id) if run.schedule_id else None
    if schedule is not None and schedule.last_run_id == run.id:
        state.schedules[schedule.id] = replace(schedule, last_status=run.status.value)
