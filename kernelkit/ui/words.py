"""The words, signs and figures that every face uses, so that no two of them say the same thing differently.

Pure: moments come in aware, `now` and the zone are handed in. Text that a task, a payload or a log line brought goes
through `clean` before any face draws it: terminal escapes and direction marks are taken out there, once.
"""

from __future__ import annotations

import json
import math
import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from kernelkit.models.run import Run, RunStatus

Family = Literal["grey", "blue", "violet", "amber", "green", "red"]
RETRYING = "RETRYING"
NONE = "–"


@dataclass(frozen=True)
class Status:
    """How one status is told: word, one-cell sign, the sign where the encoding lacks it, family of colours."""

    word: str
    sign: str
    ascii: str
    family: Family


STATUSES: dict[str, Status] = {
    "DELAYED": Status("Delayed", "◷", "z", "grey"),
    "QUEUED": Status("Queued", "○", "o", "grey"),
    "PENDING_VERSION": Status("Pending version", "◌", "?", "grey"),
    "DEQUEUED": Status("Dequeued", "◉", "@", "blue"),
    "EXECUTING": Status("Executing", "▶", ">", "blue"),
    "WAITING": Status("Waiting", "‖", "=", "violet"),
    RETRYING: Status("Retrying", "↻", "r", "amber"),
    "COMPLETED": Status("Completed", "✓", "ok", "green"),
    "FAILED": Status("Failed", "✗", "x", "red"),
    "CRASHED": Status("Crashed", "◆", "!", "red"),
    "SYSTEM_FAILURE": Status("System failure", "▲", "!!", "red"),
    "TIMED_OUT": Status("Timed out", "✗", "x t", "red"),
    "CANCELED": Status("Canceled", "–", "-", "grey"),
    "EXPIRED": Status("Expired", "⊘", "e", "grey"),
}
GROUP_ORDER = ("EXECUTING", RETRYING, "WAITING", "DEQUEUED", "QUEUED", "DELAYED", "PENDING_VERSION")
FAILURES = ("FAILED", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT")
COUNT_ORDER = (
    "COMPLETED",
    *FAILURES,
    "EXECUTING",
    RETRYING,
    "WAITING",
    "DEQUEUED",
    "QUEUED",
    "DELAYED",
    "PENDING_VERSION",
    "CANCELED",
    "EXPIRED",
)


def shown_status(run: Run) -> str:
    """The run's status, or RETRYING while it has failed an attempt and has a moment for the next."""
    between = run.retry_at is not None and not (run.attempts and run.attempts[-1].status == "EXECUTING")
    if between and run.status in (RunStatus.EXECUTING, RunStatus.QUEUED, RunStatus.DELAYED):
        return RETRYING
    return run.status.value


def clock(run: Run, now: datetime) -> str:
    """How long the run has been going on since its first start, or went on; a dash where it has not started."""
    if run.duration is not None:
        return ended(run.duration)
    if run.started_at is not None and not run.is_completed:
        return ticking((now - run.started_at).total_seconds())
    return NONE


def group_status(counts: dict[str, int]) -> str:
    """The one status that stands for many runs, counted by shown status.

    >>> group_status({"COMPLETED": 8, "FAILED": 1}), group_status({"COMPLETED": 8, "WAITING": 1})
    ('FAILED', 'WAITING')
    """
    for status in (*GROUP_ORDER, *FAILURES, "CANCELED", "EXPIRED"):
        if counts.get(status):
            return status
    return "COMPLETED"


def count_words(counts: dict[str, int]) -> list[tuple[str, str]]:
    """`(status, "149 completed")` for each status that occurs, in the order they are always told."""
    told = [(status, counts.get(status, 0)) for status in COUNT_ORDER]
    return [(status, f"{number(n)} {STATUSES[status].word.lower()}") for status, n in told if n]


# ---- time --------------------------------------------------------------------------------------------------------


def ticking(seconds: float) -> str:
    """A duration that ticks, or an ended one of a second or more.

    >>> ticking(134), ticking(3661), ticking(151200)
    ('02:14', '1:01:01', '1 d 18 h')
    """
    whole = max(0, int(seconds))
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600:02d} h"
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60:02d}:{whole % 60:02d}"


