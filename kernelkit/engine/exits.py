"""The end of a worker's process in plain words. Pure.

What a newcomer would get wrong: a crash in C code is told by Python's faulthandler, whose lists of calls begin with the
latest and hold every thread; the person's lines are in the middle of the text, and its end says nothing.
"""

from __future__ import annotations

import re
import signal

from kernelkit.engine.attempts import lost_worker_error
from kernelkit.engine.commands import WorkerEnded
from kernelkit.errors import OutOfMemoryError
from kernelkit.models.error import Error
from kernelkit.wire.messages import WorkerExited

_WORDS = {
    signal.SIGKILL: "It was killed from outside (signal 9), for instance by a person or because memory ran out",
    signal.SIGSEGV: "It crashed with a segmentation fault (signal 11), in C code such as an extension module",
    signal.SIGABRT: "It aborted (signal 6), in C code such as an extension module",
    signal.SIGBUS: "It crashed with a bus error (signal 7), for instance a memory-mapped file that shrank",
    signal.SIGTERM: "It was asked to end from outside (signal 15)",
}
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM}
_LINES = 12
_CHARACTERS = 1_500

_FATAL = "Fatal Python error"
_NOT_THEIRS = re.compile(
    r'^  File "(<frozen |.*/kernelkit/(authoring|client|execution|wire)/|.*/lib/python3[^/]*/('
    r"(asyncio|concurrent/futures)/|(threading|runpy)\.py))"
)


def ended_worker(
    exited: WorkerExited,
    *,
    killed_for: str = "",
    undelivered: frozenset[str] = frozenset(),
    unbegun: frozenset[str] = frozenset(),
    began: bool = True,
    sharing: int = 1,
) -> WorkerEnded:
    """What the attempts of a worker that ended so are told.

    `killed_for` says why, where the engine itself had it killed; `undelivered` are the runs whose attempts it was never
    sent, `unbegun` those whose code it had not begun, and `sharing` says how many other attempts it had.
    """
    if exited.out_of_memory and sharing == 1:
        how = "held more memory than it may, and KernelKit ended it" if exited.killed else _how_short_of_memory(exited)
        error = Error(
            name=OutOfMemoryError.__name__,
            message=f"The worker process of this attempt, with those it had started, {how}",
            code=OutOfMemoryError.code,
        )
        return WorkerEnded(
            exited.worker_id,
            error,
            out_of_memory=True,
            peak_memory=exited.peak_memory,
            undelivered=undelivered,
            unbegun=unbegun,
            began=began,
        )
    words = f"The worker process of this attempt ended before the attempt did. {_how(exited, killed_for)}."
    if sharing > 1 and not exited.killed and exited.returncode not in _FROM_OUTSIDE:
        words += f" {sharing} runs shared this process, and one of them ended it."
    if not exited.killed and (last := last_words(exited.stderr_tail)):
        words += f" Its last words on stderr: {last}"
    return WorkerEnded(
        exited.worker_id,
        lost_worker_error(words),
        peak_memory=exited.peak_memory,
        undelivered=undelivered,
        unbegun=unbegun,
        began=began,
    )


def _how_short_of_memory(exited: WorkerExited) -> str:
    if exited.returncode == -signal.SIGKILL:
        return "was killed by the system (signal 9), which does so when memory runs out"
    return "could not get the memory that its code asked for, and ended itself"


def _how(exited: WorkerExited, killed_for: str) -> str:
    if exited.killed:
        return f"KernelKit killed it because {killed_for}" if killed_for else "KernelKit killed it"
    code = exited.returncode
    if code < 0:
        try:
            return _WORDS.get(signal.Signals(-code), f"It was ended by signal {-code} ({signal.Signals(-code).name})")
        except ValueError:
            return f"It was ended by signal {-code}"
    return f"It exited with code {code}, for instance by os._exit({code})"


def last_words(stderr: str) -> str:
    """What helps of the end of a process's stderr: whole lines, and of a crash in C code the person's own calls."""
    place = stderr.find(_FATAL)
    if place >= 0:
        return _of_crash(stderr[place:].splitlines())
    lines = stderr.strip().splitlines()[-_LINES:]
    while len(lines) > 1 and sum(map(len, lines)) > _CHARACTERS:
        del lines[0]
    return "\n".join(line if len(line) <= _CHARACTERS else "…" + line[-_CHARACTERS:] for line in lines)


def _of_crash(lines: list[str]) -> str:
    """Faulthandler's first line, and the calls of the thread that crashed."""
    told = lines[:1]
    start = next((place for place, line in enumerate(lines) if line.startswith("Current thread ")), len(lines))
    for line in lines[start + 1 :]:
        if not line.startswith("  File "):
            break
        if not _NOT_THEIRS.match(line):
            told.append(line)
    if len(told) > 1:
        told[1:1] = ["Calls, the latest first:"]
    return "\n".join(told if len(told) <= _LINES else [*told[: _LINES - 1], "  …"])
