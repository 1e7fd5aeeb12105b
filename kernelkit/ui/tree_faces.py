"""The run tree without a widget: static HTML for saved notebooks, text for terminals."""

from __future__ import annotations

from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, sign_of, to_ascii
from kernelkit.ui.tree import Tree, TreeRow

_EMPTY = "No child runs so far. Runs triggered from inside this one appear here."
_STATUS_CELLS = 16
_CLOCK_CELLS = 8


def tree_text(tree: Tree, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Counts, then a line a row; every line within `width` cells."""
    width = max(60, width)
    lines = [*_counts_lines(tree, width, ascii), *(_line(row, width, ascii) for row in tree.rows)]
    if len(tree.rows) == 1:
        lines.append(f"  {_EMPTY}")
    if tree.hidden:
        lines.append(f"  {words.number(tree.hidden)} more rows")
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def _counts_lines(tree: Tree, width: int, ascii: bool) -> list[str]:
    head = _total(tree) + ": "
    parts = [
        f"{sign_of(status, ascii)}{words.number(count)} {words.STATUSES[status].word.lower()}"
        for status, count in tree.counts
    ]
    lines, line = [], head
    for part in parts:
        if words.cells(line) + words.cells(part) + 2 > width:
            lines.append(line.rstrip())
            line = " " * len(head)
        line += part + "  "
    return [*lines, line.rstrip()]


def _line(row: TreeRow, width: int, ascii: bool) -> str:
    guides = "".join("   " if last else "│  " for last in row.last[:-1])
    if row.last:
        guides += "└─ " if row.last[-1] else "├─ "
    sign = f"{sign_of(row.status, ascii)} " if row.status else "… "
    room = width - _STATUS_CELLS - _CLOCK_CELLS - 4
    told = guides + sign + row.name
    if row.note and not row.counts and row.last:
        told += f"  {row.note}"
    told = words.cut(told, room)
    counts = " ".join(f"{sign_of(status, ascii)}{words.number(count)}" for status, count in row.counts)
    middle = words.cut(counts or row.word, _STATUS_CELLS + 2)
    left = told + " " * (room + 2 - words.cells(told)) + middle
    return (left + " " * (width - _CLOCK_CELLS - words.cells(left)) + f"{row.clock:>{_CLOCK_CELLS}}").rstrip()


def tree_html(tree: Tree) -> str:
    """A sentence with the counts, then a bare table."""
    counts = ", ".join(html.told(status, f"{words.number(n)} {_word(status)}") for status, n in tree.counts)
    told = f"Run tree of {html.esc(tree.task)}: {html.esc(_total(tree))}. {counts}."
    told += f" As of {html.esc(tree.as_of_text)} ({html.esc(tree.zone)})." if not tree.is_final else ""
    rows = [_html_row(row) for row in tree.rows]
    head = (("Run", "left"), ("Status", "left"), ("Duration", "right"), ("Note", "left"))
    more = f"\n<p>{html.esc(words.number(tree.hidden))} more rows.</p>" if tree.hidden else ""
    if len(tree.rows) == 1:
        more += f"\n<p>{_EMPTY}</p>"
    if not tree.is_final:
        again = f'kk.runs.tree("{tree.run_id}")'
        more += f"\n<p>Look again: {html.code(again)}</p>"
    return f"<p>{told}</p>\n{html.table(head, rows)}{more}"


def _html_row(row: TreeRow) -> tuple[str, str, str, str]:
    guides = "".join("&nbsp;&nbsp;" if last else "│&nbsp;" for last in row.last[:-1])
    if row.last:
        guides += "└&nbsp;" if row.last[-1] else "├&nbsp;"
    note = ", ".join(f"{words.number(n)} {_word(status)}" for status, n in row.counts) or row.note
    status = html.told(row.status, row.word or words.STATUSES[row.status].word) if row.status else ""
    return (
        guides + html.esc(row.name),
        status,
        html.esc(row.clock),
        html.esc(note or ("" if row.status else "not listed")),
    )


def _word(status: str) -> str:
    return words.STATUSES[status].word.lower()


def _total(tree: Tree) -> str:
    return "1 run" if tree.total == 1 else f"{words.number(tree.total)} runs"
