"""A schedule: which task is started when. A *slot* is a moment at which a run is meant to start, in UTC microseconds.

People see `kk.Schedule` (`authoring/schedule.py`), which has datetimes; this is what state, log and wire hold.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CatchUp = Literal["latest", "skip", "all"]
Overlap = Literal["queue", "skip"]
ScheduleKind = Literal["DECLARATIVE", "IMPERATIVE"]

MAX_CATCH_UP = 100
FIELDS = frozenset({"type", "timestamp", "last_timestamp", "timezone", "schedule_id", "external_id", "upcoming"})
"""What a scheduled run's payload consists of: the fields of `kk.ScheduledPayload`."""

KEPT_MISSED = 10
"""How many stretches of missed slots a schedule remembers; the log has them all."""


class Timing(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """When to start a run, and what becomes of slots that could not be kept."""

    cron: str
    timezone: str = "UTC"
    catch_up: CatchUp = "latest"
    max_catch_up: int = MAX_CATCH_UP
    overlap: Overlap = "queue"


class Missed(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Slots in a row that no run was made for."""

    first: int
    last: int
    count: int
    why: Literal["late", "overlap", "task"] = "late"


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One schedule as the engine knows it."""

    id: str
    task_id: str
    timing: Timing
    kind: ScheduleKind = "IMPERATIVE"
    active: bool = True
    external_id: str = ""
    deduplication_key: str = ""
    created_at: int = 0
    changed_at: int = 0
    next_at: int = 0  # the slot it waits for; 0: none, as it is off or none is left
    passed: int = 0  # the latest slot that has been dealt with, fired or not
    last_slot: int = 0  # of the last run it made
    last_run_id: str = ""
    last_status: str = ""  # how that run ended, once it has
    fired: int = 0
    missed_count: int = 0
    missed: tuple[Missed, ...] = ()  # the latest stretches, oldest first
