"""The text face of a run card: what a terminal prints, and what `text/plain` says in a notebook.

80 columns, or the terminal's down to 60. Every sign takes one cell; where the encoding lacks them `ascii=True` draws
the same with ASCII. No colour is needed to read it, and no cursor is moved.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TextIO

from kernelkit.ui import words
from kernelkit.ui.failure import ErrorView
from kernelkit.ui.job import JobView
from kernelkit.ui.progress import Bar
from kernelkit.ui.reason import Bit
from kernelkit.ui.view import RunCard

WIDTH = 80
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_ASCII = str.maketrans(
    {
        "█": "#",
        "░": ".",
        "▒": "~",
        "▓": "%",
        "┄": "-",
        "□": ".",
        "·": "-",
        "–": "-",
        "‖": "=",
        "│": "|",
        "■": "#",
        "−": "-",
        "×": "x",
    }
    | dict.fromkeys(_EIGHTHS[1:], "#")
)


def wants_ascii(stream: TextIO | None = None) -> bool:
    """Whether the stream's encoding lacks our signs."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    try:
        "◷○◌◉▶‖↻✓✗◆▲⊘█░…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def run_text(card: RunCard, *, width: int = WIDTH, ascii: bool = False) -> str:
    """The whole card as lines, without a final newline."""
    width = max(60, width)
    lines = [_head(card, width, ascii)]
    lines += _details(card, width)
    if card.job is not None:
        lines += _job_lines(card.job, width)
    lines += _files(card)
    for one in card.streams:
        lines += [f"  stream {one.name}, {one.count}", *(f"    {line}" for line in one.text.splitlines())]
    lines += [f"  {line}" for bars in (bar_lines(card.bars, width - 2),) for line in bars if not card.is_final]
    if not card.is_final:
        lines += [f"  {row.time} {row.level:<5}  {row.text}" for row in card.logs]
        lines += _pairs(card)
    shown = [words.cut(line, width) for line in lines]
    return "\n".join(to_ascii(line) if ascii else line for line in shown)


def sign_of(status: str, ascii: bool) -> str:
    return words.STATUSES[status].ascii if ascii else words.STATUSES[status].sign


def to_ascii(text: str) -> str:
    """The same in ASCII: signs by their table, anything else that has no equal as a Python escape."""
    text = text.replace("├─", "|-").replace("└─", "`-").replace("…", "..")
    for status in words.STATUSES.values():
        if status.sign not in "–‖":
            text = text.replace(status.sign, status.ascii)
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def row(left: str, right: str, width: int) -> str:
    """`left` cut where needed and `right` at the right edge."""
    room = width - words.cells(right) - 2
    left = words.cut(left, room)
    return left + " " * (room + 2 - words.cells(left)) + right


def _head(card: RunCard, width: int, ascii: bool) -> str:
    word = card.word
    if card.status in words.FAILURES and len(card.attempts) > 1:
        word += f" after {len(card.attempts)} attempts"
    tail = f"  {word}  {card.elapsed}"
    name = words.cut(card.task, width - 5 - len(card.run_id) - len(tail) - 4)
    return row(f"{sign_of(card.status, ascii)} {name}{tail}", card.run_id, width - 3)


def _details(card: RunCard, width: int) -> list[str]:
    if card.error is not None:
        return error_lines(card.error, width)
    if card.output is not None:
        return [f"  output  {card.output.flat or card.output.text}"]
    if card.status == "EXECUTING":
        since = f"since {card.started}" if card.started else ""
        where = f"on worker {card.worker}" if card.worker else ""
        told = " · ".join(part for part in (card.attempt, f"queue {card.queue}", f"{since} {where}".strip()) if part)
        if words.cells(told) > width - 2:
            told = " · ".join(part for part in (card.attempt, f"queue {card.queue}", since) if part)
        later = reason_text(card.reason[1:], card)
        return [f"  {told}", *_wrapped(later, width)]
    return _wrapped(words.phrase(reason_text(card.reason, card)), width)


