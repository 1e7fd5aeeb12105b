"""Messages about schedules."""

from __future__ import annotations

from kernelkit.models.schedule import Schedule, Timing
from kernelkit.wire.messages.message import Message


class SaveSchedule(Message, frozen=True):
    """→ `ScheduleReply`. Makes a schedule with the caller's `id`, or changes the one that has its deduplication key;
    with `change` it replaces what the schedule `id` says."""

    id: str
    task_id: str
    timing: Timing
    external_id: str = ""
    deduplication_key: str = ""
    change: bool = False


class SwitchSchedule(Message, frozen=True):
    """→ `ScheduleReply`. Turns a schedule on or off."""

    id: str
    active: bool


class DeleteSchedule(Message, frozen=True):
    """→ `Done`."""

    id: str


class RunSchedule(Message, frozen=True):
    """→ `Triggered`: a run of the schedule's task now, besides its slots."""

    id: str
    run_id: str


class GetSchedule(Message, frozen=True):
    """→ `ScheduleReply`."""

    id: str


class ScheduleReply(Message, frozen=True):
    schedule: Schedule


class ListSchedules(Message, frozen=True):
    """→ `ScheduleList`, by task and age."""

    task: str = ""
    external_id: str = ""


class ScheduleList(Message, frozen=True):
    schedules: tuple[Schedule, ...]
