"""A batch in few words: how many have ended and how, and which failed first. Text and static HTML from one view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, bar_cells, row, sign_of, to_ascii

FAILURES_SHOWN = 20


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


def batch_view(
    batch_id: str, runs: Sequence[Run], *, now: datetime, zone: tzinfo, total: int | None = None
) -> BatchView:
    """The view of a batch whose `runs` stand in the order of its items."""
    counts: dict[str, int] = {}
    for run in runs:
        status = words.shown_status(run)
        counts[status] = counts.get(status, 0) + 1
    tasks = sorted({words.clean(run.task_id) for run in runs})
    named = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"
    count = len(runs) if total is None else total
    failed = [
        FailedItem(index, run.id, words.shown_status(run), words.cut(words.clean(str(run.error or "")), 300))
        for index, run in enumerate(runs)
        if run.status.value in words.FAILURES
    ]
    ended = sum(run.is_completed for run in runs)
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
    )


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
    lines.append(f"  {bar_cells(share, 40)}  {batch.ended:,}/{batch.total:,}  {int(share * 100)}%")
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
