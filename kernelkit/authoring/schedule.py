"""`Schedule`, a schedule as it was when the engine was asked, and lists of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload
from zoneinfo import ZoneInfo

import msgspec

from kernelkit import ids
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.runs import Page, Runs
from kernelkit.clock import from_datetime, to_datetime
from kernelkit.errors import InvalidOptionError
from kernelkit.models import schedule as models
from kernelkit.rules import firing
from kernelkit.rules.cron_words import in_words
from kernelkit.wire.messages import DeleteSchedule, RunSchedule, ScheduleReply, SwitchSchedule, Triggered

if TYPE_CHECKING:
    from kernelkit.authoring.schedules import Schedules

UPCOMING = 5
MOST_SLOTS = 100_000
WHY = {
    "late": "no engine was running",
    "overlap": "the run before was still going on",
    "task": "the task was not defined",
}


class MissedSlots(msgspec.Struct, frozen=True):
    """Slots in a row that no run was made for: the first and last moment, how many, and why in words."""

    first: datetime
    last: datetime
    count: int
    reason: str


class Schedule(display.Shown):
    """A schedule of the project, as it was when it was asked for.

    schedule = kk.schedules.create(task="reminder", cron="0 8 * * *", deduplication_key="u1-daily")
    schedule.next_run, schedule.description, schedule.preview(3)
    schedule = schedule.deactivate()
    """

    __slots__ = ("_caller", "known")

    def __init__(self, known: models.Schedule, caller: Caller) -> None:
        self.known = known
        """What the engine said of it."""
        self._caller = caller

    # ---- facts -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.known.id

    @property
    def task_id(self) -> str:
        return self.known.task_id

    @property
    def cron(self) -> str:
        return self.known.timing.cron

    @property
    def timezone(self) -> str:
        """The zone in which the expression is read."""
        return self.known.timing.timezone

    @property
    def description(self) -> str:
        """The expression in words."""
        return in_words(self.cron)

    @property
    def active(self) -> bool:
        """False while it is turned off."""
        return self.known.active

    @property
    def type(self) -> models.ScheduleKind:
        """`DECLARATIVE` when it comes from a task's definition, `IMPERATIVE` when it was created by a call."""
        return self.known.kind

    @property
    def external_id(self) -> str | None:
        return self.known.external_id or None

    @property
    def deduplication_key(self) -> str | None:
        return self.known.deduplication_key or None

    @property
    def catch_up(self) -> models.CatchUp:
        """What becomes of slots that come while no engine runs."""
        return self.known.timing.catch_up

    @property
    def max_catch_up(self) -> int:
        return self.known.timing.max_catch_up

    @property
    def overlap(self) -> models.Overlap:
        """What becomes of a slot that comes while the run before goes on."""
        return self.known.timing.overlap

    @property
    def created_at(self) -> datetime:
        return to_datetime(self.known.created_at)

    @property
    def next_run(self) -> datetime | None:
        """The slot it waits for, in UTC; None while it is off, or if none is left."""
        return _moment(self.known.next_at)

    @property
    def last_run(self) -> datetime | None:
        """The slot of the last run it made; None before the first."""
        return _moment(self.known.last_slot)

    @property
    def last_run_id(self) -> str | None:
        return self.known.last_run_id or None

    @property
    def last_status(self) -> str | None:
        """The status of that run."""
        return self.known.last_status or None

    @property
    def fired(self) -> int:
        """How many slots got a run."""
        return self.known.fired

    @property
    def missed_count(self) -> int:
        """How many slots got none."""
        return self.known.missed_count

    @property
    def missed(self) -> tuple[MissedSlots, ...]:
        """The latest stretches of slots that got no run, oldest first."""
        return tuple(
            MissedSlots(to_datetime(one.first), to_datetime(one.last), one.count, WHY[one.why])
            for one in self.known.missed
        )

    def preview(
        self, n: int | None = None, *, start: datetime | None = None, end: datetime | None = None
    ) -> list[datetime]:
        """Its next `n` moments (5), or all in a range of past or future, in its zone: whatever became of them."""
        return preview(self.cron, self.timezone, n, start=start, end=end)

    def runs(self, **filters: Any) -> Page:
        """The runs it made, newest first; filters as those of `kk.runs.list`."""
        return Runs(self._caller).list(schedule=self.id, **filters)

    # ---- changes ---------------------------------------------------------------------------------------------------

    def update(self, **changes: Any) -> Schedule:
        """With other options, as `kk.schedules.update`; returns it as it is then."""
        return self._verbs().update(self.id, **changes)

    def activate(self) -> Schedule:
        """Turn it on, from its next slot on; returns it as it is then."""
        return switched(self._caller, self.id, active=True)

    def deactivate(self) -> Schedule:
        """Turn it off; returns it as it is then."""
        return switched(self._caller, self.id, active=False)

    def delete(self) -> None:
        """Remove it. One that comes from a task's definition comes back when the task is defined again with cron=."""
        self._caller.call(DeleteSchedule(self.id))

    def run_now(self) -> RunHandle[Any]:
        """Make a run now, besides its slots, with the payload a slot would give."""
        return ran_now(self._caller, self.id, self.task_id)

    def _verbs(self) -> Schedules:
        from kernelkit.authoring.schedules import Schedules

        return Schedules(self._caller)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and other.known == self.known

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        when = f"next {self.next_run:%Y-%m-%d %H:%M} UTC" if self.next_run else "none to come" if self.active else "off"
        return f"<Schedule {self.id} of {self.task_id}: {self.cron!r} {self.timezone}, {when}>"


