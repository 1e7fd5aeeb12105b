"""Runs what a notebook defines, in an IPython shell without a kernel: imports, constants, functions, `%%task` cells.

Cells are numbered from the top, code cells alone, since a notebook that is not open has no other numbers.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from kernelkit.errors import KernelKitError
from kernelkit.magics import extension
from kernelkit.magics.defining import RUN_TAG, SKIP_TAG, OnlyDefinitions


def run_definitions(path: Path, problems: list[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """The notebook's names, and those that cells assign which were left out, each with its cell.

    What cannot be read or raises is appended to `problems`; the cells below it are run all the same.
    """
    try:
        cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]  # nbformat has none
    except Exception as error:  # nbformat raises what it likes of what is no notebook
        problems.append(f"{path.name}: it cannot be read as a notebook: {error}")
        return {}, {}
    shell, only = _shell()
    number = 0
    for cell in cells:
        if cell.cell_type != "code":
            continue
        number += 1
        tags = cell.metadata.get("tags", [])
        if SKIP_TAG in tags or not cell.source.strip():
            continue
        shell.execution_count = number
        only.cell, only.everything = number, RUN_TAG in tags
        result = shell.run_cell(cell.source, store_history=True)
        raised = result.error_before_exec or result.error_in_exec
        if raised is not None:
            problems.append(_told(raised, f"{path.name} cell [{number}]"))
    return shell.user_ns, only.left_out


def _shell() -> tuple[Any, OnlyDefinitions]:
    config = Config()
    config.HistoryManager.enabled = False
    shell: Any = InteractiveShell.instance(config=config)
    # What magics show belongs to a notebook that is open.
    shell.display_pub = CapturingDisplayPublisher()  # type: ignore[no-untyped-call]  # IPython has no types here
    shell._showtraceback = lambda *_: None
    extension.load(shell)
    only = OnlyDefinitions()
    shell.ast_transformers.append(only)
    return shell, only


def _told(error: BaseException, where: str) -> str:
    if isinstance(error, KernelKitError):
        return f"{where}: {error}"
    if isinstance(error, SyntaxError):
        return f"{where}, line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.startswith("<ipython-input-")]
    at = f"{where}, line {lines[0]}" if lines else where
    return f"{at}: {type(error).__name__}: {error}"
