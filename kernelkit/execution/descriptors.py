"""Catches what an exclusive worker writes to file descriptors 1 and 2: of C code and child processes too.

What a newcomer would get wrong: a body that prints much is not to take turns with the reader line by line, so the pipes
are large and the reader lets a burst gather in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import threading
import time
from typing import TextIO

from kernelkit.execution.run_log import STREAMS, RunLog

BUSY_S = 0.002
PIPE_BYTES = 1024 * 1024


class DescriptorCapture:
    """Catches file descriptors 1 and 2, for one attempt after the other.

    A pipe cannot say where one attempt's output ends, so `end` writes a mark into it and waits until the reader has
    seen it: everything before belongs to the attempt.
    """

    def __init__(self) -> None:
        # No text has the first byte: what ends like the beginning of the mark is kept back until more is written.
        self._mark = b"\xff" + secrets.token_bytes(23)
        self._log: RunLog | None = None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self.real_stderr = os.dup(2)
        os.set_inheritable(self.real_stderr, False)
        self._passed = [threading.Event(), threading.Event()]
        self._pipes: list[int] = []
        for level, passed in zip(STREAMS, self._passed, strict=True):
            reading, writing = os.pipe()
            self._pipes.append(writing)
            with contextlib.suppress(OSError, AttributeError):  # a limit for all of a user's pipes; not on macOS
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            threading.Thread(
                target=self._read, args=(reading, level, passed), name=f"kernelkit-{level}", daemon=True
            ).start()
        self._redirect()

    def begin(self, log: RunLog) -> None:
        """Give what is written from now on to `log`."""
        self._redirect()  # the body before may have closed or replaced them
        self._log = log

    def _redirect(self) -> None:
        for descriptor, writing in zip((1, 2), self._pipes, strict=True):
            os.dup2(writing, descriptor)  # inheritable, unlike what pipe made
        sys.stdout = _text_stream(1)
        sys.stderr = _text_stream(2)

    def end(self) -> None:
        """Return once everything written so far is in the log."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError, OSError):  # a body may have closed it
                stream.flush()
        for descriptor, passed in zip((1, 2), self._passed, strict=True):
            passed.clear()
            with contextlib.suppress(OSError):
                os.write(descriptor, self._mark)
                passed.wait(2.0)
        self._log = None

    def _read(self, reading: int, level: str, passed: threading.Event) -> None:
        kept = b""  # the beginning of a character, or of the mark
        last = 0.0
        while True:
            now = time.monotonic()
            if now - last < BUSY_S:  # let a burst gather in the pipe, instead of taking turns with it line by line
                time.sleep(BUSY_S)
            last = now
            try:
                data = os.read(reading, 256 * 1024)
            except OSError:
                return
            if not data:
                return
            data = kept + data
            while (place := data.find(self._mark)) >= 0:
                self._take(level, data[:place])
                data = data[place + len(self._mark) :]
                passed.set()
            keep = _tail_to_keep(data, self._mark)
            kept = data[len(data) - keep :]
            self._take(level, data[: len(data) - keep])

    def _take(self, level: str, data: bytes) -> None:
        if not data:
            return
        log = self._log
        if log is None:
            os.write(self.real_stderr, data)
        else:
            log.write(level, data.decode("utf-8", "replace"))


def _text_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _tail_to_keep(data: bytes, mark: bytes) -> int:
    """How many bytes at the end may be the beginning of the mark, or of a character."""
    for size in range(min(len(mark) - 1, len(data)), 0, -1):
        if data.endswith(mark[:size]):
            return size
    for size in range(1, min(3, len(data)) + 1):
        byte = data[-size]
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return size if width > size else 0
        if byte < 0x80:
            return 0
    return 0
