"""A worker's line to the engine: reports that are kept until they are on disk, through any number of reconnects.

Made on one asyncio loop; `report` and `send` may be called from any thread. What a newcomer would get wrong: after an
engine crash the new engine asks which attempts live here, and an attempt whose *end* it has not acknowledged counts
as living. Otherwise it would be started again while its result is on the way. And without an engine an idle worker is
of no use: it ends by itself, before its keeper would take it for live work and start an engine for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from kernelkit import errors
from kernelkit.authoring.scope import Scope
from kernelkit.config import Home
from kernelkit.errors import KernelKitError
from kernelkit.models.sameness import Match
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_marked_down
from kernelkit.wire.launch import dial
from kernelkit.wire.messages import (
    Ack,
    AnyMessage,
    ChildTrigger,
    Failed,
    Hello,
    LiveAttempt,
    Ping,
    Pong,
    Refused,
    Reply,
    ReplyBody,
    Report,
    ReportBody,
    Request,
    RequestBody,
    Retire,
    StartAttempt,
    StopAttempt,
    Stopped,
    Succeeded,
    WaitsOver,
    WorkerLogs,
)

logger = logging.getLogger(__name__)

ORPHAN_AFTER_S = 60.0
RETIRE_AFTER_S = 3.0  # idle without an engine; before a keeper starts one for whatever lives then (5 s)
REDIAL_S = 0.1
REDIAL_AT_MOST_S = 0.5

_FINAL = (Succeeded, Failed, Stopped)


class _Kept(NamedTuple):
    report: Report
    attempt: int
    scope: Scope | None  # told what became of it


class Link:
    """`hello` is the greeting without live attempts; the callbacks come on the loop."""

    def __init__(
        self,
        home: Home,
        hello: Hello,
        *,
        on_start: Callable[[StartAttempt], None],
        on_stop: Callable[[StopAttempt], None],
        on_retire: Callable[[], None],
        on_results: Callable[[WaitsOver], None] = lambda _: None,
        on_safe: Callable[[str], None] = lambda _: None,
        orphan_after_s: float = ORPHAN_AFTER_S,
        retire_after_s: float = RETIRE_AFTER_S,
    ) -> None:
        self._home = home
        self._hello = hello
        self._on_start = on_start
        self._on_stop = on_stop
        self._on_retire = on_retire
        self._on_results = on_results
        self._on_safe = on_safe  # told the fence of each attempt whose last report is on disk
        self._orphan_after_s = orphan_after_s
        self._retire_after_s = retire_after_s
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._channel: Channel | None = None
        self._lock = threading.Lock()
        self._kept: deque[_Kept] = deque()
        self._seq = 0
        self._sent = 0  # the last seq that this connection carried
        self._live: dict[str, LiveAttempt] = {}  # by fence
        self._questions = 0
        self._asked: dict[int, tuple[Request, Future[ReplyBody]]] = {}  # by id, which is below those of reports
        self._orphaned = 0  # the last seq that was written down
        self._lost = asyncio.Event()
        self._clear = asyncio.Event()  # nothing is kept that is not acknowledged or written down
        self._clear.set()

    # ---- for the worker --------------------------------------------------------------------------------------------

    @property
    def orphans_path(self) -> str:
        return str(self._home.orphans / f"{self._hello.name}.jsonl")

    def report(self, start: StartAttempt, body: ReportBody, scope: Scope | None = None) -> int:
        """Queue a report and return its number; `scope` is told once it is settled or refused."""
        final = isinstance(body, _FINAL)
        with self._lock:
            self._seq += 1
            report = Report(seq=self._seq, run_id=start.run_id, fence=start.fence, body=body)
            self._kept.append(_Kept(report, start.attempt, scope))
            if final:
                self._live.pop(start.fence, None)
        if threading.get_ident() == self._thread:
            self._send_kept()
        else:
            self._loop.call_soon_threadsafe(self._send_kept)
        return report.seq

    def ask(self, body: RequestBody) -> Future[ReplyBody]:
        """Ask the engine something that changes nothing; the future has the answer, asked for again after a reconnect.

        From any thread."""
        answer: Future[ReplyBody] = Future()
        with self._lock:
            self._questions += 1
            question = Request(-self._questions, body)
            self._asked[question.id] = (question, answer)
        if threading.get_ident() == self._thread:
            self._send_question(question)
        else:
            self._loop.call_soon_threadsafe(self._send_question, question)
        return answer

    def _send_question(self, question: Request) -> None:
        if self._channel is not None:
            self._channel.send(question)

    def logs(self, batch: WorkerLogs) -> bool:
        """Send captured lines, on the loop; False while no engine is there."""
        if self._channel is None:
            return False
        self._channel.send(batch)
        return True

    @property
    def pending_bytes(self) -> int:
        return 0 if self._channel is None else self._channel.pending_bytes

    def later(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` on the loop after `seconds`, from any thread."""
        if threading.get_ident() == self._thread:
            self._later(seconds, then)
        else:
            self._loop.call_soon_threadsafe(self._later, seconds, then)

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        # In no context: a timer of ours must not count as one of the attempt that set it.
        self._loop.call_later(seconds, then, context=contextvars.Context())

    async def cleared(self) -> None:
        """Return once every report is on disk, with the engine or as an orphan."""
        while self._kept and self._kept[-1].report.seq > self._orphaned:
            self._clear.clear()
            await self._clear.wait()
        if self._channel is not None:
            await self._channel.drain()

    async def run(self) -> None:
        """Keep the connection up, for ever; without an engine, while there is something to tell one."""
        lost_at = time.monotonic()
        pause = REDIAL_S
        while True:
            try:
                channel, _ = await dial(
                    self._home, self._greeting(), on_message=self._take, on_close=self._closed, start=False
                )
            except (KernelKitError, OSError) as cause:
                logger.debug("no engine", extra={"cause": str(cause)})
                away = time.monotonic() - lost_at
                if away >= self._orphan_after_s:
                    self._write_orphans()
                if self._is_idle and (away >= self._retire_after_s or is_marked_down(self._home)):
                    logger.info("no engine, and nothing to do")
                    self._on_retire()
                    await asyncio.Event().wait()  # for ever: no engine may give it work now
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, REDIAL_AT_MOST_S)
                continue
            self._connected(channel)
            try:
                await self._lost.wait()
            finally:
                self._channel = None
                channel.close()
            lost_at = time.monotonic()
            pause = REDIAL_S

    @property
    def _is_idle(self) -> bool:
        """Whether no attempt lives here, and every report is safe."""
        with self._lock:
            return not self._live and (not self._kept or self._kept[-1].report.seq <= self._orphaned)

    # ---- the connection ----------------------------------------------------------------------------------------------

    def _greeting(self) -> Hello:
        with self._lock:
            live = dict(self._live)
            for kept in self._kept:
                if isinstance(kept.report.body, _FINAL):
                    run_id, fence = kept.report.run_id, kept.report.fence
                    live[fence] = LiveAttempt(run_id=run_id, fence=fence, attempt=kept.attempt)
        return msgspec.structs.replace(self._hello, live=tuple(live.values()))

    def _connected(self, channel: Channel) -> None:
        self._lost.clear()
        if channel.closed.is_set():
            self._lost.set()
            return
        self._channel = channel
        self._sent = 0
        self._send_kept()
        for question, _ in list(self._asked.values()):
            channel.send(question)

    def _closed(self, channel: Channel) -> None:
        if self._channel is channel:
            self._channel = None
        self._lost.set()

    def _send_kept(self) -> None:
        channel = self._channel
        if channel is None:
            return
        with self._lock:
            fresh = []
            for kept in reversed(self._kept):
                if kept.report.seq <= self._sent:
                    break
                fresh.append(kept.report)
            if fresh:
                self._sent = fresh[0].seq
        for report in reversed(fresh):
            channel.send(report)

    def _take(self, channel: Channel, message: AnyMessage) -> None:
        match message:
            case StartAttempt():
                with self._lock:
                    if message.fence in self._live:
                        return  # sent twice, around a reconnect
                    self._live[message.fence] = LiveAttempt(message.run_id, message.fence, message.attempt)
                self._on_start(message)
            case Ack(seq=seq, matches=matches):
                self._acknowledged(seq, matches)
            case Ping():
                channel.send(Pong())
            case StopAttempt():
                self._on_stop(message)
            case WaitsOver():
                self._on_results(message)
            case Reply(id=number, body=body):
                self._answer(number, lambda answer: answer.set_result(body))
            case Refused(id=number, error=error) if number < 0:
                problem = errors.from_wire(error)
                self._answer(number, lambda answer: answer.set_exception(problem))
            case Refused(id=seq, error=error) if seq:
                self._refused(seq, errors.from_wire(error))
            case Retire():
                self._on_retire()
            case _:
                logger.warning("a message that is not for workers: %s", type(message).__name__)

    def _answer(self, number: int, tell: Callable[[Future[ReplyBody]], None]) -> None:
        _, answer = self._asked.pop(number, (None, None))
        if answer is not None and answer.set_running_or_notify_cancel():
            tell(answer)

    def _acknowledged(self, seq: int, matches: tuple[Match, ...]) -> None:
        settled = []
        safe = []
        found = {match.asked: match for match in matches}
        with self._lock:
            while self._kept and self._kept[0].report.seq <= seq:
                kept = self._kept.popleft()
                if isinstance(kept.report.body, _FINAL):
                    safe.append(kept.report.fence)
                if kept.scope is not None:
                    settled.append(kept)
        for fence in safe:
            self._on_safe(fence)
        for kept in settled:
            assert kept.scope is not None
            if found and isinstance(kept.report.body, ChildTrigger):
                asked = {item.run_id for item in kept.report.body.items}
                kept.scope.match({name: found[name] for name in asked & found.keys()})
            kept.scope.settle(kept.report.seq)
        if not self._kept:
            if self._orphaned:
                self._orphaned = 0
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.orphans_path)
            self._clear.set()

    def _refused(self, seq: int, error: KernelKitError) -> None:
        with self._lock:
            found = next((kept for kept in self._kept if kept.report.seq == seq), None)
        if found is not None and found.scope is not None:
            found.scope.refuse(seq, error)

    def _write_orphans(self) -> None:
        """Put what nobody has taken into the home, for the next engine; once the file is safe, nobody waits for it."""
        with self._lock:
            waiting = [kept for kept in self._kept if kept.scope is not None]
            fresh = [kept.report for kept in self._kept if kept.report.seq > self._orphaned]
            has_end = any(isinstance(report.body, _FINAL) for report in fresh)
        for kept in waiting:
            assert kept.scope is not None
            kept.scope.abandon()
        if not has_end:
            return
        self._home.orphans.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.orphans_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with open(descriptor, "ab") as file:
            file.writelines(msgspec.json.encode(report) + b"\n" for report in fresh)
            file.flush()
            os.fsync(file.fileno())
        self._orphaned = fresh[-1].seq
        self._clear.set()
