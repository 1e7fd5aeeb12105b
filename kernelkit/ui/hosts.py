"""What differs between hosts: Lab, Notebook, nbclient, a plain terminal. Every quirk stands here, with its reason.

Nothing here imports IPython: without it in the process there is no notebook to show anything in.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

Shell = Any  # IPython's InteractiveShell, which may be missing


def shell() -> Shell | None:
    """The running IPython shell, or None."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def is_kernel(running: Shell | None) -> bool:
    """Whether what is displayed goes to a front end that may draw widgets, rather than to a terminal."""
    return running is not None and getattr(running, "kernel", None) is not None


def executing_cell(running: Shell | None) -> tuple[str, str]:
    """The id of the cell that is being executed, and of this execution of it.

    JupyterLab sends `cellId` with each execution; nbclient and consoles send none, then the first is empty.
    """
    try:
        parent = running.get_parent()  # type: ignore[union-attr]  # None has no such method, which is caught
    except (AttributeError, LookupError):
        return "", ""
    header = parent.get("header") or {}
    cell = (parent.get("metadata") or {}).get("cellId")
    return (cell if isinstance(cell, str) else ""), str(header.get("msg_id", ""))


def is_looked_at(running: Shell | None) -> bool:
    """Whether somebody may be in front of what is displayed: a kernel whose front end names the cell.

    What never ends, such as a panel, is live only there: a notebook that runs by itself is to be read afterwards.
    """
    return is_kernel(running) and bool(executing_cell(running)[0])


def shell_where(is_shown: Callable[[Shell | None], bool]) -> Shell:
    """The running shell, if what is displayed live there is seen: `is_kernel`, or `is_looked_at` for what never ends.

    Raises NotImplementedError otherwise, which is IPython's way of being told to show the bundle.
    """
    running = shell()
    if not is_shown(running):
        raise NotImplementedError
    return running


def answer_while_busy(comm: Any) -> bool:  # comm.base_comm.BaseComm, or a kernel's own
    """Let messages of `comm` be handled while a cell runs; False where the host has no way, so that clicks wait.

    ipykernel 7 runs comm messages in subshells, but sends the reply to whatever shell last published on the comm,
    which is the main one that a cell keeps busy (ipykernel/comm/comm.py, `_reply_subshell_for`). Answering "the shell
    the front end asked for" undoes that. The method is private, so its presence and its parameters are checked; the
    handler then runs on another thread.
    """
    route = getattr(comm, "_reply_subshell_for", None)
    if not callable(route) or _major_version("ipykernel") != 7:
        return False
    if list(inspect.signature(route).parameters) != ["data", "default"]:
        return False
    kernel = getattr(sys.modules.get("ipykernel.kernelbase"), "Kernel", None)
    if (
        kernel is None
        or not kernel.initialized()
        or not getattr(kernel.instance(), "_supports_kernel_subshells", False)
    ):
        return False
    comm._reply_subshell_for = lambda data, default: default
    return True


def _major_version(package: str) -> int:
    version = getattr(sys.modules.get(package), "__version__", "")
    head = str(version).partition(".")[0]
    return int(head) if head.isdigit() else 0
