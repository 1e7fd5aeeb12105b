"""`kk.engine`: the engine of the project, looked at, started and stopped from Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from kernelkit.authoring import display
from kernelkit.client.engine_log import EngineLog, last_lines
from kernelkit.config import Home
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import EngineUnavailableError
from kernelkit.wire.discovery import clear_down_mark, is_held_by, is_locked, is_marked_down, lock_owner
from kernelkit.wire.messages import EngineStatus, GetStatus, ReplyBody, RequestBody, StopEngine, Welcome

POLL_S = 0.02
NOTICED_WITHIN_S = 1.0


class Connection(Protocol):
    """What this room needs of a client."""

    @property
    def home(self) -> Home: ...
    @property
    def is_connected(self) -> bool: ...

    def call(self, body: RequestBody) -> ReplyBody: ...
    def connect(self, *, start: bool = True, explicit: bool = False, keep: bool = False) -> Welcome: ...


class EngineControl(display.Shown):
    """The engine of a project.

    kk.engine.status().executing
    kk.engine.stop()
    kk.engine.start()
    """

    def __init__(self, connection: Connection | Callable[[], Connection]) -> None:
        self._connection = connection

    def _client(self) -> Connection:
        return self._connection() if callable(self._connection) else self._connection

    @property
    def home(self) -> Home:
        """The folder it keeps everything in."""
        return self._client().home

    @property
    def is_running(self) -> bool:
        """Whether an engine holds the home; asking starts nothing."""
        return is_locked(self.home)

    @property
    def was_stopped(self) -> bool:
        """Whether it was stopped on purpose, so that only `start()` or `kernelkit up` starts it again."""
        return not self.is_running and is_marked_down(self.home)

    def status(self, *, history: bool = True) -> EngineStatus:
        """How the engine is now; without `history` its `runs` counts only those that have not ended.

        Starts nothing: `EngineUnavailableError` when none runs.
        """
        client = self._client()
        client.connect(start=False)
        reply = client.call(GetStatus(history=history))
        assert isinstance(reply, EngineStatus)
        return reply

    def logs(self, lines: int = 100) -> EngineLog:
        """The last lines of the engine's own log, which shows itself as text; needs no running engine."""
        return last_lines(self.home.engine_log, lines)

    def start(self, *, keep: bool = False) -> EngineStatus:
        """Start the engine if none runs, even after a stop on purpose; with `keep` it goes on when idle."""
        self._client().connect(explicit=True, keep=keep)
        clear_down_mark(self.home)
        return self.status()

    def stop(self, *, leave: bool = False, timeout: Duration = "10m") -> None:
        """Stop the engine and wait until it is gone; afterwards only `start()` or `kernelkit up` starts it again.

        Executing attempts are let finish first; with `leave` they go on without an engine, and their results are taken
        in by the next. Raises `EngineUnavailableError` when it is not gone after `timeout`. No engine: nothing to do.
        """
        self._stop(leave=leave, mark=True, timeout=timeout)

    def restart(self, *, timeout: Duration = "10m") -> EngineStatus:
        """Stop the engine, leaving executing attempts to go on, and start another, which adopts them."""
        self._stop(leave=True, mark=False, timeout=timeout)
        return self.start()

    def _stop(self, *, leave: bool, mark: bool, timeout: Duration) -> None:
        seconds = to_seconds(timeout, field="timeout")
        client = self._client()
        deadline = time.monotonic() + seconds
        was_told, owner = False, lock_owner(client.home)
        while is_held_by(client.home, owner):
            if not was_told:
                try:
                    client.connect(start=False)
                    client.call(StopEngine(leave=leave, mark=mark))
                    was_told = True
                except EngineUnavailableError:  # it is just starting, or ending by itself
                    if time.monotonic() > deadline:
                        raise
            if time.monotonic() > deadline:
                raise EngineUnavailableError(
                    f"The engine for {client.home.path} has not stopped within {seconds:g} s: attempts are still "
                    "executing. It stops when they end; kk.engine.stop(leave=True) leaves them.",
                    home=str(client.home.path),
                )
            time.sleep(POLL_S)
        # The end of its connection may not have been noticed here yet: a start() right after would take it for alive.
        noticed_by = time.monotonic() + NOTICED_WITHIN_S
        while client.is_connected and time.monotonic() < noticed_by:
            time.sleep(POLL_S)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<engine of {self.home.path}: {state}>"
