"""Queues as a table: what runs of how many slots, what is in line, what was set by hand. Text and static HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.queue import QueueInfo
from kernelkit.ui import html, words
from kernelkit.ui.columns import aligned
from kernelkit.ui.text import WIDTH, to_ascii

EMPTY = "No queues so far: every task brings one of its own."
PAUSED = "The project is paused: no run starts. kk.queues.resume_all() ends that."
KEYS = 10
_TITLES = ("QUEUE", "STATE", "SLOTS", "QUEUED", "OLDEST", "RATE", "KEYS")


class QueueRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One queue, or below it the copy of a concurrency key. Empty `slots` and no `id` stand for keys not listed."""

    name: str
    id: str = ""  # the name as it is, for what is done to it
    state: str = ""
    slots: str = ""
    running: int = 0
    limit: int | None = None  # of the slots that are counted here; a queue with keys has it for each
    current: int | None = None  # what holds, for the whole or for each key
    by_hand: str = ""  # what the limit was before it was set by hand
    queued: str = ""
    oldest: datetime | None = None
    oldest_full: str = ""
    rate: str = ""
    keys: str = ""
    is_key: bool = False


class QueuesTable(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    title: str
    rows: tuple[QueueRow, ...]
    paused: bool = False
    note: str = ""
    as_of: datetime
    as_of_text: str
    zone: str


def queues_table(queues: Sequence[QueueInfo], *, paused: bool, now: datetime, zone: tzinfo) -> QueuesTable:
    """The view: each queue, and below it its copies with the most runs in line."""
    rows: list[QueueRow] = []
    for queue in queues:
        rows.append(_row(queue, zone))
        keys = [key for key in queue.keys if key.key]
        for key in keys[:KEYS]:
            limit = queue.concurrency.current
            rows.append(
                QueueRow(
                    name=words.cut(words.clean(key.key), 100),
                    slots=words.number(key.running) + (f" of {limit}" if limit is not None else ""),
                    running=key.running,
                    limit=limit,
                    queued=words.number(key.queued),
                    oldest=key.oldest_queued_at,
                    oldest_full=_full(key.oldest_queued_at, zone),
                    is_key=True,
                )
            )
        more = queue.key_count - KEYS - (len(queue.keys) - len(keys))
        if len(keys) >= KEYS and more > 0:
            rows.append(QueueRow(name=f"{words.number(more)} more keys", is_key=True))
    running, queued = sum(queue.running for queue in queues), sum(queue.queued for queue in queues)
    title = (
        f"{words.number(len(queues))} queue{'' if len(queues) == 1 else 's'}, "
        f"{words.number(running)} slot{'' if running == 1 else 's'} in use, {words.number(queued)} queued"
    )
    return QueuesTable(
        title=title if queues else "",
        rows=tuple(rows),
        paused=paused,
        note=PAUSED if paused else "",
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def _row(queue: QueueInfo, zone: tzinfo) -> QueueRow:
    limit = queue.concurrency
    return QueueRow(
        name=words.cut(words.clean(queue.name), 100),
        id=queue.name,
        state="paused" if queue.paused else "full" if _is_full(queue) else "open",
        slots=_slots(queue),
        running=queue.running,
        limit=limit.current if queue.key_count <= 1 else None,
        current=limit.current,
        by_hand="" if limit.override is None else "none" if limit.base is None else str(limit.base),
        queued=words.number(queue.queued),
        oldest=queue.oldest_queued_at,
        oldest_full=_full(queue.oldest_queued_at, zone),
        rate=queue.rate_limit or words.NONE,
        keys=words.number(queue.key_count) if queue.key_count > 1 else words.NONE,
    )


def _full(at: datetime | None, zone: tzinfo) -> str:
    return "" if at is None else words.full_moment(at, zone)


def _is_full(queue: QueueInfo) -> bool:
    limit = queue.concurrency.current
    return limit is not None and queue.key_count <= 1 and queue.running >= limit


def _slots(queue: QueueInfo) -> str:
    limit = queue.concurrency
    if limit.current is None:
        return words.number(queue.running)
    return f"{queue.running}, {limit.current} a key" if queue.key_count > 1 else f"{queue.running} of {limit.current}"


def _told_slots(row: QueueRow) -> str:
    return f"{row.slots} (by hand, was {row.by_hand})" if row.by_hand else row.slots


def queues_text(table: QueuesTable, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Upper-case heads, two blanks between columns."""
    if not table.rows:
        lines = [EMPTY]
    else:
        cells = [(("  " if row.is_key else "") + row.name, *_rest(row, _age(row, table.as_of))) for row in table.rows]
        lines = aligned([_TITLES, *cells], width=max(60, width), giving=[(0, 8), (2, 12)])
    lines = [table.note, *lines] if table.note else lines
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def _rest(row: QueueRow, oldest: str) -> tuple[str, ...]:
    return row.state, _told_slots(row), row.queued, oldest, row.rate, row.keys


def _age(row: QueueRow, now: datetime) -> str:
    if row.oldest is None:
        return "" if row.is_key else words.NONE
    return words.ticking((now - row.oldest).total_seconds())


def queues_html(table: QueuesTable) -> str:
    """A bare table; copies of a queue stand below it. It tells since when, not how long: that stays true."""
    note = f"<p><strong>{html.esc(table.note)}</strong></p>\n" if table.note else ""
    if not table.rows:
        return f"{note}<p>{html.esc(EMPTY)}</p>"
    rows = [
        ("└&nbsp;" * row.is_key + html.esc(row.name), *map(html.esc, _rest(row, row.oldest_full))) for row in table.rows
    ]
    titles = ("Queue", "State", "Slots", "Queued", f"Oldest since ({table.zone})", "Rate", "Keys")
    head = [(title, "right" if title in ("Queued", "Keys") else "left") for title in titles]
    told = f"<p>{html.esc(table.title)}, as of {html.esc(table.as_of_text)}</p>"
    return f"{note}{html.table(head, rows)}\n{told}"
