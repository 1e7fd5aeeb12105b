"""The engine's end of a worker's line, for tests with real worker processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernelkit.authoring.bundle import make_bundle, write_bundle
from kernelkit.authoring.surroundings import write_environment
from kernelkit.config import Home
from kernelkit.models.environment import Environment
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel, serve
from kernelkit.wire.discovery import bind, socket_path_of
from tests.execution.attempts import start_of

DEADLINE_S = 20.0


class FakeEngine:
    """Answers one worker; `reports` and `lines` are what came from it. With `acks` off nothing is acknowledged."""

    def __init__(self, home: Home, kind: str = "shared") -> None:
        self.home = home.create()
        self.kind = kind
        self.acks = True
        self.hellos: list[m.Hello] = []
        self.reports: list[m.Report] = []
        self.logs: list[m.WorkerLogs] = []
        self.pongs = 0
        self.refuse: Callable[[m.Report], dict[str, Any] | None] = lambda report: None
        self.channel: Channel | None = None
        self.worker: subprocess.Popen[bytes]
        self._news = asyncio.Condition()
        self._lifeline = -1
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> FakeEngine:
        await self.listen()
        environment = Environment(
            python=sys.executable, cwd=str(self.home.path), path=tuple(sys.path), variables=dict(os.environ)
        )
        write_environment(self.home, environment)
        reading, self._lifeline = os.pipe()
        command = [sys.executable, "-P", "-m", "kernelkit.execution.worker", "--home", str(self.home.path)]
        # An id of its own: when its lifeline is cut, a worker ends every process on the machine that bears its id, and
        # the tests of keepers, which may run meanwhile, have workers as well.
        worker_id = f"w_{secrets.token_hex(6)}"
        command += ["--env", environment.id, "--id", worker_id, "--kind", self.kind, "--lifeline", str(reading)]
        with (self.home.path / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(  # noqa: ASYNC220  # the tests want the process, not its streams
                command,
                pass_fds=(reading,),
                start_new_session=True,
                cwd=self.home.path,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        os.close(reading)
        await self.until(lambda: bool(self.hellos))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut_lifeline()
        await asyncio.to_thread(self.worker.wait, 10)
        await self.hang_up()

    def cut_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def listen(self) -> None:
        self._server = await serve(bind(socket_path_of(self.home)), self._take, lambda channel: None)

    async def hang_up(self) -> None:
        """Go away as an engine that dies."""
        if self._server is not None:
            self._server.close()
            socket_path_of(self.home).unlink(missing_ok=True)
            self._server = None
        if self.channel is not None:
            self.channel.abort("the engine died")
            self.channel = None

    def _take(self, channel: Channel, message: m.AnyMessage) -> None:
        match message:
            case m.Hello():
                self.channel = channel
                self.hellos.append(message)
                channel.send(m.Welcome(os.getpid(), m.PROTOCOL, "0", str(self.home.path), 0))
            case m.Report(seq=seq):
                self.reports.append(message)
                if (error := self.refuse(message)) is not None:
                    channel.send(m.Refused(seq, error))
                if self.acks:
                    channel.send(m.Ack(seq))
            case m.WorkerLogs():
                self.logs.append(message)
            case m.Pong():
                self.pongs += 1
            case _:
                raise AssertionError(message)
        asyncio.get_running_loop().create_task(self._tell())  # ends by itself at once

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, true: Callable[[], bool], *, within_s: float = DEADLINE_S) -> None:
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(true)

    def send(self, message: m.AnyMessage) -> None:
        assert self.channel is not None
        self.channel.send(message)

    def start(self, function: Callable[..., Any], payload: object = None, **changes: Any) -> m.StartAttempt:
        """Ship a function and have the worker run it."""
        bundle = make_bundle(function, task_id="a-task").check()
        write_bundle(self.home, bundle)
        return self.start_again(bundle.hash, payload, **changes)

    def start_again(self, bundle: str, payload: object = None, **changes: Any) -> m.StartAttempt:
        run_id = changes.pop("run_id", f"run_{len(self.reports)}_{os.urandom(3).hex()}")
        start = start_of(payload, run_id=run_id, fence=f"f_{run_id}", bundle=bundle, **changes)
        self.send(start)
        return start

    def bodies(self, start: m.StartAttempt) -> list[m.ReportBody]:
        return [report.body for report in self.reports if report.run_id == start.run_id]

    def end_of(self, start: m.StartAttempt) -> m.ReportBody | None:
        ends = [body for body in self.bodies(start) if isinstance(body, m.Succeeded | m.Failed | m.Stopped)]
        return ends[-1] if ends else None

    async def ended(self, start: m.StartAttempt, *, within_s: float = DEADLINE_S) -> m.ReportBody:
        await self.until(lambda: self.end_of(start) is not None, within_s=within_s)
        end = self.end_of(start)
        assert end is not None
        return end

    async def began(self, start: m.StartAttempt) -> None:
        await self.until(lambda: any(isinstance(body, m.Started) for body in self.bodies(start)))

    def lines(self, start: m.StartAttempt) -> list[tuple[str, str]]:
        return [(line.level, line.text) for batch in self.logs if batch.run_id == start.run_id for line in batch.lines]

    def dropped(self, start: m.StartAttempt) -> int:
        return sum(batch.dropped for batch in self.logs if batch.run_id == start.run_id)

    async def wait_for_exit(self) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.worker.wait), DEADLINE_S)
