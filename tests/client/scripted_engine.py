"""The engine's end of the wire in a thread, which answers as a test says and can be cut off and brought back."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

from kernelkit.clock import to_datetime
from kernelkit.config import Home
from kernelkit.errors import KernelKitError, to_wire
from kernelkit.models.run import Run, RunStatus
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel, serve
from kernelkit.wire.discovery import bind, socket_path_of

Answer = Callable[[m.RequestBody], m.ReplyBody | KernelKitError | None]

WITHIN_S = 10.0


class ScriptedEngine:
    """Listens at the home's socket."""

    def __init__(self, home: Home, answer: Answer | None = None) -> None:
        self.home = home.create()
        self.answer: Answer = answer or (lambda body: m.Done())
        self.got: list[m.Request] = []
        self.hellos: list[m.Hello] = []
        self.channels: list[Channel] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-engine")
        self._thread.start()
        self._server: asyncio.AbstractServer | None = None
        self.listen()

    def listen(self) -> None:
        self._do(self._listen())

    def cut(self) -> None:
        """End all connections and listen no more, as if killed."""
        self._do(self._cut())

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def push(self, message: m.AnyMessage) -> None:
        def send() -> None:
            for channel in self.channels:
                channel.send(message)

        self._loop.call_soon_threadsafe(send)

    def wait_for(self, enough: Callable[[list[m.Request]], bool]) -> list[m.Request]:
        """All requests so far, once `enough` holds for them."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self.got), WITHIN_S), self.got
            return list(self.got)

    def bodies(self, kind: type) -> list[Any]:  # messages of that kind
        return [request.body for request in self.got if isinstance(request.body, kind)]

    def _do(self, work: Any) -> None:  # a coroutine
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    async def _listen(self) -> None:
        self._server = await serve(bind(socket_path_of(self.home)), self._hello, self._lost)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for channel in self.channels:
            channel.close()
        self.channels.clear()
        await asyncio.sleep(0)

    def _hello(self, channel: Channel, message: m.AnyMessage) -> None:
        assert isinstance(message, m.Hello)
        self.hellos.append(message)
        self.channels.append(channel)
        channel.on_message = self._request
        channel.send(m.Welcome(os.getpid(), m.PROTOCOL, "0", str(self.home.path), 0))

    def _lost(self, channel: Channel) -> None:
        if channel in self.channels:
            self.channels.remove(channel)

    def _request(self, channel: Channel, message: m.AnyMessage) -> None:
        assert isinstance(message, m.Request)
        with self._changed:
            self.got.append(message)
            self._changed.notify_all()
        answer = self.answer(message.body)
        if isinstance(answer, KernelKitError):
            channel.send(m.Refused(message.id, to_wire(answer)))
        elif answer is not None and not isinstance(message.body, m.Follow | m.BatchPart):
            channel.send(m.Reply(message.id, answer))


def a_run(run_id: str = "run_1", status: RunStatus = RunStatus.COMPLETED) -> Run:
    return Run(id=run_id, task_id="t", status=status, created_at=to_datetime(0), queue="q", output_json="1")
