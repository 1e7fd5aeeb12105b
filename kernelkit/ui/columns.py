"""Lines up the columns of a text table: two blanks between them, figures to the right, what is too wide cut."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kernelkit.ui import words

_BETWEEN = "  "


def aligned(
    lines: Sequence[Sequence[str]], *, width: int, giving: Sequence[tuple[int, int]], right: Collection[int] = ()
) -> list[str]:
    """`lines` (the heads among them) as text of at most `width` cells, if `giving` allows it.

    `giving` names the columns that give way where it is too narrow, the first one first, each with the cells that it
    keeps; the columns of `right` stand at their right edge.

    >>> aligned([("TASK", "ATT"), ("embed-documents", "1")], width=14, giving=[(0, 8)], right=[1])
    ['TASK       ATT', 'embed-do…    1']
    """
    widths = [max(words.cells(line[column]) for line in lines) for column in range(len(lines[0]))]
    for column, least in giving:
        over = sum(widths) + len(_BETWEEN) * (len(widths) - 1) - width
        if over > 0:
            widths[column] = max(min(least, widths[column]), widths[column] - over)
    return [_line(line, widths, right) for line in lines]


def _line(values: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    parts = []
    for column, (value, size) in enumerate(zip(values, widths, strict=True)):
        shown = words.cut(value, size)
        blank = " " * (size - words.cells(shown))
        parts.append(blank + shown if column in right else shown + blank)
    return _BETWEEN.join(parts).rstrip()
