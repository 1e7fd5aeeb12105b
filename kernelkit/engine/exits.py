"""The end of a worker's process in plain words. Pure."""

from __future__ import annotations

import signal

from kernelkit.engine.attempts import lost_worker_error
from kernelkit.engine.commands import WorkerEnded
from kernelkit.wire.messages import WorkerExited

_WORDS = {
    signal.SIGKILL: "It was killed from outside (signal 9), for instance by a person or because memory ran out",
    signal.SIGSEGV: "It crashed with a segmentation fault (signal 11), in C code such as an extension module",
    signal.SIGABRT: "It aborted (signal 6), in C code such as an extension module",
    signal.SIGBUS: "It crashed with a bus error (signal 7), for instance a memory-mapped file that shrank",
    signal.SIGTERM: "It was asked to end from outside (signal 15)",
}


def ended_worker(
    exited: WorkerExited, *, blocked: bool, undelivered: frozenset[str] = frozenset(), began: bool = True
) -> WorkerEnded:
    """What the attempts of a worker that ended so are told.

    `blocked` says that the engine itself had it killed, for an attempt that did not stop when asked; `undelivered` are
    the runs whose attempts it was never sent.
    """
    words = f"The worker process of this attempt ended before the attempt did. {_how(exited, blocked)}."
    if exited.stderr_tail.strip() and not exited.killed:
        words += f" Its last words on stderr: {exited.stderr_tail.strip()[-600:]}"
    return WorkerEnded(
        exited.worker_id, lost_worker_error(words), peak_memory=exited.peak_memory, undelivered=undelivered, began=began
    )


def _how(exited: WorkerExited, blocked: bool) -> str:
    if exited.killed and blocked:
        return "KernelKit killed it because another attempt in the same process did not stop when it was canceled"
    if exited.killed:
        return "KernelKit killed it"
    code = exited.returncode
    if code < 0:
        try:
            return _WORDS.get(signal.Signals(-code), f"It was ended by signal {-code} ({signal.Signals(-code).name})")
        except ValueError:
            return f"It was ended by signal {-code}"
    return f"It exited with code {code}, for instance by os._exit({code})"
