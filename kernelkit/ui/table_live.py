"""What the live runs table shows around its rows: counts by status, durations of the last runs, filters, pages, and a
bulk action under way.

`live_table` is the view, pure like `ui/table.py`, whose rows it takes; `ui/table_source.py` feeds it. What a newcomer
would get wrong: the counts of the chips leave the chosen status out, for a chip says what choosing it would give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from kernelkit.models.filter import RunFilter
from kernelkit.models.run import FINAL, RunStatus
from kernelkit.rules.run_filters import in_words
from kernelkit.ui import words
from kernelkit.ui.table import RunsTable

FIRST_CHIPS = ("QUEUED", "EXECUTING", "WAITING", "COMPLETED", "FAILED")
PERIODS = ((0.0, "All time"), (3600.0, "Last hour"), (86_400.0, "Last 24 hours"), (604_800.0, "Last 7 days"),
           (2_592_000.0, "Last 30 days"))  # fmt: skip
TASKS = 200  # names offered
NAME = 60  # characters of a task or queue in a row


class Last(msgspec.Struct, frozen=True):
    """Durations of the runs that ended last, the oldest first: status, and height in percent on a square-root scale."""

    bars: tuple[tuple[str, int], ...]
    median: str
    p95: str
    failed: int
    told: str


class Chip(msgspec.Struct, frozen=True, omit_defaults=True):
    status: str
    word: str
    count: str = words.NONE
    on: bool = False


class LiveRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line; `bar` is the duration's length in pixels."""

    id: str
    task: str
    status: str
    word: str
    created: str
    created_full: str
    clock: str
    queue: str
    tag: str = ""
    since: datetime | None = None
    bar: int = 0
    attempts: int = 0
    can_cancel: bool = False


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bulk action: what, how far, and what could not be done."""

    title: str
    label: str
    done: int
    total: int
    trouble: str = ""
    over: bool = False


class Asked(msgspec.Struct, frozen=True):
    """What is asked for now: the filter, and its period as the reader chose it."""

    where: RunFilter
    period_s: float = 0.0

    @property
    def fixed(self) -> RunFilter:
        """The part that the table's own controls do not show."""
        return msgspec.structs.replace(
            self.where,
            status=(),
            search="",
            task=() if len(self.where.task) == 1 else self.where.task,
            created_from=0 if self.period_s else self.where.created_from,
        )


class LiveTable(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    rows: tuple[LiveRow, ...]
    total: int
    total_text: str
    chips: tuple[Chip, ...]
    more: tuple[Chip, ...]
    last: Last | None = None
    search: str = ""
    task: str = ""
    tasks: tuple[str, ...] = ()
    period: int = 0
    periods: tuple[str, ...] = ()
    place: str = ""
    newer: bool = False
    older: bool = False
    new: int = 0
    live: bool = True
    held: bool = False
    empty: str = ""
    wider: str = ""
    cancelable: int = 0
    action: Action | None = None
    problem: str = ""
    as_of: datetime
    as_of_text: str
    zone: str


def live_table(
    table: RunsTable,
    *,
    asked: Asked,
    counts: Mapping[str, int],
    last: Sequence[tuple[str, float | None]] = (),
    tasks: Sequence[str] = (),
    first: int = 1,
    newer: bool = False,
    older: bool = False,
    new: int = 0,
    live: bool = True,
    held: bool = False,
    action: Action | None = None,
    problem: str = "",
    now: datetime,
    zone: tzinfo,
) -> LiveTable:
    """The view of one page: `counts` by status of all that match but for the status, `first` the place of its first
    row, 0 if nobody knows, `new` how many runs have come that are not shown yet."""
    where = asked.where
    chosen = where.status or tuple(counts)
    total = sum(counts.get(status, 0) for status in chosen)
    total = max(total, len(table.rows) if not (newer or older) else 0)
    told = _total(total, asked)
    period = next((at for at, (seconds, _) in enumerate(PERIODS) if seconds == asked.period_s), 0)
    others = [status.value for status in RunStatus if status.value not in FIRST_CHIPS]
    return LiveTable(
        rows=tuple(_rows(table)),
        total=total,
        total_text=told if total else "no match" if _narrows(asked) else "no runs yet",
        chips=tuple(_chip(status, counts, where) for status in FIRST_CHIPS),
        more=tuple(_chip(status, counts, where) for status in others),
        last=durations(last),
        search=where.search,
        task=where.task[0] if len(where.task) == 1 else "",
        tasks=tuple(dict.fromkeys([*where.task[:1], *tasks]))[:TASKS],
        period=period,
        periods=tuple(name for _, name in PERIODS),
        place=_place(first, len(table.rows), total),
        newer=newer,
        older=older,
        new=new,
        live=live,
        held=held,
        empty="" if table.rows else _nothing(asked, period),
        wider="all time" if period and not table.rows else "",
        cancelable=sum(counts.get(status, 0) for status in chosen if RunStatus(status) not in FINAL),
        action=action,
        problem=words.cut(words.clean(problem), 300),
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def durations(last: Sequence[tuple[str, float | None]]) -> Last | None:
    """How long the runs took that ended last, given the newest first; None before there are two.

    >>> durations([("COMPLETED", 4.0), ("FAILED", 90.0), ("COMPLETED", 1.0)]).bars
    (('COMPLETED', 50), ('FAILED', 100), ('COMPLETED', 100))
    """
    known = [(status, seconds) for status, seconds in reversed(last) if seconds is not None]
    if len(known) < 2:
        return None
    good = [seconds for status, seconds in known if status not in words.FAILURES] or [seconds for _, seconds in known]
    top = max(good) or 1.0
    bars = tuple((status, max(6, min(100, round(100 * math.sqrt(seconds / top))))) for status, seconds in known)
    ordered = sorted(good)
    median, p95 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.95) - 1)]
    failed = sum(status in words.FAILURES for status, _ in known)
    told = (
        f"Durations of the last {len(known)} ended runs: median {seconds_text(median)}, longest {seconds_text(top)}, "
        f"{failed} failed (square-root scale)"
    )
    return Last(bars, seconds_text(median), seconds_text(p95), failed, told)


