"""Turns an exception of a task's code into the `Error` that is kept: words, traceback text, and frames.

Frames of KernelKit's own runner at the top are left out, so that a traceback begins with the person's first line.
Source lines come from `linecache`, which a bundle fills with the text of its notebook cells.
"""

from __future__ import annotations

import functools
import linecache
import os
import sysconfig
import traceback
from types import TracebackType

import msgspec

from kernelkit.errors import KernelKitError, NotebookError
from kernelkit.models.error import Error, Frame

MAX_MESSAGE = 1_000
MAX_LINE = 1_024
MAX_LINES = 500  # of a traceback: a message, a chain of causes or a group of errors may be as long as it likes
HEAD_FRAMES, TAIL_FRAMES = 5, 45

_RUNNER = {f"kernelkit.execution.{room}" for room in ("body", "lifecycle", "runner", "worker")}
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def describe(error: BaseException, *, name: str = "", message: str | None = None) -> Error:
    """The `Error` of an exception; `name` and `message` replace the exception's own.

    >>> describe(ValueError("no such row")).message
    'no such row'
    """
    told = _text_of(error) if message is None else message
    foreign = _foreign(error)
    if foreign is not None:
        text, frames = foreign
        return Error(name or type(error).__name__, _clean(told, MAX_MESSAGE), _code_of(error), text, frames)
    trace = _below_runner(error.__traceback__)
    return Error(
        name=name or type(error).__name__,
        message=_clean(told, MAX_MESSAGE),
        code=_code_of(error),
        traceback=_traceback_text(error, trace),
        frames=_frames(trace),
    )


def _code_of(error: BaseException) -> str:
    return error.code if isinstance(error, KernelKitError) else ""


def _foreign(error: BaseException) -> tuple[str, tuple[Frame, ...]] | None:
    """Traceback and frames of what happened in a notebook's kernel; ours say nothing of that."""
    for each in (error, error.__cause__):
        if isinstance(each, NotebookError):
            text = str(each.facts.get("traceback") or f"{type(each).__name__}: {each}")
            frames = tuple(msgspec.convert(each.facts.get("frames") or [], list[Frame]))
            return _bounded(text), frames
    return None


@functools.lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Whether a file, or a cell's name, is the reader's own: no library, not Python's, not KernelKit's."""
    if file.startswith("<frozen "):
        return False
    if "site-packages" in file or "dist-packages" in file:
        return False
    path = os.path.abspath(file)
    return not any(path.startswith(folder + os.sep) for folder in (*_python_folders(), _HERE))


@functools.cache
def _python_folders() -> tuple[str, ...]:
    return tuple({os.path.abspath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})


def _below_runner(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in _RUNNER:
        trace = trace.tb_next
    return trace


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # a person's own __str__ may raise anything
        return f"<its message cannot be shown: {type(broken).__name__}>"


def _clean(text: str, limit: int) -> str:
    text = text.replace("\0", "").encode("utf-8", "replace").decode()  # lone surrogates cannot travel
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _traceback_text(error: BaseException, trace: TracebackType | None) -> str:
    try:
        told = traceback.TracebackException(type(error), error, trace, compact=True)
        _shorten(told, set())
        text = "".join(told.format())
    except Exception as broken:  # traceback calls into the exception's own code, which may raise anything
        text = f"{type(error).__name__}: <its traceback cannot be shown: {type(broken).__name__}>"
    return _bounded(text)


def _bounded(text: str) -> str:
    """`text` with lines of bearable length and number; of too many, the first and the last ones."""
    lines = text.splitlines()
    left_out = len(lines) - MAX_LINES
    if left_out > 0:
        lines[MAX_LINES // 2 : -MAX_LINES // 2] = [f"… {left_out:,} lines left out …"]
    return "\n".join(_clean(line, MAX_LINE) for line in lines)


def _shorten(told: traceback.TracebackException, seen: set[int]) -> None:
    if id(told) in seen:
        return
    seen.add(id(told))
    left_out = len(told.stack) - HEAD_FRAMES - TAIL_FRAMES
    if left_out > 0:
        mark = traceback.FrameSummary(f"… {left_out} frames left out …", 0, "…", lookup_line=False, line="")
        told.stack[HEAD_FRAMES:-TAIL_FRAMES] = [mark]
    inner = getattr(told, "exceptions", None) or []
    for each in (told.__cause__, told.__context__, *inner):
        if each is not None:
            _shorten(each, seen)


def _frames(trace: TracebackType | None) -> tuple[Frame, ...]:
    found = []
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    if len(found) > HEAD_FRAMES + TAIL_FRAMES:
        found[HEAD_FRAMES:-TAIL_FRAMES] = []
    return tuple(_frame(each) for each in found)


def _frame(trace: TracebackType) -> Frame:
    code, line = trace.tb_frame.f_code, trace.tb_lineno
    own = is_own(code.co_filename)

    def source(number: int) -> str:
        return _clean(linecache.getline(code.co_filename, number, trace.tb_frame.f_globals).rstrip(), MAX_LINE)

    return Frame(
        file=_clean(code.co_filename, MAX_LINE),
        line=line,
        function=code.co_qualname,
        source=source(line),
        own=own,
        before=source(line - 1) if own and line > 1 else "",
        after=source(line + 1) if own else "",
    )