def ended(duration: timedelta) -> str:
    """
    >>> ended(timedelta(milliseconds=420)), ended(timedelta(seconds=67))
    ('420 ms', '01:07')
    """
    seconds = max(0.0, duration.total_seconds())
    return f"{round(seconds * 1000)} ms" if seconds < 0.9995 else ticking(seconds)


def lasted(seconds: float) -> str:
    """How long a part of something took, as precisely as one wants to know.

    >>> lasted(0.42), lasted(8.2), lasted(74)
    ('420 ms', '8.2 s', '01:14')
    """
    if seconds < 0.9995:
        return f"{round(max(0.0, seconds) * 1000)} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else ticking(seconds)


def countdown(seconds: float) -> str:
    """
    >>> countdown(9), countdown(2772), countdown(151200)
    ('0:09', '46:12', '1 d 18 h')
    """
    whole = max(0, math.ceil(seconds))
    return f"{whole // 60}:{whole % 60:02d}" if whole < 3600 else ticking(whole)


def spelled(duration: timedelta) -> str:
    """A duration in a sentence of the static face.

    >>> spelled(timedelta(seconds=531)), spelled(timedelta(seconds=4)), spelled(timedelta(hours=26))
    ('8 min 51 s', '4 s', '1 d 2 h')
    """
    seconds = max(0.0, duration.total_seconds())
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def moment(at: datetime, now: datetime, zone: tzinfo) -> str:
    """`14:31:07` today, `Fri 15:04` within a week, else `12 Nov 15:04`, with the year when it is another one."""
    at, now = at.astimezone(zone), now.astimezone(zone)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    if abs((at.date() - now.date()).days) < 7:
        return f"{_DAYS[at.weekday()]} {at:%H:%M}"
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {_MONTHS[at.month - 1]}{year} {at:%H:%M}"


def full_moment(at: datetime, zone: tzinfo) -> str:
    """`Sat 21 Nov 2026, 14:31:07`: true tomorrow as well."""
    at = at.astimezone(zone)
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M:%S}"


def span(start: datetime, end: datetime, zone: tzinfo) -> str:
    """`Sat 21 Nov 2026, 14:31:07 to 14:39:58 (Europe/Berlin)`."""
    same_day = start.astimezone(zone).date() == end.astimezone(zone).date()
    to = f"{end.astimezone(zone):%H:%M:%S}" if same_day else full_moment(end, zone)
    return f"{full_moment(start, zone)} to {to} ({zone_name(zone, end)})"


def zone_name(zone: tzinfo, at: datetime) -> str:
    """`Europe/Berlin` where the zone has a name, else its abbreviation or offset then."""
    return getattr(zone, "key", None) or zone.tzname(at.astimezone(zone)) or "UTC"


