"""Catches what runs print and log, and sends it on in small batches.

Two ways in. A *shared* worker's `sys.stdout` and `sys.stderr` look at each write for the run it belongs to (a context
variable). An *exclusive* worker's file descriptors 1 and 2 are pipes, which catches C code and child processes too.
Either way text lands in the attempt's `RunLog`, and one `LogPump` per worker drains them all.

What a newcomer would get wrong: nothing here may block or grow with what a run prints. The first 1 MB is never dropped
and leaves freely; after that a log holds its last 9 MB and leaves at a bounded rate, so that 50 MB of prints become a
count of dropped lines rather than a stalled engine. No loop may turn meanwhile: a body that only prints blocks it.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context as EmptyContext
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO

from kernelkit.authoring.scope import scope
from kernelkit.models.run import LogLine
from kernelkit.wire.messages import WorkerLogs

MAX_LINE = 64 * 1024
FREE_BYTES = 1_000_000
RING_BYTES = 9_000_000
CHUNK_BYTES = 8 * 1024
SAME_MOMENT_S = 0.01
TICK_S = 0.05
BUSY_S = 0.002
PIPE_BYTES = 1024 * 1024
RUN_BYTES_PER_TICK = 128 * 1024
ALL_BYTES_PER_TICK = 1024 * 1024
BATCH_LINES = 200
BATCH_BYTES = 256 * 1024
CROWDED_BYTES = 4 * 1024 * 1024  # waiting in the channel: then a tick sends nothing
ENDED_BYTES = 32_000_000  # of ended runs, kept while no engine is there

_STREAMS = ("stdout", "stderr")


class _Chunk:
    """Whole lines of one level, written within a moment; a mutable list of texts, since prints come by the thousand."""

    __slots__ = ("at", "level", "lines", "size", "texts")

    def __init__(self, at: float, level: str, text: str, lines: int) -> None:
        self.at = at
        self.level = level
        self.texts = [text]
        self.size = len(text)
        self.lines = lines


class RunLog:
    """The captured text of one attempt. `write` may be called from any thread and never blocks."""

    __slots__ = (
        "_added",
        "_begun",
        "_dropped",
        "_first",
        "_held",
        "_last",
        "_lock",
        "_partial",
        "_taken",
        "_wake",
        "attempt",
        "ended",
        "run_id",
    )

    def __init__(self, run_id: str, attempt: int, wake: Callable[[RunLog], None]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.ended = False
        self._wake = wake
        self._lock = threading.Lock()
        self._first: deque[_Chunk] = deque()  # the first megabyte, as far as it has not left
        self._last: deque[_Chunk] = deque()  # what came after it; the oldest is dropped when it grows
        self._added = 0  # characters that came
        self._held = 0  # characters in _last
        self._taken = 0  # characters that left
        self._dropped = 0  # lines between the two
        self._partial: dict[str, str] = {}
        self._begun: set[str] = set()  # streams whose line was too long to wait for its end

    def write(self, level: str, text: str) -> None:
        """Add text. At the levels stdout and stderr it may be part of a line; else it is lines by itself."""
        with self._lock:
            if level in _STREAMS:
                whole = self._whole_lines(level, text)
                if whole is None:
                    return
                text = whole
            was_empty = not self._first and not self._last
            self._add(level, text)
        if was_empty:
            self._wake(self)

    def end(self) -> None:
        """Nothing more comes: what has no newline yet is a line now."""
        with self._lock:
            self.ended = True
            for level, text in self._partial.items():
                if text:
                    self._add(level, _rewritten(text))
            self._partial.clear()

    @property
    def held(self) -> int:
        return self._held + sum(chunk.size for chunk in self._first)

    @property
    def is_empty(self) -> bool:
        return not self._first and not self._last and not self._dropped

    @property
    def is_free(self) -> bool:
        """Whether it has not had its first megabyte yet, which is sent without regard to rates."""
        return self._taken < FREE_BYTES

    def take(self, limit: int) -> WorkerLogs | None:
        """A batch of the oldest lines, at most 200 and about `limit` characters, or None when there are none.

        Its `dropped` lines came after its lines.
        """
        lines: list[LogLine] = []
        size = dropped = 0
        with self._lock:
            while len(lines) < BATCH_LINES and size < limit:
                if not self._first and self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    break
                chunks = self._first or self._last
                if not chunks:
                    break
                chunk = chunks.popleft()
                if chunks is self._last:
                    self._held -= chunk.size
                parts = "\n".join(chunk.texts).split("\n")
                at = datetime.fromtimestamp(chunk.at, UTC)
                for place, part in enumerate(parts):
                    if len(lines) >= BATCH_LINES or size >= limit:
                        rest = _Chunk(chunk.at, chunk.level, "\n".join(parts[place:]), len(parts) - place)
                        chunks.appendleft(rest)
                        if chunks is self._last:
                            self._held += rest.size
                        break
                    lines += [
                        LogLine(at=at, level=chunk.level, text=piece, attempt=self.attempt)
                        for piece in _pieces(_rewritten(part))
                    ]
                    size += len(part) + 1
            self._taken += size
        if not lines and not dropped:
            return None
        return WorkerLogs(run_id=self.run_id, attempt=self.attempt, lines=tuple(lines), dropped=dropped)

    def put_back(self, batch: WorkerLogs) -> None:
        """Have a batch again that could not be sent."""
        with self._lock:
            self._taken -= sum(len(line.text) + 1 for line in batch.lines)
            is_first = bool(self._first or batch.dropped) or self._taken < FREE_BYTES
            for line in reversed(batch.lines):
                chunk = _Chunk(line.at.timestamp(), line.level, line.text, 1)
                (self._first if is_first else self._last).appendleft(chunk)
                self._held += 0 if is_first else chunk.size
            self._dropped += batch.dropped

    def _add(self, level: str, text: str) -> None:
        if len(text) > 2 * CHUNK_BYTES:  # so that what is dropped of it can be its middle
            for part in _parts(text):
                self._add_part(level, part)
        else:
            self._add_part(level, text)

    def _add_part(self, level: str, text: str) -> None:
        now = time.time()
        size = len(text)
        is_first = self._added < FREE_BYTES
        self._added += size + 1
        chunks = self._first if is_first else self._last
        last = chunks[-1] if chunks else None
        if last is not None and last.level == level and last.size < CHUNK_BYTES and now - last.at < SAME_MOMENT_S:
            last.texts.append(text)
            last.size += size
            last.lines += text.count("\n") + 1
        else:
            chunks.append(_Chunk(now, level, text, text.count("\n") + 1))
        if is_first:
            return
        self._held += size
        while self._held > RING_BYTES + CHUNK_BYTES:
            oldest = self._last.popleft()
            self._held -= oldest.size
            self._dropped += oldest.lines

    def _whole_lines(self, level: str, text: str) -> str | None:
        """What of `text`, after the part kept before, is whole lines, without the last newline; the rest is kept."""
        before = self._partial.pop(level, "")
        if text and level in self._begun:
            self._begun.discard(level)
            if text[0] == "\n":  # the end of what is a line already
                text = text[1:]
                if not text:
                    return None
        if text == "\n":
            return before
        text = before + text
        cut = text.rfind("\n")
        if cut == len(text) - 1 and cut >= 0:
            return text[:-1]
        rest = text[cut + 1 :]
        if len(rest) > MAX_LINE:
            rest = _rewritten(rest)
            if len(rest) > MAX_LINE:
                self._begun.add(level)
                return text
        self._partial[level] = rest
        return text[:cut] if cut >= 0 else None


def _rewritten(line: str) -> str:
    """A line as a terminal would leave it: what follows the last carriage return stays."""
    if "\r" not in line:
        return line
    return line.rstrip("\r").rpartition("\r")[2]


def _parts(text: str) -> Iterable[str]:
    """Long text in parts of whole lines; a line too long for one line of a log is cut as it will be then."""
    start = 0
    while len(text) - start > 2 * CHUNK_BYTES:
        end = text.find("\n", start + CHUNK_BYTES)
        if end < 0:
            break
        yield from _cut(text[start:end])
        start = end + 1
    yield from _cut(text[start:])


def _cut(part: str) -> Iterable[str]:
    if len(part) <= MAX_LINE:
        return (part,)
    return (piece for line in part.split("\n") for piece in _pieces(_rewritten(line)))


def _pieces(line: str) -> Iterable[str]:
    if not line.isascii():
        line = line.encode("utf-8", "replace").decode()  # lone surrogates cannot travel
        if len(line) * 4 > MAX_LINE:
            return _pieces_of_bytes(line)
    if len(line) <= MAX_LINE:
        return (line,)
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)]


def _pieces_of_bytes(line: str) -> list[str]:
    return [line[start : start + MAX_LINE // 4] for start in range(0, len(line), MAX_LINE // 4)]


class LogPump:
    """Drains all logs of a worker, on the loop of its link.

    `send` hands a batch to the engine, or says False where there is none now. `crowded` tells whether it lags behind.
    `later` calls a function on the loop after some seconds, from any thread.
    """

    def __init__(
        self,
        *,
        send: Callable[[WorkerLogs], bool],
        crowded: Callable[[], bool],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._send = send
        self._crowded = crowded
        self._later = later
        self._lock = threading.Lock()
        self._dirty: dict[int, RunLog] = {}
        self._due = False

    def open(self, run_id: str, attempt: int) -> RunLog:
        return RunLog(run_id, attempt, self._wake)

    def finish(self, log: RunLog) -> None:
        """End a log and send what it holds; call it on the loop, before the attempt's last report."""
        log.end()
        if log.is_empty:
            return
        while (batch := log.take(BATCH_BYTES)) is not None:
            if not self._send(batch):
                log.put_back(batch)
                self._wake(log)
                return
        with self._lock:
            self._dirty.pop(id(log), None)

    def _wake(self, log: RunLog) -> None:
        with self._lock:
            self._dirty[id(log)] = log
            if self._due:
                return
            self._due = True
        self._later(TICK_S, self._tick)

    def _tick(self) -> None:
        with self._lock:
            logs, self._dirty = self._dirty, {}
            self._due = False
        waiting = list(logs.values())
        left = waiting if self._crowded() else self._drain(waiting)
        ended = 0
        for log in left:
            ended += log.held if log.ended else 0
            if not log.is_empty and ended <= ENDED_BYTES:
                self._wake(log)

    def _drain(self, logs: list[RunLog]) -> list[RunLog]:
        """Send a tick's share of each; returns those that have more."""
        left = []
        budget = ALL_BYTES_PER_TICK
        for log in logs:
            share = FREE_BYTES if log.is_free else RUN_BYTES_PER_TICK
            while share > 0 and budget > 0 and (batch := log.take(min(share, BATCH_BYTES))) is not None:
                if not self._send(batch):
                    log.put_back(batch)
                    break
                size = sum(len(line.text) + 1 for line in batch.lines) + 1
                share -= size
                budget -= size
            if not log.is_empty:
                left.append(log)
        return left


# ---- shared workers: one process, many runs -------------------------------------------------------------------------


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


# ---- exclusive workers: one run at a time ---------------------------------------------------------------------------


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
        for level, passed in zip(_STREAMS, self._passed, strict=True):
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


# ---- both -----------------------------------------------------------------------------------------------------------


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
