"""Catches what runs print and log inside one process, by the run that it belongs to (a context variable).

A *shared* worker's `sys.stdout` and `sys.stderr` look at each write for its run. An *exclusive* worker catches its file
descriptors instead (`descriptors.py`). Records of `logging` are told apart here for both. Either way text lands in the
attempt's `RunLog` (`run_log.py`), and one `LogPump` per worker drains them all (`log_pump.py`).

What a newcomer would get wrong: Python 3.11 starts threads in an empty context, so without `follow_threads` nobody
would know whose prints those of a thread are.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context as EmptyContext
from contextvars import copy_context
from functools import partial
from typing import Any, TextIO

from kernelkit.authoring.scope import scope


class StreamOfRun(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr`: what a run writes goes to its log, anything else to the real stream."""

    def __init__(self, level: str, real: TextIO) -> None:
        self._level = level
        self._real = real

    def write(self, text: str, /) -> int:
        found = scope.get()
        if found is None:
            return self._real.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        found.emit(self._level, text)
        return len(text)

    def flush(self) -> None:
        self._real.flush()

    def fileno(self) -> int:
        return self._real.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return "backslashreplace"

    @property
    def buffer(self) -> _BytesOfRun:
        """For code that writes bytes to `sys.stdout.buffer`."""
        return _BytesOfRun(self)


class _BytesOfRun(io.RawIOBase):
    def __init__(self, text: StreamOfRun) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # any buffer
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)


def capture_streams() -> None:
    """Send prints to the run they belong to, in this process from now on."""
    sys.stdout = StreamOfRun("stdout", sys.stdout)
    sys.stderr = StreamOfRun("stderr", sys.stderr)


class LogHandler(logging.Handler):
    """Sends records of the `logging` module to the run they were made in."""

    def __init__(self, elsewhere: Callable[[str, str], None]) -> None:
        super().__init__()
        self._elsewhere = elsewhere

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= 40 else "warn" if record.levelno >= 30 else "info"
        if record.levelno < logging.INFO:
            level = "debug"
        try:
            text = self.format(record)
        except Exception:  # a person's own arguments may raise anything while they are put into the message
            self.handleError(record)
            return
        found = scope.get()
        if found is not None:
            found.emit(level, text)
        else:
            self._elsewhere(level, text)


def capture_logging(elsewhere: Callable[[str, str], None]) -> None:
    """Handle all records from `INFO` up; those made outside a run go to `elsewhere` (level, text)."""
    handler = LogHandler(elsewhere)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def follow_threads() -> None:
    """Let threads that a run starts, by `threading` or a thread pool, count as part of it.

    Python 3.11 starts threads in an empty context. A pool's thread outlives the run that made it, so it stays empty
    and each submitted call brings its own context.
    """
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def started(self: threading.Thread) -> None:
        if scope.get() is not None:
            self.run = partial(copy_context().run, self.run)  # type: ignore[method-assign]  # the very point
        start(self)

    def submitted(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Any:  # as the original
        if scope.get() is None:
            return submit(self, fn, *args, **kwargs)
        return EmptyContext().run(submit, self, partial(copy_context().run, fn), *args, **kwargs)

    threading.Thread.start = started  # type: ignore[method-assign]  # the very point
    ThreadPoolExecutor.submit = submitted  # type: ignore[assignment,method-assign]  # the very point
