"""Reads a run's captured lines for a log viewer: on while the run goes on, back when the reader asks for earlier ones.

Lines are read by their number, so that none is missed or told twice; the engine's push about the run only says that
there may be more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.logs import LEVELS, RunLogs
from kernelkit.authoring.runcalls import retrieve_run
from kernelkit.errors import EngineUnavailableError, InvalidOptionError, KernelKitError
from kernelkit.models.run import LogLine, Run
from kernelkit.rules.limits import check_text
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.logs import LogLineView, LogView, line_view, log_view, logs_html, logs_text, whole_line
from kernelkit.ui.polled import reach
from kernelkit.ui.silence import has_engine
from kernelkit.wire.messages import GetLogs, LogsReply, RunChanged

PAGE = 200  # lines at first, and each time that earlier ones are asked for
MOST = 2_000  # on screen
FILE_PAGE = 5_000
PACE_S = 0.2
LONGEST = 200  # characters of a search


class LogsSource:
    """A `Source` of `ui/live_view.py`. `send` hands bytes to the browser, a piece of a file at a time."""

    def __init__(self, shown: RunLogs, now: Callable[[], datetime] | None = None) -> None:
        self._caller: Caller = shown.caller
        self._asked = GetLogs(shown.run_id, limit=PAGE, level=shown.asked.level, search=shown.asked.search)
        self._now = now or (lambda: datetime.now(UTC))
        self._run: Run | None = None
        self._lines: deque[LogLineView] = deque()
        self._first, self._last = 0, -1  # numbers of the engine's
        self._keys = (0, -1)  # of the lines here
        self._earlier = False
        self._dropped = 0
        self._asks: deque[dict[str, Any]] = deque(maxlen=100)
        self._must_read = True
        self._may_have_more = True
        self._trouble = ""
        self._stop: Callable[[], None] | None = None
        self._is_away = False
        self.send: Callable[[dict[str, Any], list[bytes]], None] | None = None
        self.wake = threading.Event()
        self.urgent = threading.Event()

    def open(self) -> None:
        """Begin to listen, then read: whatever is written in between is heard."""
        self._run = retrieve_run(self._caller, self._asked.run_id)
        if not self._run.is_completed:
            self._stop = self._caller.watch(self._asked.run_id, self._changed)
        self.load()

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return False

    @property
    def is_connected(self) -> bool:
        return not self._is_away and has_engine(self._caller)

    def read(self) -> None:
        try:
            if not self.is_connected:
                reach(self._caller)
                self._run = retrieve_run(self._caller, self._asked.run_id)
                self._is_away, self._may_have_more = False, True
                if not self._run.is_completed and self._stop is None:
                    self._stop = self._caller.watch(self._asked.run_id, self._changed)
            self.load()
        except EngineUnavailableError:  # as after `kernelkit down`: a viewer does not end with its engine
            self._is_away = True

    def load(self) -> None:
        """Read, for a face that does not wait; raises `EngineUnavailableError`."""
        if self._run is None:
            self._run = retrieve_run(self._caller, self._asked.run_id)
        while self._asks:
            self._trouble = ""
            try:
                self._do(self._asks.popleft())
            except InvalidOptionError as refused:
                self._trouble = str(refused)
        if self._must_read:
            self._read_last()
        while self._may_have_more:
            self._may_have_more = False
            self._read_on()
        if self._run.is_completed and self._stop is not None:
            self.close()

    def log(self) -> LogView:
        """The picture as of now, but for the lines."""
        assert self._run is not None
        return log_view(
            self._run,
            len(self._lines),
            level=self._asked.level,
            search=self._asked.search,
            earlier=self._earlier,
            dropped=self._dropped,
            problem=self._trouble,
            now=self._now(),
            zone=words.local_zone(),
        )

    @property
    def lines(self) -> list[LogLineView]:
        return list(self._lines)

    def view(self) -> dict[str, Any]:
        return {**msgspec.to_builtins(self.log()), "lines": msgspec.to_builtins(self.lines)}

    def bundle(self, **face: Any) -> Bundle:
        view, lines = self.log(), self.lines
        return {"text/plain": logs_text(view, lines, **face), "text/html": logs_html(view, lines)}

    def reread(self) -> None:
        self._may_have_more = True
        self.wake.set()

    def asked(self, content: dict[str, Any]) -> None:
        if content.get("do") == "download":
            threading.Thread(target=self._download, name="kernelkit-download", daemon=True).start()
            return
        self._asks.append(content)
        self.wake.set()
        self.urgent.set()

    def close(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _changed(self, change: RunChanged) -> None:
        self._run = change.run
        self._may_have_more = True
        self.wake.set()

    def _do(self, content: dict[str, Any]) -> None:
        match content:
            case {"do": "filter", "level": list(level), "search": str(search)}:
                kept = tuple(one for one in LEVELS if one in level)
                text = check_text(search.strip()[:LONGEST], "The search")
                self._asked = msgspec.structs.replace(self._asked, level=kept, search=text)
                self._must_read = True
            case {"do": "earlier"} if self._earlier:
                reply = self._read_lines(before=self._first)
                if reply.logs.lines:
                    self._first = reply.first
                    for line in reversed(reply.logs.lines):
                        self._keys = (self._keys[0] - 1, self._keys[1])
                        self._lines.appendleft(self._line(self._keys[0], line))
                self._earlier = reply.has_more and len(self._lines) < MOST

    def _read_last(self) -> None:
        """Begin anew at the end of the log."""
        self._must_read = False
        reply = self._read_lines()
        self._lines.clear()
        self._first, self._last, self._earlier = reply.first, max(self._last, reply.last), reply.has_more
        self._append(reply.logs.lines, anew=True)

    def _read_on(self) -> None:
        reply = self._read_lines(after=self._last)
        if reply.logs.lines:
            self._first = self._first if self._lines else reply.first
            self._last = reply.last
            self._append(reply.logs.lines)
        self._may_have_more |= reply.has_more

    def _append(self, lines: tuple[LogLine, ...], *, anew: bool = False) -> None:
        low, high = self._keys
        low = high + 1 if anew or not self._lines else low
        for line in lines:
            high += 1
            self._lines.append(self._line(high, line))
        while len(self._lines) > MOST:
            self._lines.popleft()
            self._earlier = False  # the window moves on; the whole is in the download
            low += 1
        self._keys = (low, high)

    def _read_lines(self, **where: int) -> LogsReply:
        reply = self._caller.call(msgspec.structs.replace(self._asked, **where))
        assert isinstance(reply, LogsReply)
        self._dropped = reply.logs.dropped
        return reply

    def _line(self, key: int, line: LogLine) -> LogLineView:
        return line_view(key, line, words.local_zone())

    def _download(self) -> None:
        """The whole log, as it is now and without a filter, in pieces."""
        name = f"{self._asked.run_id}.log"
        try:
            for piece in self._pieces():
                self._hand({"file": name}, piece)
            self._hand({"file": name, "is_last": True}, b"")
        except KernelKitError as problem:
            self._trouble = str(problem)
            self.wake.set()

    def _pieces(self) -> Iterator[bytes]:
        after, has_more = -1, True
        while has_more:
            reply = self._caller.call(GetLogs(self._asked.run_id, limit=FILE_PAGE, after=after))
            assert isinstance(reply, LogsReply)
            yield "".join([whole_line(line) for line in reply.logs.lines]).encode()
            after, has_more = reply.last, reply.has_more

    def _hand(self, content: dict[str, Any], piece: bytes) -> None:
        if self.send is not None:
            self.send(content, [piece])
