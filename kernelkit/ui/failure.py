"""What went wrong in a run, as its card shows it: the error, the reader's own lines of the traceback, earlier attempts.

Of the frames only a person's own are shown, those of libraries are counted; the whole text stays behind a click.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from kernelkit.models.error import Error, Frame
from kernelkit.models.run import Attempt, Run, RunStatus
from kernelkit.ui import words

MAX_FRAMES = 6
TRACEBACK_CHARACTERS = 4000  # of its end


class FrameView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the reader's own code in a traceback, with its neighbours where they are known."""

    place: str
    function: str
    line: int
    source: str
    before: str = ""
    after: str = ""


class ErrorView(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    message: str
    frames: tuple[FrameView, ...] = ()
    frame_count: int = 0  # of the whole traceback
    traceback: str = ""
    note: str = ""


def error_view(run: Run) -> ErrorView | None:
    """The error that ended `run`, None for one that goes on or ended otherwise."""
    failed = last_failed(run)
    error = run.error or (failed.error if failed else None)
    if error is None or not run.is_completed or run.status in (RunStatus.COMPLETED, RunStatus.CANCELED):
        return None
    own = [frame for frame in error.frames if frame.own][-MAX_FRAMES:]
    tail = words.clean_block(error.traceback).strip()
    return ErrorView(
        name=words.line(error.name, 200),
        message=words.line(error.message),
        frames=tuple(_frame(frame) for frame in own),
        frame_count=len(error.frames),
        traceback="…" + tail[-TRACEBACK_CHARACTERS:] if len(tail) > TRACEBACK_CHARACTERS else tail,
        note=_alike(run, error),
    )


def _frame(frame: Frame) -> FrameView:
    return FrameView(
        place=words.cut_line(place(frame.file), 200),
        function="" if frame.function == "<module>" else words.line(frame.function, 80),
        line=frame.line,
        source=_code(frame.source),
        before=_code(frame.before),
        after=_code(frame.after),
    )


def _code(text: str) -> str:
    return words.line(text.rstrip(), 300)


def place(file: str) -> str:
    """A traceback's file as a reader knows it: a cell by its name, a file from the working directory or the home
    folder.

    >>> place("<cell [12] of churn.ipynb>")
    'cell [12] of churn.ipynb'
    """
    file = words.clean(file)
    if file.startswith("<") and file.endswith(">"):
        return file[1:-1]
    path = Path(file)
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_absolute() and path.is_relative_to(base):
            return prefix + path.relative_to(base).as_posix()
    return file


def _alike(run: Run, error: Error) -> str:
    """How the attempts before the last one failed."""
    earlier = [attempt for attempt in run.attempts[:-1] if attempt.error is not None]
    if not earlier:
        return ""
    same = [attempt.number for attempt in earlier if str(attempt.error) == str(error)]
    if len(same) == len(earlier):
        named = "Attempt 1" if same == [1] else f"Attempts {_listed(same)}"
        return f"{named} failed with the same error"
    last = earlier[-1]
    return words.cut_line(f"Attempt {last.number} failed with {words.clean(str(last.error))}", 300)


def _listed(numbers: list[int]) -> str:
    if len(numbers) > 4:
        return f"{numbers[0]} to {numbers[-1]}"
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def last_failed(run: Run) -> Attempt | None:
    """The latest attempt that is over and has an error."""
    return next((a for a in reversed(run.attempts) if a.error is not None and a.status != "EXECUTING"), None)
