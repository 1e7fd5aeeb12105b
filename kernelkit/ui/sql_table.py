"""The answer of a query as static HTML; its text face is `repr` of the table itself."""

from __future__ import annotations

from kernelkit.authoring.table import Table, cell, is_number
from kernelkit.ui import html, words

SHOWN = 100  # rows: what a saved notebook carries stays small


def table_html(table: Table) -> str:
    """A bare table of the first rows, and how many there are."""
    head = [
        (words.clean(name), "right" if is_number(kind) else "left")
        for name, kind in zip(table.columns, table.types, strict=True)
    ]
    rows = [[html.esc(words.clean(cell(value))) for value in row] for row in table.rows[:SHOWN]]
    return f"{html.table(head, rows)}\n<p>{html.esc(table.caption(SHOWN))}</p>"
