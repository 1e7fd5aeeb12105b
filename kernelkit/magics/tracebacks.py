"""Shows a refused call as the person's own lines and the reason, without the frames of KernelKit under them.

Only for our own errors, and only the frames below the person's last line: what led to the call stays. A shell with a
handler of its own for exceptions keeps that one.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from kernelkit.errors import KernelKitError
from kernelkit.execution.failure import is_own


def install(shell: Any) -> None:
    """Have `shell` show `KernelKitError` by `show`, unless it already has its own way."""
    if not shell.custom_exceptions:
        shell.set_custom_exc((KernelKitError,), show)


def uninstall(shell: Any) -> None:
    """Give the shell its own way back."""
    if shell.custom_exceptions == (KernelKitError,):
        shell.set_custom_exc((), None)


def show(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    """IPython's hook for exceptions: shows the error and gives its lines."""
    if hasattr(error, "_render_traceback_"):
        lines: list[str] = error._render_traceback_()
    else:
        error = error.with_traceback(without_ours(trace))
        error.__cause__, error.__suppress_context__ = None, True
        lines = shell.InteractiveTB.structured_traceback(kind, error, error.__traceback__, tb_offset=tb_offset)
    shell._showtraceback(kind, error, lines)
    return lines


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback up to the last frame in the person's own cells and files; all of it where there is none."""
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    last = max((at for at, one in enumerate(frames) if is_own(one.tb_frame.f_code.co_filename)), default=len(frames))
    made: TracebackType | None = None
    for one in reversed(frames[: last + 1]):
        made = TracebackType(made, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return made
