"""A batch with all its items: the live face's view, and one character an item for the grid.

Pure. Of a thousand cells only those are sent that have changed (`ui/difference.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import words
from kernelkit.ui.batch import BatchView

CODES = {
    "DELAYED": "l",
    "QUEUED": "q",
    "PENDING_VERSION": "p",
    "DEQUEUED": "d",
    "EXECUTING": "e",
    "WAITING": "w",
    words.RETRYING: "r",
    "COMPLETED": "C",
    "FAILED": "F",
    "CRASHED": "X",
    "SYSTEM_FAILURE": "S",
    "TIMED_OUT": "T",
    "CANCELED": "N",
    "EXPIRED": "P",
}
"""The character of a status, as widgets/batch.js reads it."""
NOT_KEPT = "-"
COUNTS = {
    "EXECUTING": ("EXECUTING", "DEQUEUED"),
    words.RETRYING: (words.RETRYING,),
    "WAITING": ("WAITING",),
    "QUEUED": ("QUEUED", "DELAYED", "PENDING_VERSION"),
    "COMPLETED": ("COMPLETED",),
    "FAILED": words.FAILURES,
    "CANCELED": ("CANCELED", "EXPIRED"),
}
"""What is counted together. The last is shown only where there is any."""
FAILURES_SHOWN = 3


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """The line of one item."""

    index: int
    status: str = ""
    text: str = ""
    run_id: str = ""


class Count(msgspec.Struct, frozen=True):
    status: str
    word: str
    count: int
    codes: str  # the cells that are counted


class BatchGrid(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    batch_id: str
    name: str
    status: str
    word: str
    total: int
    ended: int
    counts: tuple[Count, ...]
    since: datetime | None = None
    clock: str = words.NONE
    left: str = ""
    failed: tuple[Item, ...] = ()
    more_failed: int = 0
    chosen: Item | None = None
    facts: tuple[str, ...] = ()
    open: int = 0  # that may be canceled
    is_final: bool = False
    as_of: datetime
    as_of_text: str
    zone: str


def batch_grid(
    batch: BatchView, items: Sequence[Run | None], *, chosen: int | None = None, now: datetime, zone: tzinfo
) -> BatchGrid:
    """The live picture of `batch`, whose items are given; `chosen` is the one whose line is wanted."""
    starts = [run.started_at for run in items if run is not None and run.started_at]
    left = " · ".join(part for part in (batch.left, batch.rate) if part)
    return BatchGrid(
        batch_id=batch.batch_id,
        name=batch.title,
        status=batch.status,
        word=words.STATUSES[batch.status].word,
        total=batch.total,
        ended=batch.ended,
        counts=_counts(batch.counts),
        since=min(starts) if starts else None,
        clock=batch.elapsed,
        left=left,
        failed=tuple(_item(failed.index, items) for failed in batch.failed[:FAILURES_SHOWN]),
        more_failed=max(0, len(batch.failed) + batch.more_failed - FAILURES_SHOWN),
        chosen=_item(chosen, items) if chosen is not None and 0 <= chosen < len(items) else None,
        facts=(
            f"{words.number(batch.total)} item{'' if batch.total == 1 else 's'}",
            *([f"usual {batch.median} each"] if batch.median else []),
        ),
        open=batch.total - batch.ended,
        is_final=batch.is_final,
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def cells(items: Sequence[Run | None]) -> str:
    """One character an item, in their order."""
    return "".join(CODES[words.shown_status(run)] if run is not None else NOT_KEPT for run in items)


def _counts(counts: Mapping[str, int]) -> tuple[Count, ...]:
    told = []
    for status, together in COUNTS.items():
        count = sum(counts.get(one, 0) for one in together)
        if count or status != "CANCELED":
            told.append(Count(status, words.STATUSES[status].word, count, "".join(CODES[one] for one in together)))
    return tuple(told)


def _item(index: int, items: Sequence[Run | None]) -> Item:
    run = items[index]
    if run is None:
        return Item(index, text="not kept any more")
    status = words.shown_status(run)
    word = words.STATUSES[status].word.lower()
    how = f"{word} in {words.ended(run.duration)}" if run.duration is not None else word
    told = [run.id, how, words.clean(run.payload_json or "")]
    if run.error is not None:
        told = [words.cut(words.clean(str(run.error)), 200), how, run.id]
    return Item(index, status, words.cut(" · ".join(filter(None, told)), 300), run.id)