def seconds_text(seconds: float) -> str:
    """
    >>> seconds_text(0.42), seconds_text(7), seconds_text(22.4), seconds_text(140)
    ('420 ms', '7.0 s', '22 s', '2 min 20 s')
    """
    if seconds < 0.9995 or seconds >= 60:
        return words.spelled(timedelta(seconds=seconds))
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def _rows(table: RunsTable) -> list[LiveRow]:
    return [
        LiveRow(
            id=row.run_id,
            task=words.cut(row.task, NAME),
            status=row.status,
            word=row.word,
            created=row.created,
            created_full=row.created_full,
            clock=row.duration,
            queue=words.cut(row.queue, NAME),
            tag=words.cut(row.tags[0], 40) if row.tags else "",
            since=row.since,
            bar=min(38, round(2 + 2 * math.sqrt(row.seconds))) if row.seconds else 0,
            attempts=row.attempts,
            can_cancel=row.can_cancel,
        )
        for row in table.rows
    ]


def _place(first: int, count: int, total: int) -> str:
    """
    >>> _place(26, 25, 104_217), _place(1, 1, 1), _place(0, 25, 61)
    ('26 – 50 of 104,217', '1 of 1', '25 of 61')
    """
    spread = f"{first:,} – {first + count - 1:,}" if first and count > 1 else f"{count:,}"
    return f"{spread} of {total:,}"


def _chip(status: str, counts: Mapping[str, int], where: RunFilter) -> Chip:
    return Chip(status, words.STATUSES[status].word, short_count(counts.get(status, 0)), status in where.status)


def short_count(count: int) -> str:
    """
    >>> short_count(0), short_count(1402), short_count(101_912), short_count(1_000_000)
    ('0', '1,402', '101.9k', '1.0M')
    """
    if count < 100_000:
        return words.number(count)
    return f"{count / 1e3:.1f}k" if count < 999_950 else f"{count / 1e6:.1f}M"


def _total(total: int, asked: Asked) -> str:
    fixed = in_words(asked.fixed)
    told = f"{words.number(total)} match" if _narrows(asked) else words.number(total)
    if asked.period_s:
        told += f" in the {dict(PERIODS)[asked.period_s].lower()}"
    return words.clean(f"{told} · {fixed}" if fixed else told)


def _narrows(asked: Asked) -> bool:
    """Whether anything but a period is asked for."""
    return not msgspec.structs.replace(
        asked.where, created_from=0 if asked.period_s else asked.where.created_from
    ).is_empty


def _nothing(asked: Asked, period: int) -> str:
    """What was asked for, in a sentence."""
    where = asked.where
    if not _narrows(asked) and not period:
        return "No runs so far. `task.trigger(…)` makes one."
    statuses = " or ".join(words.STATUSES[status].word.lower() for status in where.status)
    told = f"No {statuses} run" if statuses else "No run"
    if len(where.task) == 1:
        told += f" of {where.task[0]}"
    if where.search:
        told += f" contains “{where.search}”"
    rest = in_words(asked.fixed)
    told += f" with {rest}" if rest else ""
    told += f" in the {PERIODS[period][1].lower()}" if period else ""
    return words.clean(f"{told}.")
