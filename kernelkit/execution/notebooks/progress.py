"""What a notebook job shows of itself while it runs: a bar of cells, the current one, its last output, its log.

`cell`, `output` and `parameters` are metadata of the run, so the card, `run.metadata` and SQL know them. Without a run
(the plain call of a job) nothing is shown. For the card alone there is one more, under the reserved key `kk.notebook`
(`JOB_KEY`), set when the job and each cell begin, and when the last has ended:

    {"file": "daily.ipynb", "kernel": "python3",
     "cell": 10, "cells": 18, "done": 9,   # the current cell (0: none yet), how many there are, how many have ended
     "source": "frame = load(region)",     # of the current cell, its first three lines
     "since": 1790000000000000}            # when that began, UTC microseconds
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from kernelkit.authoring.metadata import state_of
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.track import JOB_KEY, track

T = TypeVar("T")

SHOWN_EVERY_S = 0.1
LONGEST = 200
SOURCE_LINES = 3
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Progress:
    """Of one attempt."""

    def __init__(self, scope: Scope | None, *, file: str, kernel: str) -> None:
        self._scope = scope
        self._shown: dict[str, Any] = {"file": file, "kernel": kernel, "cell": 0, "cells": 0, "done": 0}
        self._next = 0.0
        self._output = ""

    def given(self, values: dict[str, Any]) -> None:
        """The parameters as the notebook gets them."""
        if self._scope is not None and values:
            shown: Any = msgspec.to_builtins(values, enc_hook=str)
            self._set("parameters", shown)

    def starts(self, cells: int) -> None:
        """An attempt begins; what an earlier one showed last is not of this one."""
        if self._scope is not None and self._scope.start.attempt > 1:
            self._set("output", "")
        self._show(cells=cells)

    def over(self, cells: list[T]) -> Iterable[T]:
        """Go through the cells, counting."""
        return track(cells, description="Cells") if self._scope is not None else cells

    def cell(self, number: int, total: int, line: str, source: str) -> None:
        self._flush()
        self._set("cell", f"{number} of {total}: {line}")
        self._show(cell=number, cells=total, done=number - 1, source=_first_lines(source))

    def all_ended(self) -> None:
        """Every cell has, and none failed."""
        self._show(done=self._shown["cells"])

    def output(self, output: dict[str, Any]) -> None:
        """An output has come: its text goes to the run's log, and its end to the card."""
        kind = output["output_type"]
        if kind == "stream" and self._scope is not None:
            self._scope.emit("stderr" if output["name"] == "stderr" else "stdout", plain(output["text"]))
        text = _shown(output)
        if text:
            self._output = text
            if time.monotonic() >= self._next:
                self._flush()

    def say(self, text: str) -> None:
        """A line of ours in the run's log."""
        if self._scope is not None:
            self._scope.emit("warn", text)

    def _show(self, **changed: Any) -> None:
        if self._scope is not None:
            self._shown |= {**changed, "since": self._scope.now()}
            self._set(JOB_KEY, dict(self._shown))

    def end(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._output:
            self._set("output", self._output)
            self._output = ""
        self._next = time.monotonic() + SHOWN_EVERY_S

    def _set(self, key: str, value: Any) -> None:
        if self._scope is not None:
            state_of(self._scope).change("set", key, value)


def _first_lines(source: str) -> str:
    lines = source.strip("\n").splitlines()
    more = " …" if len(lines) > SOURCE_LINES else ""
    return "\n".join(_cut(line.rstrip()) for line in lines[:SOURCE_LINES]) + more


def plain(text: str) -> str:
    """Text without a terminal's colours."""
    return _COLOURS.sub("", text)


def _shown(output: dict[str, Any]) -> str:
    """An output on one line."""
    match output["output_type"]:
        case "stream":
            lines = _lines(output["text"])
            return lines[-1] if lines else ""
        case "error":
            return _cut(f"{output['ename']}: {output['evalue']}")
        case _:
            data = output.get("data", {})
            pictures = [kind for kind in data if kind.startswith("image/")]
            lines = _lines(data.get("text/plain", ""))
            if pictures:
                return _cut(f"a picture ({pictures[0]})")
            return lines[0] if lines else ""


def _lines(text: str) -> list[str]:
    parts: Iterator[str] = (line.rpartition("\r")[2] for line in plain(text).splitlines())
    return [_cut(line.strip()) for line in parts if line.strip()]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