class ScheduleTable(display.Shown, Sequence[Schedule]):
    """Schedules of the project, by task and age."""

    __slots__ = ("schedules",)

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self.schedules = tuple(schedules)

    @overload
    def __getitem__(self, index: int) -> Schedule: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Schedule, ...]: ...
    def __getitem__(self, index: int | slice) -> Schedule | tuple[Schedule, ...]:
        return self.schedules[index]

    def __len__(self) -> int:
        return len(self.schedules)

    def __iter__(self) -> Iterator[Schedule]:
        return iter(self.schedules)

    def __repr__(self) -> str:
        if not self.schedules:
            return "No schedules in this project. @kk.task(cron=…) or kk.schedules.create(…) makes one."
        return "\n".join(repr(schedule) for schedule in self.schedules)


# ---- what the verbs of kk.schedules share ------------------------------------------------------------------------


def preview(
    cron: str, timezone: str, n: int | None = None, *, start: datetime | None = None, end: datetime | None = None
) -> list[datetime]:
    """The moments of an expression, as aware datetimes in the zone; see `kk.schedules.preview`."""
    firing.check_timezone(timezone)
    if n is None:
        n = UPCOMING if end is None else MOST_SLOTS
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST_SLOTS:
        raise InvalidOptionError(f"n={n!r} is not a number from 0 to {MOST_SLOTS:,}.", field="n")
    begin = datetime.now(UTC) if start is None else start
    zone = ZoneInfo(timezone)
    found: list[datetime] = []
    for slot in firing.slots(cron, timezone, _micros("start", begin), None if end is None else _micros("end", end)):
        if len(found) == n:
            break
        found.append(to_datetime(slot).astimezone(zone))
    return found


def switched(caller: Caller, schedule_id: str, *, active: bool) -> Schedule:
    return answered(caller, SwitchSchedule(schedule_id, active))


def ran_now(caller: Caller, schedule_id: str, task_id: str) -> RunHandle[Any]:
    run_id = ids.make_id("run")
    reply = caller.call(RunSchedule(schedule_id, run_id))
    assert isinstance(reply, Triggered)
    return RunHandle(run_id, task_id, caller=caller)


def answered(caller: Caller, body: Any) -> Schedule:  # a request that is answered by a schedule
    reply = caller.call(body)
    assert isinstance(reply, ScheduleReply)
    return Schedule(reply.schedule, caller)


def _micros(field: str, moment: datetime) -> int:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise InvalidOptionError(
            f"{field}={moment!r} is not a datetime with a time zone, such as datetime(2027, 1, 1, tzinfo=UTC).",
            field=field,
        )
    return from_datetime(moment)


def _moment(micros: int) -> datetime | None:
    return to_datetime(micros) if micros else None
