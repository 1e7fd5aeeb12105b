"""How a command talks to its engine: one connection, one loop, ended with the command.

It stands on `wire` alone rather than on the client, which brings pydantic and a thread along: `kernelkit status` should
answer before one wonders. Every request may be sent twice (ids are made by whoever asks), so a connection that breaks
while an engine restarts is dialled again and the request repeated.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Self, TypeVar

from kernelkit import errors
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.wire.channel import Channel
from kernelkit.wire.launch import dial
from kernelkit.wire.messages import (
    AnyMessage,
    Follow,
    Hello,
    Refused,
    Reply,
    ReplyBody,
    Request,
    RequestBody,
    RunEnded,
    Welcome,
)

Answer = TypeVar("Answer", bound=ReplyBody)
TRIES = 5


class Link:
    """A connection to the engine of `home`, for use in a `with` block.

    `start`: start an engine when none answers. `explicit`: even after `kernelkit down`. `keep`: one that does not stop
    when idle.
    """

    def __init__(
        self, home: Home, *, start: bool = True, explicit: bool = False, keep: bool = False, timeout: float = 30.0
    ) -> None:
        self.home = home
        self._start, self._explicit, self._keep = start, explicit, keep
        self._timeout = timeout
        self._runner = asyncio.Runner()
        self._channel: Channel | None = None
        self._waiting: dict[int, asyncio.Future[ReplyBody]] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._number = 0
        self.welcome: Welcome | None = None

    def __enter__(self) -> Self:
        if not self._explicit and not self.home.path.is_dir():
            raise EngineUnavailableError(
                f"There is no KernelKit home at {self.home.path}: nothing has run here so far. "
                "Go to the project's folder, or name its home with --home.",
                home=str(self.home.path),
            )
        self._runner.__enter__()
        try:
            self._runner.run(self._connected())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._channel is not None:
            self._runner.run(self._close(self._channel))
        self._runner.close()

    def ask(self, body: RequestBody, kind: type[Answer]) -> Answer:
        """The engine's answer; raises what it refuses with, or `EngineUnavailableError` when none comes in time."""
        answer = self._runner.run(self._ask(body))
        if not isinstance(answer, kind):
            raise EngineUnavailableError(f"The engine answered {type(body).__name__} with {type(answer).__name__}.")
        return answer

    def wait_for(self, run_id: str, timeout: float | None) -> bool:
        """Wait until a run has ended; False when `timeout` seconds passed first."""
        return self._runner.run(self._wait_for(run_id, timeout))

    async def _connected(self) -> Channel:
        if self._channel is not None and not self._channel.closed.is_set():
            return self._channel
        hello = Hello(role="client", name="cli", pid=os.getpid(), started_at=0.0)
        self._channel, self.welcome = await dial(
            self.home,
            hello,
            on_message=self._received,
            on_close=self._lost,
            start=self._start,
            explicit=self._explicit,
            keep=self._keep,
        )
        return self._channel

    @staticmethod
    async def _close(channel: Channel) -> None:
        channel.close()
        async with asyncio.timeout(1):
            await channel.closed.wait()

    async def _ask(self, body: RequestBody) -> ReplyBody:
        deadline = time.monotonic() + self._timeout
        for _ in range(TRIES):
            channel = await self._connected()
            self._number += 1
            reply: asyncio.Future[ReplyBody] = asyncio.get_running_loop().create_future()
            self._waiting[self._number] = reply
            channel.send(Request(self._number, body))
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await reply
            except ConnectionError:
                continue
            except TimeoutError:
                break
        raise EngineUnavailableError(
            f"The engine for {self.home.path} does not answer. If it stays so, run `kernelkit restart`.",
            home=str(self.home.path),
        )

    async def _wait_for(self, run_id: str, timeout: float | None) -> bool:  # noqa: ASYNC109  of several connections
        ended = self._ended.setdefault(run_id, asyncio.Event())
        try:
            async with asyncio.timeout(timeout):
                while not ended.is_set():
                    channel = await self._connected()
                    self._number += 1
                    channel.send(Request(self._number, Follow((run_id,))))
                    both = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(channel.closed.wait())]
                    try:
                        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for one in both:
                            one.cancel()
        except TimeoutError:
            return False
        return True

    def _received(self, _: Channel, message: AnyMessage) -> None:
        match message:
            case Reply(id=number, body=body):
                if (reply := self._waiting.pop(number, None)) is not None and not reply.done():
                    reply.set_result(body)
            case Refused(id=number, error=error):
                if (reply := self._waiting.pop(number, None)) is not None and not reply.done():
                    reply.set_exception(errors.from_wire(error))
            case RunEnded(run=run):
                self._ended.setdefault(run.id, asyncio.Event()).set()
            case _:
                pass  # pushes that a command did not ask for

    def _lost(self, _: Channel) -> None:
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(ConnectionResetError())
        self._waiting.clear()
