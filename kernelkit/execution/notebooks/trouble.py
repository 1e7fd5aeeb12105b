"""What went wrong in a notebook, as errors that name the cell and keep the traceback the notebook shows.

Three that a person can tell apart: a cell raised, the kernel died, a cell took too long. What raised in the kernel is
known by name only; two names mean to a run what they mean in any task: `AbortTaskRunError` and those of memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kernelkit.errors import (
    AbortTaskRunError,
    KernelKitError,
    NotebookCellError,
    NotebookKernelError,
    NotebookTimeoutError,
    OutOfMemoryError,
)
from kernelkit.execution.failure import is_own
from kernelkit.execution.notebooks.job import first_line
from kernelkit.execution.notebooks.progress import plain
from kernelkit.models.error import Frame

_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "_ArrayMemoryError", "ArrayMemoryError")
_IN_CELL = re.compile(r"^Cell In\[(?P<number>\d+)\], line (?P<line>\d+)(?:, in (?P<function>[^(\s]+))?")
_IN_FILE = re.compile(r"^File (?P<file>\S.*):(?P<line>\d+), in (?P<function>[^(\s]+)")
MAX_TEXT = 20_000
MAX_FRAMES = 50


def cell_raised(
    name: str, number: int, cell: Mapping[str, Any], reply: Mapping[str, Any], sources: Mapping[int, str]
) -> KernelKitError:
    """A cell's own error; `sources` are the cells' texts by number, for the lines of its traceback."""
    ename, evalue = str(reply.get("ename") or "an error"), plain(str(reply.get("evalue") or ""))
    text = plain("\n".join(reply.get("traceback") or ()))
    error = NotebookCellError(
        f"{where(name, number, cell)} raised {ename}{': ' if evalue else ''}{evalue}",
        cell=number,
        line=first_line(dict(cell)),
        ename=ename,
        evalue=evalue,
        traceback=text if len(text) <= MAX_TEXT else "…\n" + text[-MAX_TEXT:],
        frames=[msgspec.to_builtins(frame) for frame in _frames(name, text, sources)],
    )
    if ename == AbortTaskRunError.__name__:
        return _as(AbortTaskRunError(evalue), error)
    if ename in _OUT_OF_MEMORY:
        return _as(OutOfMemoryError(error.message), error)
    return error


def kernel_died(name: str, number: int, cell: Mapping[str, Any], how: str, wrote: str) -> NotebookKernelError:
    return NotebookKernelError(
        f"The kernel died in {where(name, number, cell)}: {how}.{wrote}", cell=number, line=first_line(dict(cell))
    )


def took_too_long(name: str, number: int, cell: Mapping[str, Any], seconds: float) -> NotebookTimeoutError:
    return NotebookTimeoutError(
        f"{where(name, number, cell)} was interrupted: it took longer than cell_timeout, {seconds:g} s.",
        cell=number,
        line=first_line(dict(cell)),
        seconds=seconds,
    )


def where(name: str, number: int, cell: Mapping[str, Any]) -> str:
    """A cell in words.

    >>> where("daily.ipynb", 3, {"source": "df = load()"})
    'Cell [3] of daily.ipynb (df = load())'
    """
    return f"Cell [{number}] of {name} ({first_line(dict(cell))})"


def _as(error: KernelKitError, cause: NotebookCellError) -> KernelKitError:
    error.__cause__ = cause
    return error


def _frames(name: str, text: str, sources: Mapping[int, str]) -> list[Frame]:
    found = []
    for line in text.splitlines():
        if (cell := _IN_CELL.match(line)) is not None:
            number = int(cell["number"])
            file, source = f"<cell [{number}] of {name}>", sources.get(number, "").splitlines()
            found.append(_frame(file, int(cell["line"]), cell["function"] or "<module>", source, own=True))
        elif (place := _IN_FILE.match(line)) is not None:
            file = os.path.expanduser(place["file"])
            found.append(_frame(file, int(place["line"]), place["function"], [], own=is_own(file)))
    return found[-MAX_FRAMES:]


def _frame(file: str, line: int, function: str, source: list[str], *, own: bool) -> Frame:
    def at(number: int) -> str:
        return source[number - 1][:1_000] if 1 <= number <= len(source) else ""

    return Frame(file, line, function, source=at(line), own=own, before=at(line - 1), after=at(line + 1))
