"""What one attempt has printed and logged, as far as it has not left yet.

What a newcomer would get wrong: it may neither block nor grow with what a run prints. The first 1 MB is never dropped;
after that a log holds its last 9 MB, and what went between the two is a count of lines. No loop may turn meanwhile: a
body that only prints blocks it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from kernelkit.models.run import LogLine
from kernelkit.wire.messages import WorkerLogs

MAX_LINE = 64 * 1024
FREE_BYTES = 1_000_000
RING_BYTES = 9_000_000
CHUNK_BYTES = 8 * 1024
SAME_MOMENT_S = 0.01
BATCH_LINES = 200

STREAMS = ("stdout", "stderr")  # levels whose text may be part of a line


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
            if level in STREAMS:
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
