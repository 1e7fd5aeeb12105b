"""Input streams: values that the world sends to a run, which takes them one after the other.

What was sent early waits for the run. `wait` suspends it, `once` and `on` keep it executing. What a newcomer would get
wrong: `wait` and `once` of one attempt share their place in the stream, and each attempt begins at the first value.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.durable import DurableWait, WaitInfo, moment_in
from kernelkit.authoring.named import NamedStream
from kernelkit.authoring.outbox import outbox_of
from kernelkit.authoring.pending import Pending, refuse_timeout
from kernelkit.authoring.reading import Reading
from kernelkit.authoring.scope import Scope, current_scope
from kernelkit.authoring.scope import scope as current
from kernelkit.authoring.waited import PendingWaited, Waited
from kernelkit.clock import to_datetime
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError
from kernelkit.models.run import Run
from kernelkit.models.wait import Wait
from kernelkit.rules.streams import check_chunk, input_key
from kernelkit.wire.messages import AppendStream, WaitResult

if TYPE_CHECKING:
    from kernelkit.authoring.handle import RunHandle

T = TypeVar("T")

logger = logging.getLogger(__name__)

Handler = Callable[[T], Awaitable[object] | object]


class Received(Waited[T]):
    """What came of a wait for an input: `.ok`, `.output`, `.error`; `.unwrap()` is the value, or raises
    `WaitTimeoutError`."""

    __slots__ = ("name",)

    def __init__(self, name: str, output: T | None, *, timed_out: bool) -> None:
        super().__init__(output, timed_out=timed_out)
        self.name = name

    def _told(self) -> str:
        return f"Nothing was sent to the input stream {self.name!r} in time."

    def _facts(self) -> dict[str, Any]:
        return {"stream": self.name}

    def __repr__(self) -> str:
        return f"<Received of {self.name!r}: {f'output={self.output!r}' if self.ok else 'timed out'}>"


class PendingInput(PendingWaited[Received[T], T]):
    """A `Pending` of a `Received`; `.unwrap()` is a Pending of the value itself."""

    __slots__ = ()


class InputStream(NamedStream[T]):
    """An input stream of that name, of any run.

    orders = kk.streams.input("orders", Order)
    order = await orders.wait(timeout="1h").unwrap()      # in the task: suspends it
    orders.send(run, Order(item="tea"))                   # from anywhere
    """

    def __init__(self, name: str, kind: Any = Any, *, caller: Caller | None = None) -> None:
        super().__init__(name, input_key(name), kind, caller)

    def send(self, run: RunHandle[Any] | Run | str, value: T) -> None:
        """Send a value to a run, at most 1 MB of JSON; outside a run it returns once that is on disk.

        Raises `RunOverError` for a run that has ended (inside a run at its next call), `UnknownRunError`,
        `PayloadValidationError` and `StreamFullError`.

            orders.send(run, Order(item="tea"))
        """
        text = self._typed.encode(value)
        check_chunk(self._key, text)
        run_id = run if isinstance(run, str) else run.id
        if not isinstance(run_id, str) or not run_id.startswith("run_"):
            raise InvalidOptionError(f"{run!r} is neither a run nor the id of one.", field="run")
        scope = current.get()
        if scope is not None:
            outbox = outbox_of(scope)
            outbox.append(self._key, text, run_id, "self")
            outbox.flush()
            return
        self._current().call(AppendStream(self._key, (text,), run_id, asked=uuid.uuid4().hex))

    def wait(self, timeout: Duration | None = None) -> PendingInput[T]:
        """Wait for the next value; the run is suspended meanwhile. The answer is a `Received`.

        Raises `NotInTaskError` outside a run.

            order = await orders.wait(timeout="1h").unwrap()
        """
        told = f"{self.name}.wait(…)"
        scope = current_scope(told)
        until = 0 if timeout is None else moment_in(scope, _timeout(timeout))
        place = _place_of(scope, self._key)

        def asked(taking: _Taking) -> DurableWait[Received[T]]:
            info = WaitInfo("stream", stream=self.name, date=to_datetime(until) if until else None)
            wait = Wait("stream", until, shown=self.name, stream=self._key, index=taking.index)
            return DurableWait(told, f"stream {self.name}", "", info, wait, partial(self._received, taking))

        async def start() -> Received[T]:
            with place.taken() as taking:
                return await scope.waits.wait(asked(taking))

        def plain(given: Duration | None) -> Received[T]:
            refuse_timeout(given, told)
            with place.taken() as taking:
                return scope.waits.wait_sync(asked(taking))

        return PendingInput(told, start, plain)

    def once(self, timeout: Duration | None = None) -> PendingInput[T]:
        """Wait for the next value and keep executing: for values that come soon. The answer is a `Received`.

        order = await orders.once(timeout=5)
        """
        told = f"{self.name}.once(…)"
        scope = current_scope(told)
        place = _place_of(scope, self._key)
        seconds = None if timeout is None else _timeout(timeout)

        async def start() -> Received[T]:
            with place.taken() as taking:
                try:
                    value = await anext(self._from(scope, taking.index, seconds))
                except (TimeoutError, StopAsyncIteration):
                    return Received(self.name, None, timed_out=True)
                taking.keep()
                return Received(self.name, value, timed_out=False)

        def plain(given: Duration | None) -> Received[T]:
            refuse_timeout(given, told)
            with place.taken() as taking:
                try:
                    value = next(self._from(scope, taking.index, seconds))
                except (TimeoutError, StopIteration):
                    return Received(self.name, None, timed_out=True)
                taking.keep()
                return Received(self.name, value, timed_out=False)

        return PendingInput(told, start, plain)

    def peek(self) -> Pending[T | None]:
        """The next value if there is one, else None; it stays the next.

        if await orders.peek() is not None: ...
        """
        told = f"{self.name}.peek()"
        scope = current_scope(told)
        place = _place_of(scope, self._key)

        async def start() -> T | None:
            return await anext(self._from(scope, place.next, None, follow=False), None)

        def plain(given: Duration | None) -> T | None:
            refuse_timeout(given, told)
            return next(self._from(scope, place.next, None, follow=False), None)

        return Pending(told, start, plain)

    def on(self, handler: Handler[T]) -> Listening:
        """Call `handler` with each value from the first on, as they come, until `.off()` or the attempt's end.

        While it listens the run keeps its slot. An error of the handler is logged. In a `def` task it is called on a
        thread of its own.

            with orders.on(print): ...
        """
        scope = current_scope(f"{self.name}.on(…)")
        if not callable(handler):
            raise InvalidOptionError(f"{handler!r} cannot be called.", field="handler")
        return Listening(self.name, handler, self._from(scope, 0, None))

    def _from(self, scope: Scope, index: int, timeout: float | None, *, follow: bool = True) -> Reading[T]:
        caller = self._current()
        run_id = scope.start.run_id
        return Reading(caller, run_id, self._key, self._typed.decode, start=index, timeout=timeout, follow=follow)

    def _received(self, taking: _Taking, result: WaitResult) -> Received[T]:
        if result.timed_out:
            return Received(self.name, None, timed_out=True)
        taking.keep()
        text = "null" if result.value is None else result.value.text or "null"
        return Received(self.name, self._typed.decode(text), timed_out=False)

    def __repr__(self) -> str:
        return f"<InputStream {self.name!r}: send(run, value), wait(), once(), on(handler), peek()>"


class Listening:
    """A handler that hears of each value of an input stream; `.off()` ends that, as does the end of a `with` block."""

    def __init__(self, name: str, handler: Handler[Any], reading: Reading[Any]) -> None:
        self._name = name
        self._handler = handler
        self._reading = reading
        self._task: asyncio.Task[None] | None = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(self._hear_plain,), name=f"on-{name}", daemon=True).start()
        else:
            self._task = loop.create_task(self._hear(), name=f"on-{name}")

    def off(self) -> None:
        """Hear no more. A second call does nothing."""
        self._reading.close()
        if self._task is not None:
            self._task.cancel()

    async def _hear(self) -> None:
        async for value in self._reading:
            try:
                answer = self._handler(value)
                if inspect.isawaitable(answer):
                    await answer
            except Exception:  # the next value may go well
                logger.exception("the handler of the input stream %r failed", self._name)

    def _hear_plain(self) -> None:
        while (value := next(self._reading, self)) is not self:
            try:
                answer = self._handler(value)
                if inspect.isawaitable(answer):
                    asyncio.run(_awaited(answer))
            except Exception:  # as above
                logger.exception("the handler of the input stream %r failed", self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()


class Place:
    """Where an attempt is in an input stream. A value that nobody got is the next one again."""

    def __init__(self) -> None:
        self._first = 0  # behind all that were taken
        self._free: list[int] = []  # before that, given back

    @property
    def next(self) -> int:
        return self._free[0] if self._free else self._first

    def taken(self) -> _Taking:
        return _Taking(self)

    def take(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._first += 1
        return self._first - 1

    def give_back(self, index: int) -> None:
        heapq.heappush(self._free, index)
        while self._free and max(self._free) == self._first - 1:
            self._first -= 1
            self._free.remove(self._first)
            heapq.heapify(self._free)


class _Taking:
    """The next value is taken inside the block; it is given back unless it was kept."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept = False
        self.index = 0

    def keep(self) -> None:
        self._kept = True

    def __enter__(self) -> Self:
        self.index = self._place.take()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self._place.give_back(self.index)


def _place_of(scope: Scope, key: str) -> Place:
    if scope.places is None:
        scope.places = {}
    return scope.places.setdefault(key, Place())


def _timeout(given: Duration) -> float:
    seconds = to_seconds(given, field="timeout")
    if not seconds:
        raise InvalidOptionError("timeout=0 leaves no time to wait; .peek() looks without waiting.", field="timeout")
    return seconds


async def _awaited(answer: Awaitable[object]) -> None:
    await answer