def local_zone() -> tzinfo:
    """This machine's zone, by name where one can be found."""
    named = os.environ.get("TZ", "").lstrip(":")
    link = Path("/etc/localtime")
    if not named and link.is_symlink():
        named = str(link.resolve()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(named) if named else _offset()
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return _offset()
    except KeyError:
        return _offset()


def _offset() -> tzinfo:
    return datetime.now(UTC).astimezone().tzinfo or UTC


# ---- numbers, bytes, values --------------------------------------------------------------------------------------


def number(value: float) -> str:
    """
    >>> number(2911004), number(0.29), number(1234.5)
    ('2,911,004', '0.29', '1,234.5')
    """
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**18 else f"{value:.6g}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.6g}"
    whole, dot, rest = f"{value:,.6f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}{dot}{rest}" if rest else whole


def size(count: int) -> str:
    """
    >>> size(214), size(412_000_000), size(2_000_000_000)
    ('214 B', '412 MB', '2 GB')
    """
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 999.5:
            return (
                f"{amount:.0f} {unit}"
                if unit == "B" or amount >= 10
                else f"{amount:.1f}".removesuffix(".0") + f" {unit}"
            )
        amount /= 1000
    return (f"{amount:.1f}".removesuffix(".0") if amount < 10 else f"{amount:,.0f}") + " GB"


def short_value(value: Any) -> str:  # any JSON value
    """One metadata value on one line: text as it is, numbers with commas, the rest as JSON."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return clean(value) if isinstance(value, str) else clean(json.dumps(value, ensure_ascii=False))


def fitted_json(value: Any, columns: int = 88, indent: int = 0) -> str:  # any JSON value
    """JSON that breaks a container over lines only where it does not fit.

    >>> print(fitted_json({"n": 1, "words": ["one", "two"]}, columns=24))
    {
      "n": 1,
      "words": ["one", "two"]
    }
    """
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= columns or not isinstance(value, dict | list) or not value:
        return flat
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        items = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {fitted_json(item, columns, indent + 2)}"
            for key, item in value.items()
        ]
    else:
        items = [pad + fitted_json(item, columns, indent + 2) for item in value]
    left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return f"{left}\n" + ",\n".join(items) + f"\n{' ' * indent}{right}"


# ---- text from elsewhere -----------------------------------------------------------------------------------------

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[\x1b\x9b][\[\]()#;?]*(?:\d{1,4}(?:[;:]\d{0,4})*)?[\dA-PR-TZcf-ntqry=><~]"  # CSI: colours, cursor
    r"|\x1b."
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_LONE = re.compile("[\ud800-\udfff]")
_LONGEST = 100_000  # characters: views show 2 kB at most, and to clean a megabyte takes longer than to draw a card


def clean_block(text: str) -> str:
    """Text of several lines without terminal escapes, controls, direction marks and lone surrogates; its first 100,000.

    >>> clean_block("\\x1b[31mred\\x1b[0m\\r\\nnext\\u202e")
    'red\\nnext'
    """
    text = _ESCAPES.sub("", text[:_LONGEST]).replace("\r\n", "\n").expandtabs(4)
    return _LONE.sub("�", _CONTROLS.sub("", text))


def clean(text: str) -> str:
    """`clean_block`, on one line. Of a line rewritten by carriage returns (progress bars do) the last state stays.

    >>> clean("10%\\r20%"), clean("two\\nlines")
    ('20%', 'two lines')
    """
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    return " ".join(clean_block(text).split("\n"))


def cells(text: str) -> int:
    """Terminal cells that `text` takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int, mark: str = "…") -> str:
    """
    >>> cut("handbook", 5), cut("short", 5)
    ('hand…', 'short')
    """
    if cells(text) <= width:
        return text
    room, kept = max(0, width - len(mark)), []
    for char in text:
        room -= cells(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + mark


def cut_block(text: str, *, max_bytes: int = 2000, max_lines: int = 8) -> tuple[str, bool]:
    """The first lines of `text` within both limits, and whether anything was left out."""
    lines = text.split("\n")
    kept = "\n".join(lines[:max_lines])
    raw = kept.encode("utf-8", "replace")
    if len(raw) > max_bytes:
        kept = raw[:max_bytes].decode("utf-8", "ignore")
    return kept, kept != text


def cut_line(text: str, max_bytes: int = 2000) -> str:
    """The first line of `text` within the limit, with an ellipsis where anything was left out.

    >>> cut_line("one\\ntwo"), cut_line("handbook", 4)
    ('one…', 'hand…')
    """
    shown, is_cut = cut_block(text, max_bytes=max_bytes, max_lines=1)
    return shown + "…" if is_cut else shown


def line(text: str, max_bytes: int = 2000) -> str:
    """`clean`, and cut."""
    return cut_line(clean(text), max_bytes)


def name(text: str | None) -> str:
    """A name of the person's choosing: a task's, a queue's, a worker's."""
    return line(text or "", 200)


def sentence(text: str) -> str:
    """`text` with a capital first letter and a full stop, as it stands on a card.

    >>> sentence("queue images: 4 of 4 running")
    'Queue images: 4 of 4 running.'
    """
    text = clean(text).strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def phrase(text: str) -> str:
    """The same as it stands after an indent in the text face: small first letter, no full stop."""
    text = clean(text).strip().removesuffix(".")
    keep = len(text) < 2 or text[1].isupper()
    return text if keep else text[:1].lower() + text[1:]
