"""The end of the engine's own log, read from its file: it can be seen when no engine answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

_READ_BYTES = 256_000


class EngineLog(Sequence[str]):
    """The last lines of an engine's log, oldest first; shown as text.

    >>> print(EngineLog(Path("engine.log"), ["12:00 started", "12:01 stopped"]))
    12:00 started
    12:01 stopped
    (the whole log is engine.log)
    """

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self.path = path
        self._lines = tuple(lines)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        if not self._lines:
            return f"There is no engine log yet; it will be {self.path}."
        return "\n".join([*self._lines, f"(the whole log is {self.path})"])


def last_lines(path: Path, count: int) -> EngineLog:
    """The last `count` lines of a log, fewer where they are long; none when there is no file."""
    try:
        with path.open("rb") as file:
            start = max(0, path.stat().st_size - _READ_BYTES)
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return EngineLog(path, ())
    whole = lines[1:] if start else lines  # the first may have begun before
    return EngineLog(path, whole[-count:] if count > 0 else ())
