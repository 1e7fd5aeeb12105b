"""Schedules as a table: which task starts when, next and last, what was missed. Text and static HTML of one view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from kernelkit.authoring.schedule import WHY
from kernelkit.clock import to_datetime
from kernelkit.models.schedule import Schedule
from kernelkit.rules import firing
from kernelkit.rules.cron_words import in_words
from kernelkit.ui import html, words
from kernelkit.ui.columns import aligned
from kernelkit.ui.text import WIDTH, to_ascii

EMPTY = "No schedules in this project. @kk.task(cron=…) or kk.schedules.create(…) makes one."
ASLEEP = "No engine runs, so none of these fires. `kernelkit up`, or kk.engine.start(), starts one."
WOKEN = "No engine was running, so nothing has fired; looking has started one, which makes up for what came."
# Words of the cron first, then moments and names, each down to what can still be told apart; never the id.
_GIVING = ((2, 16), (3, 16), (1, 12), (4, 12), (2, 10), (3, 9), (1, 8), (4, 8))
_TITLES = ("", "TASK", "WHEN", "NEXT", "LAST", "MISSED", "SCHEDULE")


class ScheduleRow(msgspec.Struct, frozen=True, omit_defaults=True):
    on: bool
    task: str
    when: str
    cron: str
    next: str
    last: str
    missed: str
    id: str
    next_full: str
    last_full: str
    words: str = ""  # the expression, without zone and whom it is for
    timezone: str = ""
    external: str = ""
    next_at: datetime | None = None  # of one that is off, what it would be
    last_at: datetime | None = None
    last_status: str = ""
    last_word: str = ""
    missed_why: str = ""


class SchedulesTable(msgspec.Struct, frozen=True, omit_defaults=True):
    rows: tuple[ScheduleRow, ...]
    zone: str
    note: str = ""
    title: str = ""
    as_of: datetime | None = None
    as_of_text: str = ""


def schedules_table(schedules: Sequence[Schedule], *, now: datetime, zone: tzinfo, note: str = "") -> SchedulesTable:
    """The view; `note` is a sentence on whether anything fires at all."""
    rows = tuple(_row(schedule, now, zone) for schedule in schedules)
    active = sum(row.on for row in rows)
    return SchedulesTable(
        rows=rows,
        zone=words.zone_name(zone, now),
        note=note,
        title=f"{active:,} active, {len(rows) - active:,} off",
        as_of=now,
        as_of_text=words.full_moment(now, zone),
    )


def _row(schedule: Schedule, now: datetime, zone: tzinfo) -> ScheduleRow:
    timing = schedule.timing
    when = in_words(timing.cron) + ("" if timing.timezone == "UTC" else f" in {timing.timezone}")
    if schedule.external_id:
        when += f", for {words.cut(words.clean(schedule.external_id), 40)}"
    return ScheduleRow(
        on=schedule.active,
        task=words.cut(words.clean(schedule.task_id), 200),
        when=when,
        cron=timing.cron,
        next=_next(schedule, now, zone),
        last=_last(schedule, now, zone),
        missed=words.number(schedule.missed_count) if schedule.missed_count else words.NONE,
        id=schedule.id,
        next_full=_full(schedule.next_at, zone),
        last_full=f"{_full(schedule.last_slot, zone)} {_word(schedule)}".rstrip(),
        words=in_words(timing.cron),
        timezone=timing.timezone,
        external=words.cut(words.clean(schedule.external_id), 40),
        next_at=to_datetime(slot) if (slot := _slot(schedule, now)) else None,
        last_at=to_datetime(schedule.last_slot) if schedule.last_slot else None,
        last_status=schedule.last_status,
        last_word=_word(schedule),
        missed_why=WHY[schedule.missed[-1].why] if schedule.missed else "",
    )


def _slot(schedule: Schedule, now: datetime) -> int:
    """The next one; of one that is off, what it would be."""
    timing = schedule.timing
    if schedule.active:
        return schedule.next_at
    return firing.next_slot(timing.cron, timing.timezone, round(now.timestamp() * 1_000_000)) or 0


def _next(schedule: Schedule, now: datetime, zone: tzinfo) -> str:
    """In the reader's zone, then in the schedule's own; of one that is off, what it would be."""
    timing = schedule.timing
    slot = _slot(schedule, now)
    if not slot:
        return "never again"
    moment = to_datetime(slot)
    told = words.moment(moment, now, zone)
    own = moment.astimezone(ZoneInfo(timing.timezone))
    if own.utcoffset() != moment.astimezone(zone).utcoffset():
        told += f" ({own:%H:%M} there)"
    return told if schedule.active else f"off; would be {told}"


def _last(schedule: Schedule, now: datetime, zone: tzinfo) -> str:
    if not schedule.last_slot:
        return words.NONE
    return f"{words.moment(to_datetime(schedule.last_slot), now, zone)} {_word(schedule)}".rstrip()


def _word(schedule: Schedule) -> str:
    status = schedule.last_status
    return words.STATUSES[status].word if status in words.STATUSES else status.lower()


def _full(slot: int, zone: tzinfo) -> str:
    """For what is kept: true tomorrow as well."""
    return words.full_moment(to_datetime(slot), zone) if slot else words.NONE


def schedules_text(table: SchedulesTable, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Upper-case heads, two blanks between columns; the id last, for copying."""
    if not table.rows:
        lines = [EMPTY]
    else:
        cells = [
            ("on" if row.on else "off", row.task, row.when, row.next, row.last, row.missed, row.id)
            for row in table.rows
        ]
        lines = aligned([_TITLES, *cells], width=max(80, width), giving=_GIVING)
        lines.append(f"{len(table.rows)} schedule{'s' if len(table.rows) > 1 else ''}, times in {table.zone}")
    if table.note:
        lines.append(table.note)
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def schedules_html(table: SchedulesTable) -> str:
    """A bare table, and the note below it."""
    note = f"\n<p>{html.esc(table.note)}</p>" if table.note else ""
    if not table.rows:
        return f"<p>{html.esc(EMPTY)}</p>{note}"
    rows = [
        (
            "on" if row.on else "off",
            html.esc(row.task),
            f"{html.esc(row.when)} {html.code(row.cron)}",
            html.esc(row.next_full),
            html.esc(row.last_full),
            html.esc(row.missed),
            html.code(row.id),
        )
        for row in table.rows
    ]
    titles = ("On", "Task", "When", f"Next ({table.zone})", "Last", "Missed", "Schedule")
    return html.table([(title, "right" if title == "Missed" else "left") for title in titles], rows) + note
