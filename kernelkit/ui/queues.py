"""Queues as a table: what runs of how many slots, what is in line, what was set by hand. Text and static HTML."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kernelkit.models.queue import QueueInfo
from kernelkit.ui import html, words
from kernelkit.ui.columns import aligned
from kernelkit.ui.text import WIDTH, to_ascii

EMPTY = "No queues so far: every task brings one of its own."
PAUSED = "The project is paused: no run of any queue starts. kk.queues.resume_all() ends that."
KEYS = 10
_TITLES = ("QUEUE", "STATE", "SLOTS", "QUEUED", "RATE", "KEYS")


class QueueRow(msgspec.Struct, frozen=True):
    """One queue, or below it the copy of a concurrency key."""

    name: str
    state: str
    slots: str
    queued: str
    rate: str
    keys: str
    is_key: bool = False


class QueuesTable(msgspec.Struct, frozen=True):
    rows: tuple[QueueRow, ...]
    note: str = ""


def queues_table(queues: Sequence[QueueInfo], *, paused: bool) -> QueuesTable:
    """The view: each queue, and below it its copies with the most runs in line."""
    rows: list[QueueRow] = []
    for queue in queues:
        rows.append(_row(queue))
        keys = [key for key in queue.keys if key.key]
        for key in keys[:KEYS]:
            name = words.cut(words.clean(key.key), 100)
            rows.append(QueueRow(name, "", words.number(key.running), words.number(key.queued), "", "", is_key=True))
        if len(keys) > KEYS:
            rows.append(QueueRow(f"{words.number(len(keys) - KEYS)} more keys", "", "", "", "", "", is_key=True))
    return QueuesTable(tuple(rows), PAUSED if paused else "")


def _row(queue: QueueInfo) -> QueueRow:
    return QueueRow(
        words.cut(words.clean(queue.name), 100),
        "paused" if queue.paused else "full" if _is_full(queue) else "open",
        _slots(queue),
        words.number(queue.queued),
        queue.rate_limit or words.NONE,
        words.number(queue.key_count) if queue.key_count > 1 else words.NONE,
    )


def _is_full(queue: QueueInfo) -> bool:
    limit = queue.concurrency.current
    return limit is not None and queue.key_count <= 1 and queue.running >= limit


def _slots(queue: QueueInfo) -> str:
    limit = queue.concurrency
    if limit.current is None:
        return words.number(queue.running)
    by_hand = "" if limit.override is None else f" (by hand, was {'none' if limit.base is None else limit.base})"
    of = f", {limit.current} a key" if queue.key_count > 1 else f" of {limit.current}"
    return f"{queue.running}{of}{by_hand}"


def queues_text(table: QueuesTable, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Upper-case heads, two blanks between columns."""
    if not table.rows:
        lines = [EMPTY]
    else:
        cells = [(("  " if row.is_key else "") + row.name, *_rest(row)) for row in table.rows]
        lines = aligned([_TITLES, *cells], width=max(60, width), giving=[(0, 8)])
    lines = [table.note, *lines] if table.note else lines
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def _rest(row: QueueRow) -> tuple[str, ...]:
    return row.state, row.slots, row.queued, row.rate, row.keys


def queues_html(table: QueuesTable) -> str:
    """A bare table; copies of a queue stand below it."""
    note = f"<p><strong>{html.esc(table.note)}</strong></p>\n" if table.note else ""
    if not table.rows:
        return f"{note}<p>{html.esc(EMPTY)}</p>"
    rows = [
        ("└&nbsp;" * row.is_key + html.esc(row.name), *(html.esc(cell) for cell in _rest(row))) for row in table.rows
    ]
    titles = ("Queue", "State", "Slots", "Queued", "Rate", "Keys")
    head = [(title, "right" if title in ("Queued", "Keys") else "left") for title in titles]
    return note + html.table(head, rows)
