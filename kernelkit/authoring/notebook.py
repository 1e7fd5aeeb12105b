"""What can be known of the notebook around this process: cell numbers, where a name was assigned, the session's name.

Everything here is best effort and says None where it cannot know. IPython is never imported: a process without it
has no notebook.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from typing import Any

_CELL_FILE = re.compile(r"^<Cell (\[(?P<number>\d+)\]|of .*)>$")


def shell() -> Any:  # an InteractiveShell; its package is optional here
    """The running IPython shell, or None."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def session_name() -> str | None:
    """The notebook's path as Jupyter knows it, or None outside of a Jupyter session."""
    name = os.environ.get("JPY_SESSION_NAME")
    return name if name and shell() is not None else None


def cell_file(name: str, number: int | None) -> str:
    """The file name of the cell that defines the task `name`: tracebacks and screens add the function's name to it.

    >>> cell_file("resize", 8)
    '<Cell [8]>'
    """
    return f"<Cell [{number}]>" if number else f"<Cell of {name}>"


def is_cell_file(file: str) -> bool:
    """Whether `file` names a cell, as the kernel or KernelKit compiled it, rather than a file on disk."""
    return bool(_CELL_FILE.match(file)) or f"{os.sep}ipykernel_" in file or file.startswith("<ipython-input-")


def shown_file(file: str) -> str:
    """How `file` is called in a worker: cells of the kernel (`/tmp/ipykernel_4711/2345.py`) become `<Cell [5]>`."""
    if not is_cell_file(file) or _CELL_FILE.match(file):
        return file
    number = cell_number(file)
    return f"<Cell [{number}]>" if number else file


def cell_number(file: str) -> int | None:
    """The `[n]` of the cell that was compiled under `file`."""
    ours = _CELL_FILE.match(file)
    if ours:
        return int(ours["number"]) if ours["number"] else None
    numbers: dict[str, int] = getattr(getattr(shell(), "compile", None), "_filename_map", {})
    return numbers.get(file) or None


def running_cell() -> int | None:
    """The number of the cell that is being run, seen from below it: found by its file on the stack."""
    numbers: dict[str, int] = getattr(getattr(shell(), "compile", None), "_filename_map", {})
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_filename in numbers:
            return numbers[frame.f_code.co_filename] or None
    return None


def cell_assigning(name: str) -> int | None:
    """The number of the latest cell that assigns, imports or defines `name` at its top level."""
    cells: list[str] = getattr(shell(), "user_ns", {}).get("In", [])
    for number in range(len(cells) - 1, 0, -1):
        if name in cells[number] and name in _assigned(cells[number]):
            return number
    return None


def _assigned(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
                continue
            case ast.Lambda():
                continue
            case ast.alias():
                found.add((node.asname or node.name).partition(".")[0])
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def kernel_file() -> str | None:
    """The kernel's connection file, or None outside of a Jupyter kernel."""
    application = getattr(shell(), "parent", None)
    kernel = getattr(application, "parent", application)
    found = getattr(kernel, "connection_file", None) or getattr(application, "connection_file", None)
    return found if isinstance(found, str) and found else None
