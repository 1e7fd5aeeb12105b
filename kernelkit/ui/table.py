"""The runs table: one page of runs, newest first, as text and as static HTML.

`runs_table` is the view, pure like `ui/view.py`; the two faces under it draw it. The total is always named, and how
to see the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import html, words
from kernelkit.ui.columns import aligned
from kernelkit.ui.text import WIDTH, sign_of, to_ascii

COUNTED_TO = 100_000
_FILTERS = 32  # cells of what was asked for: the caption stays on one line


class RunRow(msgspec.Struct, frozen=True):
    run_id: str
    task: str
    status: str
    word: str
    created: str
    created_full: str
    duration: str
    attempts: int
    queue: str
    tags: tuple[str, ...]
    since: datetime | None = None  # the clock ticks from here while the run goes on
    seconds: float = 0.0
    can_cancel: bool = False


class RunsTable(msgspec.Struct, frozen=True):
    """One page. `caption` names the range and the total; `more` is the call or magic that shows the next page."""

    rows: tuple[RunRow, ...]
    caption: str
    as_of: str
    more: str = ""
    empty: str = ""


def runs_table(
    runs: Sequence[Run],
    *,
    total: int,
    has_more: bool,
    now: datetime,
    zone: tzinfo,
    filters: str = "",
    first: int = 1,
) -> RunsTable:
    """The view of one page; `filters` says in words what was asked for, e.g. `status failed`."""
    rows = tuple(_row(run, now, zone) for run in runs)
    asked = f" with {words.cut(words.clean(filters), _FILTERS)}" if filters else ""
    if not rows:
        empty = (
            f"No run with {words.cut(words.clean(filters), 2 * _FILTERS)}."
            if filters
            else "No runs so far. `task.trigger(…)` makes one."
        )
        return RunsTable((), "", words.full_moment(now, zone), empty=empty)
    count = f"{COUNTED_TO:,} or more" if total >= COUNTED_TO else words.number(total)
    spread = f"{first:,}–{first + len(rows) - 1:,}" if len(rows) > 1 else f"{first:,}"
    caption = f"{spread} of {count}{asked}, newest first"
    more = f'kk.runs.list(after="{rows[-1].run_id}")' if has_more else ""
    return RunsTable(rows, caption, f"{words.full_moment(now, zone)} ({words.zone_name(zone, now)})", more)


def _row(run: Run, now: datetime, zone: tzinfo) -> RunRow:
    status = words.shown_status(run)
    return RunRow(
        run_id=run.id,
        task=words.cut(words.clean(run.task_id), 200),
        status=status,
        word=words.STATUSES[status].word,
        created=words.moment(run.created_at, now, zone),
        created_full=words.full_moment(run.created_at, zone),
        duration=words.clock(run, now),
        attempts=run.attempt_number,
        queue=words.cut(words.clean(run.queue), 200),
        tags=tuple(words.clean(tag) for tag in run.tags),
        since=None if run.is_completed else run.started_at,
        seconds=run.duration.total_seconds() if run.duration else 0.0,
        can_cancel=not run.is_completed,
    )


# ---- faces -------------------------------------------------------------------------------------------------------

_TITLES = ("TASK", "STATUS", "CREATED", "DURATION", "ATT", "RUN")


def table_text(table: RunsTable, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Upper-case heads, two blanks between columns, figures to the right; the run's id last, for copying."""
    if table.empty:
        return to_ascii(table.empty) if ascii else table.empty
    cells = [
        (row.task, f"{sign_of(row.status, ascii)} {row.word}", row.created, row.duration, str(row.attempts), row.run_id)
        for row in table.rows
    ]
    lines = aligned([_TITLES, *cells], width=max(60, width), giving=[(0, 8)], right=(3, 4))
    told = table.caption + (f" · more: {table.more}" if table.more else "")
    lines += [told] if words.cells(told) <= width else [table.caption, f"more: {table.more}"]
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def table_html(table: RunsTable) -> str:
    """A sentence with the total, then a bare table."""
    if table.empty:
        return f"<p>{html.esc(table.empty)}</p>"
    rows = [
        (
            html.esc(row.task),
            html.told(row.status, row.word)
            + (f" ({row.attempts} attempts)" if row.attempts > 1 and row.status != "COMPLETED" else ""),
            html.esc(row.created_full),
            html.esc(row.duration),
            html.code(row.run_id),
        )
        for row in table.rows
    ]
    head = (("Task", "left"), ("Status", "left"), ("Created", "left"), ("Duration", "right"), ("Run", "left"))
    told = f"<p>Runs {html.esc(table.caption)}, as of {html.esc(table.as_of)}.</p>\n"
    more = f"\n<p>More: {html.code(table.more)}</p>" if table.more else ""
    return told + html.table(head, rows) + more
