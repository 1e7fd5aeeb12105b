"""A batch in few words: how many have ended and how, how long the rest may take, and which failed first.

Text and static HTML are here, from one view; `ui/batch_grid.py` draws every item of it for the live face. The runs
stand in the order of the items, None in the place of one that is not kept any more.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, bar_cells, row, sign_of, to_ascii

FAILURES_SHOWN = 20
TELLS_FROM = 20  # ended items, before which nobody can say how long the rest takes
LOOKED_AT = 50  # of them, the last ones


class FailedItem(msgspec.Struct, frozen=True):
    index: int
    run_id: str
    status: str
    error: str


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` are by shown status; `failed` holds at most 20 items in the order of the batch."""

    batch_id: str
    title: str
    status: str
    total: int
    ended: int
    counts: dict[str, int]
    failed: tuple[FailedItem, ...]
    more_failed: int
    elapsed: str
    lasted: str
    as_of: str
    is_final: bool
    left: str = ""
    rate: str = ""
    median: str = ""


def batch_view(
    batch_id: str, items: Sequence[Run | None], *, now: datetime, zone: tzinfo, total: int | None = None
) -> BatchView:
    """The view of a batch whose runs stand in the order of its items."""
    runs = [run for run in items if run is not None]
    counts: dict[str, int] = {}
    for run in runs:
        status = words.shown_status(run)
        counts[status] = counts.get(status, 0) + 1
    tasks = sorted({words.clean(run.task_id) for run in runs})
    named = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    count = len(items) if total is None else total
    failed = [
        FailedItem(index, run.id, words.shown_status(run), words.cut(words.clean(str(run.error or "")), 300))
        for index, run in enumerate(items)
        if run is not None and run.status.value in words.FAILURES
    ]
    ended = sum(run.is_completed for run in runs) + len(items) - len(runs)
    left, rate, median = _pace(runs, now)
    return BatchView(
        batch_id=batch_id,
        title=f"{words.cut(named, 60)} × {words.number(count)}",
        status=words.group_status(counts),
        total=count,
        ended=ended,
        counts=counts,
        failed=tuple(failed[:FAILURES_SHOWN]),
        more_failed=max(0, len(failed) - FAILURES_SHOWN),
        elapsed=_elapsed(runs, ended == count, now),
        lasted=_lasted(runs) if ended == count else "",
        as_of=words.full_moment(now, zone),
        is_final=ended == count,
        left=left,
        rate=rate,
        median=median,
    )


def _pace(runs: Sequence[Run], now: datetime) -> tuple[str, str, str]:
    """Time left, runs a second, and how long one usually takes: by the last 50 that ended and the slots in use.

    Of runs that take less than the engine needs to start the next, the pace at which they ended says more.
    """
    done = sorted((run for run in runs if run.finished_at and run.duration is not None), key=_finished)[-LOOKED_AT:]
    if not done:
        return "", "", ""
    median = statistics.median([(run.duration or timedelta()).total_seconds() for run in done])
    usual = words.spelled(timedelta(seconds=median))
    waiting = sum(not run.is_completed for run in runs)
    slots = sum(run.status.value in ("EXECUTING", "DEQUEUED") for run in runs)
    if len(done) < TELLS_FROM or not waiting or not slots:
        return "", "", usual
    seen = (len(done) - 1) / max(1e-6, (now - _finished(done[0])).total_seconds())
    rate = min(seen, slots / median) if median else seen
    tens = max(1, round(waiting / rate / 10))
    return f"about {words.ticking(10 * tens)} left", f"{words.number(float(f'{rate:.2g}'))} runs/s", usual


def _finished(run: Run) -> datetime:
    return run.finished_at or run.created_at


def _elapsed(runs: Sequence[Run], all_ended: bool, now: datetime) -> str:
    starts = [run.started_at for run in runs if run.started_at]
    ends = [run.finished_at for run in runs if run.finished_at]
    if not starts:
        return words.NONE
    if all_ended and ends:
        return words.ended(max(ends) - min(starts))
    return words.ticking((now - min(starts)).total_seconds())


def _lasted(runs: Sequence[Run]) -> str:
    starts = [run.started_at for run in runs if run.started_at]
    ends = [run.finished_at for run in runs if run.finished_at]
    return words.spelled(max(ends) - min(starts)) if starts and ends else ""


def batch_text(batch: BatchView, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Head, bar, counts, and the indexes of the first failures."""
    width = max(60, width)
    word = words.STATUSES[batch.status].word
    lines = [row(f"{sign_of(batch.status, ascii)} {batch.title}  {word}  {batch.elapsed}", batch.batch_id, width - 3)]
    share = batch.ended / batch.total if batch.total else 1.0
    lines.append(
        f"  {bar_cells(share, 40)}  {batch.ended:,}/{batch.total:,}  {int(share * 100)}%  {batch.left}".rstrip()
    )
    told = "  ".join(f"{sign_of(status, ascii)}{text}" for status, text in words.count_words(batch.counts))
    lines.append(f"  {told}")
    if batch.failed:
        more = f" and {batch.more_failed:,} more" if batch.more_failed else ""
        lines.append("  failed: " + " ".join(f"#{item.index}" for item in batch.failed) + more)
    shown = [words.cut(line, width) for line in lines]
    return "\n".join(to_ascii(line) if ascii else line for line in shown)


def batch_html(batch: BatchView) -> str:
    """Counts as a sentence, then the first failures as a table."""
    head = f"<strong>{html.esc(batch.title)}</strong>, {html.code(batch.batch_id)}: "
    counts = ", ".join(
        f"{html.esc(words.STATUSES[status].sign)}{html.NBSP}{html.esc(text)}"
        for status, text in words.count_words(batch.counts)
    )
    when = f" in {html.esc(batch.lasted)}" if batch.lasted else ""
    when = when if batch.is_final else f", as of {html.esc(batch.as_of)}"
    told = f"<p>{head}{batch.ended:,} of {batch.total:,} ended{when}. {counts}.</p>"
    if not batch.failed:
        return told
    rows = [
        (
            f"#{item.index}",
            html.told(item.status, words.STATUSES[item.status].word),
            html.code(item.error),
            html.code(item.run_id),
        )
        for item in batch.failed
    ]
    more = f"\n<p>{batch.more_failed:,} more failed.</p>" if batch.more_failed else ""
    head_row = (("Item", "right"), ("Status", "left"), ("Error", "left"), ("Run", "left"))
    return f"{told}\n{html.table(head_row, rows)}{more}"
