"""Executes a tutorial as a person does who opens it and runs every cell: real kernel, engine and workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"


class Tutorial:
    """An executed notebook and the folder it worked in."""

    def __init__(self, notebook: nbformat.NotebookNode, folder: Path) -> None:
        self.notebook = notebook
        self.folder = folder

    def output(self, begins: str) -> str:
        """What the cell that begins so has printed or shown, as text; a cell that is not there is an error."""
        (cell,) = [one for one in self.notebook.cells if one.cell_type == "code" and one.source.startswith(begins)]
        return "".join(_text(output) for output in cell.outputs)

    def kernelkit(self, *words: str) -> str:
        """What the command line says of the tutorial's home."""
        return _kernelkit(self.folder, *words)


@contextmanager
def executed(name: str, folder: Path, env: Mapping[str, str]) -> Iterator[Tutorial]:
    """The notebook `name`, every cell executed in `folder` with an engine of its own, which is stopped at the end."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # it would warn that its ports on loopback are not encrypted
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
    try:
        client.execute(env={**env, "KERNELKIT_HOME": str(folder / ".kernelkit")})
        yield Tutorial(notebook, folder)
    finally:
        _kernelkit(folder, "down", "--now")


def _kernelkit(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "kernelkit", *words, "--home", str(folder / ".kernelkit")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _text(output: Any) -> str:  # a node of nbformat's, which has no types
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
