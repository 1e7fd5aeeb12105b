"""A caller whose engine is the test: it counts what is watched and pushes what the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from kernelkit.authoring.caller import Heard, gathered
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import LogLine, Logs, Run
from kernelkit.models.stream import StreamTail
from kernelkit.models.task import Owner
from kernelkit.models.wait import Token
from kernelkit.ui.card_acts import Inside
from kernelkit.ui.refusals import FieldError
from kernelkit.ui.token_card import Asked
from kernelkit.ui.view import RunCard
from kernelkit.wire.messages import (
    Cancel,
    GetLogs,
    ListStreams,
    LogsReply,
    ReplyBody,
    RequestBody,
    Retrieve,
    RunChanged,
    RunReply,
    StreamList,
)


class FakeCaller:
    inside_run = False

    def __init__(self) -> None:
        self.watchers: dict[str, list[Callable[[RunChanged], None]]] = {}
        self.ends: dict[str, list[Future[Run]]] = {}
        self.runs: dict[str, Run] = {}
        self.calls: list[RequestBody] = []
        self.refuse: KernelKitError | None = None
        self.is_connected = True
        self.home = Home(Path("/nowhere/.kernelkit"))
        self.streams: tuple[StreamTail, ...] = ()
        self.most_watches = 0
        self._lock = threading.Lock()  # a card asks on a thread of its own

    @property
    def owner(self) -> Owner:
        return Owner("kernel", "test")

    def call(self, body: RequestBody) -> ReplyBody:
        self.calls.append(body)
        if self.refuse is not None:
            raise self.refuse
        match body:
            case ListStreams():
                return StreamList(self.streams)
            case GetLogs():
                return LogsReply(Logs())
            case Cancel(run_id=run_id) | Retrieve(run_id=run_id) if run_id in self.runs:
                return RunReply(self.runs[run_id])
        raise EngineUnavailableError("No engine answers.")

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        answer: Future[ReplyBody] = Future()
        answer.set_result(self.call(body))
        return answer

    def outcome(self, run_id: str) -> Future[Run]:
        end: Future[Run] = Future()
        with self._lock:
            self.ends.setdefault(run_id, []).append(end)
            if run_id in self.runs:
                end.set_result(self.runs[run_id])
        return end

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        return gathered([self.outcome(run_id) for run_id in run_ids])

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        raise AssertionError("cards watch single runs")

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        watchers = self.watchers.setdefault(run_id, [])
        watchers.append(changed)
        self.most_watches = max(self.most_watches, len(watchers))
        return lambda: watchers.remove(changed)

    # ---- what the test says ----------------------------------------------------------------------------------------

    @property
    def watched(self) -> int:
        return sum(map(len, self.watchers.values()))

    def push(
        self,
        run: Run,
        logs: tuple[LogLine, ...] = (),
        streams: tuple[StreamTail, ...] = (),
        token: Token | None = None,
    ) -> None:
        for changed in list(self.watchers.get(run.id, [])):
            changed(RunChanged(run, logs, streams, token))

    def end(self, run: Run) -> None:
        """As with an engine, whoever asks afterwards is told as well."""
        with self._lock:
            self.runs[run.id] = run
            ends = [end for end in self.ends.get(run.id, []) if not end.done()]
        for end in ends:
            end.set_result(run)


class FakeWidget:
    def __init__(self) -> None:
        self.painted: list[tuple[float, RunCard]] = []
        self.beats: list[float | None] = []
        self.answers: list[tuple[int, bool, str]] = []
        self.handed: list[tuple[str, bytes]] = []
        self.told: list[Inside] = []
        self.is_closed = False
        self.asked: Asked | None = None

    def paint(self, card: RunCard, asked: Asked | None = None) -> None:
        self.painted.append((time.monotonic(), card))
        self.asked = asked

    def heartbeat(self, *, silent_since: float | None) -> None:
        self.beats.append(silent_since)

    def answered(self, to: int, *, ok: bool, text: str, errors: Sequence[FieldError] = ()) -> None:
        self.answers.append((to, ok, text))

    def tell(self, inside: Inside) -> None:
        self.told.append(inside)

    def hand(self, name: str, data: bytes) -> None:
        self.handed.append((name, data))

    def close(self) -> None:
        self.is_closed = True


def until(happened: Callable[[], object], *, within: float = 10.0) -> None:
    """Wait for another thread to have done something."""
    pause = threading.Event()
    end = time.monotonic() + within
    while not happened():
        assert time.monotonic() < end, "it has not happened in time"
        pause.wait(0.005)
