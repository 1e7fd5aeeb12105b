"""What a run wrote, line by line: the view and its two static faces.

Pure. `ui/logs_source.py` reads on while the run goes on, and the live face (widgets/logs.js) draws the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import LogLine, Run
from kernelkit.ui import html, words
from kernelkit.ui.text import WIDTH, to_ascii

LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error", "stdout": "out", "stderr": "err"}
"""The word for each level."""
SHOWN = 100  # lines of a static face
LINE_BYTES = 2000  # of a line on screen; the whole is in the download


class LogLineView(msgspec.Struct, frozen=True, array_like=True):
    """`key` grows from line to line; a line keeps its own."""

    key: int
    time: str
    level: str
    text: str


class LogView(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All but the lines, which go apart. `note` says what is not here."""

    run_id: str
    task: str
    status: str
    word: str
    count: int
    note: str = ""
    earlier: bool = False
    levels: tuple[tuple[str, str, bool], ...] = ()  # level, word, whether it is shown
    search: str = ""
    follow: bool = False
    empty: str = ""
    problem: str = ""
    as_of: datetime
    as_of_text: str
    zone: str


def log_view(
    run: Run,
    count: int,
    *,
    level: Sequence[str] = (),
    search: str = "",
    earlier: bool = False,
    dropped: int = 0,
    problem: str = "",
    now: datetime,
    zone: tzinfo,
) -> LogView:
    """The view of `count` lines of `run` that match; with no `level` those of every level do."""
    status = words.shown_status(run)
    asked = " and ".join([*(LEVELS[one] for one in level)])
    empty = "" if count else "This run has written nothing so far." if not run.is_completed else _NOTHING
    if not count and (asked or search):
        empty = f"No {asked + ' ' if asked else ''}line" + (f" contains “{words.clean(search)}”." if search else ".")
    return LogView(
        run_id=run.id,
        task=words.cut(words.clean(run.task_id), 120),
        status=status,
        word=words.STATUSES[status].word,
        count=count,
        note=f"{words.number(dropped)} lines in the middle were not kept" if dropped else "",
        earlier=earlier,
        levels=tuple((name, word, name in level) for name, word in LEVELS.items()),
        search=search,
        follow=not run.is_completed,
        empty=empty,
        problem=words.cut(words.clean(problem), 300),
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


_NOTHING = "This run has written nothing, or its log is no longer kept."


def line_view(key: int, line: LogLine, zone: tzinfo) -> LogLineView:
    """
    >>> from datetime import UTC
    >>> line_view(1, LogLine(datetime(2027, 1, 1, 9, tzinfo=UTC), "stdout", "hello"), UTC)
    LogLineView(key=1, time='09:00:00.000', level='out', text='hello')
    """
    text, is_cut = words.cut_block(words.clean(line.text), max_bytes=LINE_BYTES, max_lines=1)
    at = line.at.astimezone(zone)
    level = words.clean(LEVELS.get(line.level, line.level))[:5]
    return LogLineView(key, f"{at:%H:%M:%S}.{at.microsecond // 1000:03}", level, text + ("…" if is_cut else ""))


def whole_line(line: LogLine) -> str:
    """A line of the file that is downloaded: nothing is cut, and the moment is in UTC."""
    return f"{line.at:%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03}Z {line.level:<6} {words.clean(line.text)}\n"


def logs_text(view: LogView, lines: Sequence[LogLineView], *, width: int = WIDTH, ascii: bool = False) -> str:
    """The last lines, a line each; how many there are, last."""
    shown = [words.cut(f"{line.time[:8]} {line.level:<5}  {line.text}", max(60, width)) for line in lines[-SHOWN:]]
    told = "\n".join([*shown, view.empty or f"({_caption(view, len(shown))})"])
    return to_ascii(told) if ascii else told


def logs_html(view: LogView, lines: Sequence[LogLineView]) -> str:
    """A sentence, then the last lines."""
    head = f"<p>Log of {html.esc(view.task)}, {html.code(view.run_id)}: {html.esc(view.word.lower())}"
    if view.empty:
        return f"{head}. {html.esc(view.empty)}</p>"
    when = f", as of {view.as_of_text} ({view.zone})"
    text = "\n".join(f"{line.time[:8]} {line.level:<5}  {line.text}" for line in lines[-SHOWN:])
    return f"{head}; {html.esc(_caption(view, min(len(lines), SHOWN)) + when)}.</p>\n<pre>{html.esc(text)}</pre>"


def _caption(view: LogView, shown: int) -> str:
    count = (
        f"the last {words.number(shown)} lines"
        if view.earlier or shown < view.count
        else f"{words.number(shown)} lines"
    )
    if shown == 1:
        count = "the last line" if view.earlier else "1 line"
    return count + (f"; {view.note}" if view.note else "")
