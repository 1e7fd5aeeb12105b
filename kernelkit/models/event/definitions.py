"""What people set up has changed: tasks, queues and schedules, and the passing of a schedule's slots."""

from __future__ import annotations

from kernelkit.models.event.event import Event
from kernelkit.models.queue import RateLimit
from kernelkit.models.schedule import Missed, Schedule
from kernelkit.models.task import TaskVersion


class TaskDefined(Event, frozen=True):
    version: TaskVersion


class QueueLimited(Event, frozen=True):
    """A trigger created the queue or gave it another limit; None takes the limit away."""

    queue: str
    limit: int | None


class QueueRated(Event, frozen=True):
    """A trigger created the queue or gave it another rate."""

    queue: str
    rate: RateLimit


class QueueOverridden(Event, frozen=True):
    """This limit holds in place of the queue's own, whatever becomes of that; None: its own holds again."""

    queue: str
    limit: int | None


class QueuePaused(Event, frozen=True):
    """No run of the queue starts any more; of no run at all where `queue` is ""."""

    queue: str


class QueueResumed(Event, frozen=True):
    """Runs of the queue start again; where `queue` is "", those of all queues that are not paused by themselves."""

    queue: str


class ScheduleSaved(Event, frozen=True):
    """A schedule was made or changed: it is like this now."""

    schedule: Schedule


class ScheduleDeleted(Event, frozen=True):
    schedule_id: str


class SlotsPassed(Event, frozen=True):
    """The moment of one or more slots has come. Their runs are made by the events beside this one, in one commit."""

    schedule_id: str
    passed: int  # the latest of them
    next_at: int
    slot: int = 0  # the latest for which a run was made
    run_id: str = ""  # that run
    fired: int = 0
    missed: Missed | None = None


class SlotsReopened(Event, frozen=True):
    """The clock was set back: slots that were given up while it was ahead are still to come."""

    schedule_id: str
    next_at: int
