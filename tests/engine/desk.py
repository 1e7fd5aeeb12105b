"""The engine's requests on a bench: one client asks, and reads of the store come back when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from kernelkit.config import Home
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.notices import Notices
from kernelkit.engine.requests import Requests
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from tests.engine.fixtures import Bench
from tests.engine.yard import Wire


class Desk(Bench):
    """A bench that answers one client; reads of the store come back when the test says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.home = Home(folder / ".kernelkit").create()
        self.reads: deque[Callable[[], None]] = deque()
        self.requests = Requests(
            self.core,
            Notices(self.core, Logbook(), lambda seconds, call: None),
            self.home,
            pid=1,
            started_at=0,
            monotonic=lambda: 0.0,
            silent_for=lambda worker_id: 0.0,
            stop=lambda asked: None,
        )
        self.core.read = self._read
        self.client = Wire()

    def _read(self, fn: Callable[[], Any], then: Callable[[Any], None]) -> None:
        found = fn()
        self.reads.append(lambda: then(found))

    def ask(self, body: m.RequestBody, *, again: bool = False) -> None:
        self.requests.take(cast(Channel, self.client), m.Request(1, body, again))
        self.settle()

    def answer_reads(self) -> None:
        while self.reads:
            self.reads.popleft()()
            self.settle()
