"""The executed notebook on disk: written anew after every cell, so that a reader always finds a whole one.

A cell's JSON is made once, when it has ended; writing after each of two hundred cells costs what is new, and a join.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kernelkit.authoring.artifacts import write_artifact


class Record:
    """Writes `notebook` (a nbformat NotebookNode) as `name` into a run's folder."""

    def __init__(self, notebook: Any, folder: Path, name: str) -> None:
        self._notebook = notebook
        self.folder = folder
        self.name = name
        self._texts = [_text(cell) for cell in notebook.cells]

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def cell_ended(self, index: int) -> None:
        """Write with the cell at that place as it is now."""
        self._texts[index] = _text(self._notebook.cells[index])
        self.write()

    def all_ended(self) -> None:
        """Write with every cell as it is now: one may have changed an earlier one's display."""
        self._texts = [_text(cell) for cell in self._notebook.cells]
        self.write()

    def write(self) -> None:
        around = {key: value for key, value in self._notebook.items() if key != "cells"}
        head = _text(around)[1:]
        data = '{"cells": [\n' + ",\n".join(self._texts) + "\n],\n" + head + "\n"
        write_artifact(self.folder, self.name, data.encode("utf-8", "surrogatepass"))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
