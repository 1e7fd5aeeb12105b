"""`kk.logger`: log lines of a run, with fields. `print` and the `logging` module are captured as well.

Calls below the task's `log_level` (info, unless `kk.configure` or the task says) are left out; what is printed, and
what the `logging` module is told, is always kept. Outside a run the lines go to the logging module, as the logger
`kernelkit.task`; where nobody has set logging up they are written to stderr, from info on, so that a cell that is tried
out, or is part of a notebook job, shows them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kernelkit.authoring.scope import scope
from kernelkit.clock import MICROS

_outside = logging.getLogger("kernelkit.task")


def line_of(message: object, fields: dict[str, Any]) -> str:  # fields: whatever a person wants to see
    """The text of a line: the message, then the fields as `name=value`.

    >>> line_of("parsed", {"rows": 10, "file": "a b.csv"})
    "parsed rows=10 file='a b.csv'"
    """
    parts = [str(message)]
    for name, value in fields.items():
        text = value if isinstance(value, str) and value and not set(value) & set(" \n\t'\"=") else repr(value)
        parts.append(f"{name}={text}")
    return " ".join(parts)


_ORDER = ("none", "error", "warn", "info", "debug")


def is_kept(level: str, lowest: str) -> bool:
    """
    >>> is_kept("warn", "info"), is_kept("debug", "info"), is_kept("error", "none")
    (True, False, False)
    """
    return _ORDER.index(level) <= _ORDER.index(lowest)


class Logger:
    """Writes lines into the log of the run this code is in.

    kk.logger.info("parsed", rows=10)
    with kk.logger.span("parse"):
        ...
    """

    __slots__ = ()

    def debug(self, message: object, /, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: object, /, **fields: Any) -> None:
        self._write("info", message, fields)

    log = info

    def warn(self, message: object, /, **fields: Any) -> None:
        self._write("warn", message, fields)

    warning = warn

    def error(self, message: object, /, **fields: Any) -> None:
        self._write("error", message, fields)

    @contextmanager
    def span(self, name: str, /, **fields: Any) -> Iterator[None]:
        """Say when a part of the work begins and ends, and how long it took."""
        self._write("info", f"{name}: began", fields)
        found = scope.get()
        now = time.perf_counter if found is None else lambda: found.now() / MICROS
        began = now()
        try:
            yield
        except BaseException as error:  # told, and passed on as it is
            self._write("error", f"{name}: ended by {type(error).__name__} after {now() - began:.3f} s", fields)
            raise
        self._write("info", f"{name}: ended after {now() - began:.3f} s", fields)

    def _write(self, level: str, message: object, fields: dict[str, Any]) -> None:
        found = scope.get()
        if found is not None and not is_kept(level, found.start.log_level):
            return
        text = line_of(message, fields)
        if found is None:
            _tell_outside(level, text)
        elif found.emit is not None:
            found.emit(level, text)

    def __repr__(self) -> str:
        return "<kk.logger>"


def _tell_outside(level: str, text: str) -> None:
    if _outside.hasHandlers():
        _outside.log(_LEVELS[level], "%s", text)
    elif level != "debug":
        sys.stderr.write(f"{text}\n")


_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


logger = Logger()
