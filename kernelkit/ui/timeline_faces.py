"""The timeline without a widget: static HTML for saved notebooks, text for terminals.

Both draw bars of characters. Each attempt has at least one cell, so that a short one is never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, sign_of, to_ascii
from kernelkit.ui.timeline import Timeline, TimelineRow, TimelineSpan

_NAME_CELLS = 24
_TICK_CELLS = 15
_HTML_CELLS = 30
_FILL = {"queued": "□", "delayed": "□", "undefined": "□", "starting": "□", "executing": "█", "waiting": "▒"}
_FILL |= {"backoff": "┄", "pile": "▓", "earlier": "·"}
_BLOCKS = _FILL | {"executing": "■", "pile": "■", "backoff": "-"}
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
_LEGEND = "□ queued  █ executing  ▓ many runs  ▒ waiting  ┄ backoff  ✗ failed  ✓ completed"


# ---- text ------------------------------------------------------------------------------------------------------------


def timeline_text(timeline: Timeline, *, width: int = WIDTH, ascii: bool = False) -> str:
    """An axis, a bar a row, and of one run its spans in words; every line within `width` cells."""
    width = max(60, width)
    lines = _tree_lines(timeline, width, ascii) if timeline.is_tree else _run_lines(timeline, width, ascii)
    return "\n".join(words.cut(to_ascii(line) if ascii else line, width) for line in lines)


def _run_lines(timeline: Timeline, width: int, ascii: bool) -> list[str]:
    head = f"{sign_of(timeline.status, ascii)} {timeline.task}  {timeline.word}"
    column = f"one column is {words.lasted(timeline.length / width)}"
    room = width - words.cells(column) - words.cells(timeline.run_id) - 4
    head = words.cut(head, room) + f"  {timeline.run_id}"
    head += " " * (width - words.cells(head) - words.cells(column)) + column
    row = timeline.rows[0]
    lines = [head, _axis(timeline, width), _bar(row.spans, timeline, width, ascii)]
    for span in row.spans:
        end = timeline.length if span.end is None else span.end
        sign = sign_of(span.status, ascii)
        told = f"  {_clock(timeline, span.begin)}  {words.lasted(end - span.begin):>8}  {sign} {_words(span)}"
        lines.append(told + (f"  {span.note}" if span.note else ""))
    return lines


def _tree_lines(timeline: Timeline, width: int, ascii: bool) -> list[str]:
    room = width - _NAME_CELLS
    lines = [" " * _NAME_CELLS + _axis(timeline, room)]
    for row in timeline.rows:
        name = words.cut("  " * min(row.level, 6) + row.name, _NAME_CELLS - 3)
        name = f"{sign_of(row.status, ascii)} {name}"
        lines.append(f"{name}{' ' * (_NAME_CELLS - words.cells(name))}{_bar(row.spans, timeline, room, ascii)}")
    if timeline.hidden:
        lines.append(f"  {words.number(timeline.hidden)} more rows")
    return [*lines, _LEGEND]


def _axis(timeline: Timeline, width: int) -> str:
    """Clock times over their columns, and at the right edge now, or the end."""
    last = _clock(timeline, timeline.length)
    last = last if timeline.is_final else f"now {last}"
    line = ""
    for column in range(0, width, _TICK_CELLS):
        told = _clock(timeline, timeline.length * column / width)
        if column + len(told) + 2 <= width - len(last):
            line += " " * (column - len(line)) + told
    return line + " " * (width - len(line) - len(last)) + last


def _bar(spans: Sequence[TimelineSpan], timeline: Timeline, width: int, ascii: bool) -> str:
    cells = [" "] * width
    for span in _attempts_last(spans):
        first, last = _place(span, timeline, width)
        fill = _FILL[span.kind]
        cells[first:last] = fill * (last - first)
        if span.kind == "executing" and last - first > 1:
            if 0 < span.attempt < 10 and last - first > 2:
                cells[first] = str(span.attempt)
            cells[last - 1] = _head(span, ascii) or fill
        elif span.kind == "pile" and span.status in words.FAILURES:
            cells[last - 1] = sign_of("FAILED", ascii)[0]
        elif span.kind == "executing" and span.status in words.FAILURES:
            cells[first] = sign_of("FAILED", ascii)[0]
    return "".join(cells)


def _attempts_last(spans: Sequence[TimelineSpan]) -> list[TimelineSpan]:
    """In the order in which they are drawn: an attempt of no length is not covered by what came after it."""
    return sorted(spans, key=lambda span: span.kind == "executing")


def _head(span: TimelineSpan, ascii: bool) -> str:
    """What an attempt's bar ends with, in one cell."""
    if span.status == "EXECUTING":
        return sign_of("EXECUTING", ascii) if span.end is None else ""
    if span.status in words.FAILURES:
        return sign_of("FAILED", ascii)
    if span.status == "COMPLETED":
        return "v" if ascii else sign_of("COMPLETED", ascii)
    return sign_of("CANCELED", ascii)


def _place(span: TimelineSpan, timeline: Timeline, width: int) -> tuple[int, int]:
    """The cells from … to, at least one."""
    whole = timeline.length or 1.0
    end = timeline.length if span.end is None else span.end
    first = min(width - 1, int(span.begin / whole * width))
    return first, max(first + 1, min(width, round(end / whole * width)))


