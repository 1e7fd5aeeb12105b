"""`kk.schedules`: tasks that start by the clock, by definition or by call."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any, overload

from kernelkit import ids
from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.decorator import Decorator
from kernelkit.authoring.decorator import task as make_task
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.options import check_id, refuse_unknown
from kernelkit.authoring.registration import tell_all
from kernelkit.authoring.schedule import Schedule, ScheduleTable, answered, preview, ran_now, switched
from kernelkit.authoring.task import Task
from kernelkit.authoring.timing import TIMING_OPTIONS, timing_of
from kernelkit.errors import InvalidOptionError
from kernelkit.models.schedule import MAX_CATCH_UP, CatchUp, Overlap
from kernelkit.rules import firing
from kernelkit.wire.messages import DeleteSchedule, GetSchedule, ListSchedules, SaveSchedule, ScheduleList

MAX_KEY = 512


class Schedules(display.Shown):
    """Schedules of the project.

    @kk.schedules.task(cron="0 9 * * *", timezone="Asia/Tokyo")
    async def daily(payload: kk.ScheduledPayload): ...

    kk.schedules.create(task="reminder", cron="0 8 * * *", timezone="America/New_York", deduplication_key="u1-daily")
    kk.schedules.preview("0 9 * * 1-5", "Europe/Berlin", 3)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def _current(self) -> Caller:
        caller = self._caller or callers.current()
        tell_all(caller)
        return caller

    def task(
        self,
        *,
        cron: str | None = None,
        timezone: str | None = None,
        catch_up: CatchUp | None = None,
        max_catch_up: int | None = None,
        overlap: Overlap | None = None,
        **options: Any,
    ) -> Decorator:
        """Make a task that starts by the clock; its other options are those of `kk.task`.

        `cron`: five fields or a name such as `@daily`; without it the task waits for `kk.schedules.create`.
        `timezone`: an IANA name, `UTC` if not given. `catch_up`: what becomes of slots that came while no engine ran:
        one late run (`"latest"`), none (`"skip"`) or the last `max_catch_up` of them (`"all"`). `overlap`: whether a
        slot that comes while the run before goes on gets a run all the same (`"queue"`) or none (`"skip"`).
        The schedule lives until the task is defined again without `cron`, or it is deleted.
        Raises `InvalidCronError`, and `InvalidOptionError` naming any other option that will not do.

            @kk.schedules.task(cron="0 9 * * 1-5", timezone="Europe/Berlin")
            async def report(payload: kk.ScheduledPayload): ...
        """
        given = {
            "cron": cron,
            "timezone": timezone,
            "catch_up": catch_up,
            "max_catch_up": max_catch_up,
            "overlap": overlap,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        decorator: Decorator = make_task(**options)
        return decorator

    def create(
        self,
        *,
        task: str | Task[..., Any],
        cron: str,
        deduplication_key: str,
        timezone: str = "UTC",
        external_id: str | None = None,
        catch_up: CatchUp = "latest",
        max_catch_up: int = MAX_CATCH_UP,
        overlap: Overlap = "queue",
    ) -> Schedule:
        """Make a schedule for a task, one for each of your users perhaps.

        With a `deduplication_key` that a schedule has already, that one is changed instead: so the cell may be run
        again. `external_id` is given to the runs as it is. The rest as for `kk.schedules.task`.
        Raises `UnknownTaskError`, `InvalidCronError`, and `InvalidOptionError`, also for a task that needs a field
        which no schedule gives.

            kk.schedules.create(task="reminder", cron="0 8 * * *", timezone="America/New_York",
                                external_id="u1", deduplication_key="u1-daily")
        """
        timing = timing_of(
            {
                "cron": cron if cron is not None else "",
                "timezone": timezone,
                "catch_up": catch_up,
                "max_catch_up": max_catch_up,
                "overlap": overlap,
            }
        )
        assert timing is not None, "there is a cron"
        return answered(
            self._current(),
            SaveSchedule(
                ids.make_id("sched"),
                _task_id(task),
                timing,
                _text("external_id", external_id) if external_id is not None else "",
                _text("deduplication_key", deduplication_key),
            ),
        )

    def list(self, *, task: str | Task[..., Any] | None = None, external_id: str | None = None) -> ScheduleTable:
        """The project's schedules, by task and age; of one task, or with one external id, where given."""
        caller = self._current()
        reply = caller.call(ListSchedules("" if task is None else _task_id(task), external_id or ""))
        assert isinstance(reply, ScheduleList)
        return ScheduleTable([Schedule(known, caller) for known in reply.schedules])

    def retrieve(self, schedule_id: str | Schedule) -> Schedule:
        """The schedule as it is now; raises `UnknownScheduleError`."""
        return answered(self._current(), GetSchedule(_id(schedule_id)))

    def update(self, schedule_id: str | Schedule, **changes: Any) -> Schedule:
        """Change `task`, `cron`, `timezone`, `external_id`, `catch_up`, `max_catch_up` or `overlap`; the rest stays.

        Returns the schedule as it is then. Raises `UnknownScheduleError`, and `InvalidOptionError` for one that comes
        from a task's definition: change it there.

            kk.schedules.update(schedule.id, cron="0 7 * * *")
        """
        refuse_unknown(changes, ("task", "external_id", *TIMING_OPTIONS), "kk.schedules.update")
        caller = self._current()
        known = self.retrieve(schedule_id)
        timing = timing_of({name: getattr(known, name) for name in TIMING_OPTIONS} | changes)
        assert timing is not None, "it has a cron"
        external_id = changes.get("external_id", known.external_id)
        return answered(
            caller,
            SaveSchedule(
                known.id,
                _task_id(changes.get("task", known.task_id)),
                timing,
                "" if external_id is None else _text("external_id", external_id),
                known.deduplication_key or "",
                change=True,
            ),
        )

    def activate(self, schedule_id: str | Schedule) -> Schedule:
        """Turn a schedule on, from its next slot on; what came while it was off is not made up for."""
        return switched(self._current(), _id(schedule_id), active=True)

    def deactivate(self, schedule_id: str | Schedule) -> Schedule:
        """Turn a schedule off; returns it as it is then."""
        return switched(self._current(), _id(schedule_id), active=False)

    def delete(self, schedule_id: str | Schedule) -> None:
        """Remove a schedule. One that comes from a task's definition comes back when that is run again with `cron`."""
        self._current().call(DeleteSchedule(_id(schedule_id)))

    def run_now(self, schedule_id: str | Schedule) -> RunHandle[Any]:
        """Make a run of the schedule's task now, besides its slots, with the payload that a slot would give."""
        caller = self._current()
        return ran_now(caller, _id(schedule_id), self.retrieve(schedule_id).task_id)

    def timezones(self, *, exclude_utc: bool = False) -> builtins.list[str]:
        """The names of all time zones, in order.

        >>> "Asia/Tokyo" in Schedules().timezones()
        True
        """
        return sorted(firing.timezones() - ({"UTC"} if exclude_utc else set()))

    @overload
    def preview(
        self,
        cron: str,
        timezone: str = ...,
        n: int | None = ...,
        *,
        start: datetime | None = ...,
        end: datetime | None = ...,
    ) -> builtins.list[datetime]: ...
    @overload
    def preview(
        self, cron: Schedule, *, n: int | None = ..., start: datetime | None = ..., end: datetime | None = ...
    ) -> builtins.list[datetime]: ...
    def preview(
        self,
        cron: str | Schedule,
        timezone: str | None = None,
        n: int | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> builtins.list[datetime]:
        """When an expression, or a schedule, fires: its next `n` moments, as aware datetimes in its zone.

        From `start` on, now if not given; with `end` all moments before that, of past or future. Needs no engine.

        >>> from datetime import UTC, datetime
        >>> [f"{at:%d %H:%M %z}" for at in
        ...  Schedules().preview("30 2 * * *", "America/New_York", 2, start=datetime(2026, 3, 8, tzinfo=UTC))]
        ['08 03:00 -0400', '09 02:30 -0400']
        """
        if isinstance(cron, Schedule):
            return cron.preview(n, start=start, end=end)
        return preview(cron, "UTC" if timezone is None else timezone, n, start=start, end=end)

    def __repr__(self) -> str:
        return (
            "<kk.schedules: list(), create(…), retrieve(id), update(id, …), activate(id), deactivate(id), delete(id)>"
        )


def _task_id(given: object) -> str:
    if isinstance(given, str):
        return check_id(given)
    named = getattr(given, "id", None)
    if isinstance(named, str):
        return named
    raise InvalidOptionError(f"task={given!r} is neither a task nor the id of one.", field="task")


def _id(given: object) -> str:
    if isinstance(given, Schedule):
        return given.id
    if isinstance(given, str):
        return given
    raise InvalidOptionError(f"schedule_id={given!r} is neither a schedule nor the id of one.", field="schedule_id")


def _text(field: str, given: object) -> str:
    if isinstance(given, str) and 0 < len(given) <= MAX_KEY:
        return given
    raise InvalidOptionError(f"{field}={given!r} is not a text of 1 to {MAX_KEY} characters.", field=field)


schedules = Schedules()
