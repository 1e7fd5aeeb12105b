"""What a notebook job's card says besides a run's: cells, the current one, what was shown last, parameters.

Read off the run's metadata (`execution/notebooks/progress.py` says its shape). It may have been written by hand, so
what does not fit is left out rather than refused. What a newcomer would get wrong: the metadata say where the job is,
and only the run's status whether that cell is executing, was interrupted, or failed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kernelkit.authoring.track import JOB_KEY
from kernelkit.clock import to_datetime
from kernelkit.ui import words

TOLD = frozenset({JOB_KEY, "cell", "output", "parameters"})  # metadata that this part shows in place of the pairs
PARAMETERS = 8
MOST_CELLS = 1_000_000
LATEST = 4_102_444_800_000_000  # the year 2100: no moment that a job has written
_STOPPED = {"CANCELED": "canceled in", "TIMED_OUT": "timed out in", "EXPIRED": "stopped in"}


class Parameter(msgspec.Struct, frozen=True):
    name: str
    value: str


class JobView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`cell` is the current one, or the one in which the job ended early; 0 when all have ended. `at` is its status."""

    file: str
    kernel: str
    cells: int
    done: int
    cell: int = 0
    at: str = ""
    told: str = ""  # of that cell: "executing cell 10", "failed in cell 12"
    source: str = ""
    since: datetime | None = None  # when the cell that executes began
    elapsed: str = ""  # how long that was at the moment of the view
    output: str = ""
    parameters: tuple[Parameter, ...] = ()
    more_parameters: int = 0

    @property
    def counted(self) -> str:
        """How many cells have ended, in words."""
        return f"{words.number(self.done)} of {words.number(self.cells)} cell{'' if self.cells == 1 else 's'}"


def job_view(metadata: dict[str, Any], status: str, *, now: datetime) -> JobView | None:
    """What the job of this metadata shows while the run stands so; None for a run that is none."""
    kept = metadata.get(JOB_KEY)
    if not isinstance(kept, dict):
        return None
    cells, cell, done = (_count(kept.get(name)) for name in ("cells", "cell", "done"))
    if cells is None or cell is None or done is None or not done <= cells or not cell <= cells:
        return None
    shown = JobView(_line(kept.get("file"), 80), _line(kept.get("kernel"), 60), cells, done)
    parameters = metadata.get("parameters")
    given = list(parameters.items()) if isinstance(parameters, dict) else []
    shown = msgspec.structs.replace(
        shown,
        output=_line(metadata.get("output"), 400),
        parameters=tuple(
            Parameter(_line(name, 60), _line(words.short_value(v), 400)) for name, v in given[:PARAMETERS]
        ),
        more_parameters=max(0, len(given) - PARAMETERS),
    )
    is_live = status == "EXECUTING"
    if is_live and not cell:
        return msgspec.structs.replace(shown, told="starting its kernel")
    if done == cells or status == "COMPLETED" or not cell:
        return shown
    since = _moment(kept.get("since")) if is_live else None
    told = "executing" if is_live else _STOPPED.get(status, "failed in" if status in words.FAILURES else "stopped in")
    return msgspec.structs.replace(
        shown,
        cell=cell,
        at=status if is_live or status in words.FAILURES or status == "CANCELED" else "FAILED",
        told=f"{told} cell {cell}",
        source=_source(kept.get("source")),
        since=since,
        elapsed="" if since is None else words.ticking((now - since).total_seconds()),
    )


def _source(text: object) -> str:
    return words.cut_block(words.clean_block(text), max_bytes=700, max_lines=3)[0] if isinstance(text, str) else ""


def _line(text: object, limit: int) -> str:
    if not isinstance(text, str):
        return ""
    shown, is_cut = words.cut_block(words.clean(text), max_bytes=limit, max_lines=1)
    return shown + "…" if is_cut else shown


def _count(number: object) -> int | None:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST_CELLS:
        return None
    return number


def _moment(micros: object) -> datetime | None:
    if isinstance(micros, bool) or not isinstance(micros, int) or not 0 <= micros < LATEST:
        return None
    return to_datetime(micros)