def _words(span: TimelineSpan) -> str:
    """`attempt 2 failed`, `queued`, `waits for token approve`."""
    return f"attempt {span.attempt} {span.say}" if span.kind == "executing" and span.attempt else span.say


def _clock(timeline: Timeline, at: float) -> str:
    """`14:30:07`, with the day where it is another, with tenths where all is over in seconds."""
    local = timeline.origin + timedelta(seconds=timeline.offset + at)
    begun = timeline.origin + timedelta(seconds=timeline.offset)
    if local.date() != begun.date():
        return f"{local.day:02d}.{local:%m. %H:%M}" if timeline.length > 3_600 else f"{local:%H:%M:%S}"
    return f"{local:%H:%M:%S}.{local.microsecond // 100_000}" if timeline.length < 10 else f"{local:%H:%M:%S}"


# ---- HTML ------------------------------------------------------------------------------------------------------------


def timeline_html(timeline: Timeline) -> str:
    """A sentence, then a bare table: of one run a row a span, of a tree a row a run."""
    step = next((step for step in _steps() if step * _HTML_CELLS >= timeline.length), timeline.length / _HTML_CELLS)
    cells = max(1, -int(-timeline.length // step))
    scale = f"Each ■ is {_unit(step)}"
    head: tuple[tuple[str, str], ...]
    if timeline.is_tree:
        head = (("Run", "left"), ("From", "right"), ("Lasted", "right"), (scale, "left"), ("Note", "left"))
        rows = [_tree_row(row, timeline, step, cells) for row in timeline.rows]
    else:
        head = (("From", "right"), ("Lasted", "right"), ("What", "left"), (scale, "left"), ("Note", "left"))
        rows = [_span_row(span, timeline, step, cells) for span in timeline.rows[0].spans]
    more = f"\n<p>{html.esc(words.number(timeline.hidden))} more rows.</p>" if timeline.hidden else ""
    if not timeline.is_final:
        again = f'kk.runs.timeline("{timeline.run_id}"{", tree=True" if timeline.is_tree else ""})'
        more += f"\n<p>Look again: {html.code(again)}</p>"
    return f"<p>{_sentence(timeline)}</p>\n{html.table(head, rows)}{more}"


def _sentence(timeline: Timeline) -> str:
    what = f"Timeline of {html.esc(timeline.task)}, {html.code(timeline.run_id)}"
    if timeline.is_tree and timeline.total > 1:
        what += (
            f", and {words.number(timeline.total - 1)} runs below it" if timeline.total > 2 else " and the run below it"
        )
    told = html.told(timeline.status, timeline.word)
    tries = f" after {timeline.attempts} attempts" if timeline.attempts > 1 and not timeline.is_tree else ""
    if not timeline.is_final:
        return f"{what}: {told}, as of {html.esc(timeline.as_of_text)} ({html.esc(timeline.zone)})."
    lasted = words.spelled(timedelta(seconds=timeline.length))
    return f"{what}: {told}{tries}, {lasted}: {html.esc(timeline.when)}."


def _span_row(span: TimelineSpan, timeline: Timeline, step: float, cells: int) -> tuple[str, ...]:
    end = timeline.length if span.end is None else span.end
    goes_on = " so far" if span.end is None else ""
    return (
        _clock(timeline, span.begin),
        words.lasted(end - span.begin) + goes_on,
        html.told(span.status, _words(span)),
        _blocks([span], timeline, step, cells),
        html.esc(span.note),
    )


def _tree_row(row: TimelineRow, timeline: Timeline, step: float, cells: int) -> tuple[str, ...]:
    begun = min((span.begin for span in row.spans), default=0.0)
    ends = [timeline.length if span.end is None else span.end for span in row.spans]
    piled = ", ".join(span.say for span in row.spans if span.kind == "pile")
    return (
        "&nbsp;&nbsp;" * row.level + html.told(row.status, row.name),
        _clock(timeline, begun),
        words.lasted(max(ends, default=begun) - begun),
        _blocks(row.spans, timeline, step, cells),
        html.esc(piled or row.note or row.word),
    )


def _blocks(spans: Sequence[TimelineSpan], timeline: Timeline, step: float, cells: int) -> str:
    drawn = ["·"] * cells
    used = 0
    for span in _attempts_last(spans):
        end = timeline.length if span.end is None else span.end
        first = min(cells - 1, int(span.begin / step))
        last = max(first + 1, min(cells, round(end / step)))
        drawn[first:last] = _BLOCKS[span.kind] * (last - first)
        used = max(used, last)
    return html.code("".join(drawn[:used]))


def _steps() -> list[float]:
    return [n * 10.0**power for power in (-3, -2, -1) for n in (1, 2, 5)] + [float(step) for step in _STEPS]


def _unit(seconds: float) -> str:
    """
    >>> _unit(0.05), _unit(2), _unit(300), _unit(7200)
    ('50 ms', '2 s', '5 min', '2 h')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{words.number(round(seconds / size, 1))} {unit}"
    return f"{words.number(round(seconds, 1))} s"
