"""Reading a stream: an iterator that asks for what comes behind the last value it had.

It holds nothing but an index, so it goes on after a lost connection, an engine that was started anew, or in another
process. What a newcomer would get wrong: it ends when the run is over, not when nothing comes for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelledError
from typing import Generic, Self, TypeVar

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.scope import current_scope
from kernelkit.models.stream import name_of_key
from kernelkit.wire.messages import ReadStream, ReplyBody, StreamChunks

T = TypeVar("T")

WAIT_S = 20.0  # for one answer, before it is asked for again


class Reading(Generic[T]):
    """The values of a stream, for `for` and `async for`.

    for token in tokens.read(run):
        print(token, end="")

    `.index` is that of the next value: give it as `start` to go on later.
    """

    def __init__(
        self,
        caller: Caller,
        run_id: str,
        key: str,
        decode: Callable[[str], T],
        *,
        start: int,
        timeout: float | None,
        follow: bool,
    ) -> None:
        """Use `Stream.read`."""
        self._caller = caller
        self._run_id = run_id
        self._key = key
        self._decode = decode
        self._timeout = timeout
        self._follow = follow
        self._fetched: deque[str] = deque()
        self._next = start
        self._is_over = False
        self._is_closed = False

    @property
    def index(self) -> int:
        """The index of the next value."""
        return self._next

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        since = time.monotonic()
        while not self._fetched:
            if self._is_over or self._is_closed:
                raise StopIteration
            try:
                reply = self._ask(self._left(since))
            except (TimeoutError, FutureCancelledError):
                raise self._nothing_came() from None
            self._take(reply)
        return self._give()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        since = time.monotonic()
        while not self._fetched:
            if self._is_over or self._is_closed:
                raise StopAsyncIteration
            answer = asyncio.wrap_future(self._caller.submit(self._question()))
            try:
                self._take(await asyncio.wait_for(answer, self._left(since)))
            except TimeoutError:
                raise self._nothing_came() from None
        return self._give()

    def close(self) -> None:
        """Read no more: the next step of the loop is its end."""
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _question(self) -> ReadStream:
        wait_s = WAIT_S if self._follow else 0.0
        return ReadStream(self._run_id, self._key, self._next, wait_s)

    def _ask(self, timeout: float | None) -> ReplyBody:
        if self._caller.inside_run:
            return current_scope("Reading a stream").waits.ask_sync(self._question(), timeout)
        return self._caller.submit(self._question()).result(timeout)

    def _left(self, since: float) -> float | None:
        return None if self._timeout is None else max(0.0, self._timeout - (time.monotonic() - since))

    def _take(self, reply: ReplyBody) -> None:
        assert isinstance(reply, StreamChunks)
        self._fetched.extend(reply.chunks)
        self._is_over = reply.is_over or (not self._follow and not reply.chunks)

    def _give(self) -> T:
        self._next += 1
        return self._decode(self._fetched.popleft())

    def _nothing_came(self) -> TimeoutError:
        return TimeoutError(
            f"No value came in the stream {name_of_key(self._key)!r} of {self._run_id} for {self._timeout:g} s. The "
            "run goes on; read on from .index whenever you like."
        )

    def __repr__(self) -> str:
        return f"<Reading of the stream {name_of_key(self._key)!r} of {self._run_id} at {self._next}>"