def reason_text(bits: tuple[Bit, ...], card: RunCard) -> str:
    """The reason line in words; a countdown says what was left at the moment of the view."""
    parts = []
    for bit in bits:
        if bit.kind == "countdown" and bit.at is not None:
            parts.append(f"in {words.countdown((bit.at - card.as_of).total_seconds())}")
        else:
            parts.append(bit.text)
    return "".join(parts).strip()


def _job_lines(job: JobView, width: int) -> list[str]:
    """Where a notebook job is: its cells, the current one, what that showed last, and the parameters."""
    told = job.counted
    if job.told:
        told += f" · {job.told}" + (f" for {job.elapsed}" if job.elapsed else "")
    share = job.done / job.cells if job.cells else 0.0
    lines = [f"  {told}  {bar_cells(share, max(10, width - 4 - words.cells(told)))}"]
    lines += [f"    {line}" for line in job.source.splitlines()]
    lines += [f"  shown   {job.output}"] if job.output else []
    if job.parameters:
        more = f"  {words.number(job.more_parameters)} more" if job.more_parameters else ""
        lines.append(f"  given   {'  '.join(f'{each.name}={each.value}' for each in job.parameters)}{more}")
    return lines


def _files(card: RunCard) -> list[str]:
    if not card.files:
        return []
    told = ", ".join(f"{file.name} {file.size}" for file in card.files)
    more = f" and {words.number(card.more_files)} more" if card.more_files else ""
    return [f"  files   {told}{more}", f"          in {Path(card.files[0].path).parent}"]


def _wrapped(text: str, width: int) -> list[str]:
    if not text:
        return []
    lines = textwrap.wrap(text, width - 2, break_on_hyphens=False, max_lines=3, placeholder=" …")
    return [f"  {line}" for line in lines]


def error_lines(error: ErrorView, width: int) -> list[str]:
    """The error, then the reader's own frames with place and source in two columns."""
    lines = _wrapped(f"{error.name}: {error.message}" if error.message else error.name, width)
    places = [_place(frame.place, frame.function, frame.line) for frame in error.frames]
    column = min(40, max((words.cells(text) for text in places), default=0))
    for told, frame in zip(places, error.frames, strict=True):
        shown = words.cut(told, column)
        lines.append(f"    {shown}{' ' * (column - words.cells(shown))}   {frame.source.strip()}")
    if error.note:
        lines += _wrapped(words.phrase(error.note), width)
    return lines


def _place(place: str, function: str, line: int) -> str:
    return f"{place} {function}, line {line}" if function else f"{place}, line {line}"


def bar_lines(bars: tuple[Bar, ...], width: int) -> list[str]:
    """One line a bar: label, bar, done/total, percent, time left; the columns of all bars stand under each other."""
    if not bars:
        return []
    labels = min(20, max(10, *(words.cells(bar.label) for bar in bars)))
    done = max(len(words.number(bar.done)) for bar in bars)
    total = max(len(words.number(bar.total)) if bar.total is not None else 0 for bar in bars)
    room = max(10, width - labels - 2 - 2 - (done + 1 + total) - 2 - 3 - 8)
    lines = []
    for bar in bars:
        label = words.cut(bar.label, labels)
        label += " " * (labels - words.cells(label))
        of = f"{words.number(bar.done):>{done}}/{words.number(bar.total):<{total}}" if bar.total is not None else ""
        of = of or f"{words.number(bar.done):>{done}}{' ' * (total + 1)}"
        percent = f"{int(bar.share * 100)}%" if bar.total else words.NONE
        lines.append(
            f"{label}  {bar_cells(bar.share, room)}  {of}  {percent:>3}{bar.left:>{8 - max(0, len(percent) - 3)}}"
        )
    return lines


def bar_cells(share: float, width: int) -> str:
    """
    >>> bar_cells(0.5, 5)
    '██▌░░'
    """
    eighths = int(max(0.0, min(1.0, share)) * width * 8 + 1e-9)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + _EIGHTHS[rest]
    return drawn + "░" * (width - len(drawn))


def _pairs(card: RunCard) -> list[str]:
    if not card.metadata:
        return []
    told = "  ".join(f"{pair.key}={pair.value}" for pair in card.metadata)
    more = f"  {card.more_metadata} more" if card.more_metadata else ""
    return [f"  {told}{more}"]
