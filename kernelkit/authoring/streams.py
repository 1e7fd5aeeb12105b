"""`kk.streams`: values that a run gives away while it works, such as the tokens of a model.

What is appended is durable, can be read live from any process of the project, and again from any index as long as the
run is kept. What a newcomer would get wrong: an attempt that is tried again appends again, behind what the one before
had appended; one that is resumed does not.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.inputs import InputStream
from kernelkit.authoring.named import NamedStream
from kernelkit.authoring.outbox import Appended, Target, outbox_of
from kernelkit.authoring.pending import Pending, refuse_timeout
from kernelkit.authoring.reading import Reading
from kernelkit.authoring.scope import current_scope
from kernelkit.authoring.scope import scope as current
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError, NotInTaskError
from kernelkit.models.run import Run
from kernelkit.models.stream import StreamTail
from kernelkit.rules.streams import check_chunk, output_key
from kernelkit.wire.messages import AppendStream, ListStreams, ReplyBody, StreamList

T = TypeVar("T")

IN_FLIGHT = 64
"""Appends of a pipe outside a run that may be on their way at once."""

AnyRun = RunHandle[Any] | Run | str
_RELATIVES: tuple[Target, ...] = ("self", "parent", "root")


class Stream(NamedStream[T]):
    """An output stream of that name, of any run.

    tokens = kk.streams.define("tokens", str)
    await tokens.append("hi")                 # in a task
    async for token in tokens.read(run): ...  # anywhere
    """

    def __init__(self, name: str, kind: Any = Any, *, caller: Caller | None = None) -> None:
        super().__init__(name, output_key(name), kind, caller)

    def append(self, value: T, *, target: AnyRun = "self") -> Appended:
        """Add a value, in a task at once and without waiting; `await` it where values come fast.

        `target` is whose stream: "self", "parent" or "root" inside a run (one without parent is its own), or any run or
        run id. Outside a run it returns once the value is on disk. Raises `NotInTaskError` outside a run without a
        target, `PayloadValidationError` for a value of another type, `StreamFullError` over 512 KiB, and
        `RunOverError` for a run that has ended; inside a run such a refusal comes at its next call.

            await tokens.append("hi")
        """
        text = self._encoded(value)
        run_id, relative = whose(target)
        scope = current.get()
        if scope is not None:
            return outbox_of(scope).append(self._key, text, run_id, relative)
        caller = self._current()
        caller.call(self._outside(text, run_id, relative))
        return Appended()

    def pipe(self, source: Iterable[T] | AsyncIterable[T], *, target: AnyRun = "self") -> Piped[T]:
        """Append whatever `source` gives. Await it for a list of all values, or go through them as they come.

        text = "".join(await tokens.pipe(model.stream(prompt)))
        async for token in tokens.pipe(model.stream(prompt)): ...
        """
        if not isinstance(source, Iterable | AsyncIterable):
            raise InvalidOptionError(f"{source!r} gives no values one by one: it is not iterable.", field="source")
        return Piped(self, source, target)

    def read(
        self,
        run: AnyRun = "self",
        *,
        start: int = 0,
        timeout: Duration | None = None,
        follow: bool = True,
    ) -> Reading[T]:
        """The values of a run's stream from index `start` on, for `for` and `async for`, until the run is over.

        `timeout` is how long to wait for the next one before `TimeoutError` is raised. With `follow` False the loop
        ends behind what is there now. Raises `UnknownRunError`.

            async for token in tokens.read(run, start=10): ...
        """
        caller = self._current()
        return Reading(
            caller,
            _read_whose(run),
            self._key,
            self._typed.decode,
            start=checked_start(start),
            timeout=None if timeout is None else to_seconds(timeout, field="timeout"),
            follow=follow,
        )

    def _encoded(self, value: T) -> str:
        text = self._typed.encode(value)
        check_chunk(self._key, text)
        return text

    def _outside(self, text: str, run_id: str, relative: Target) -> AppendStream:
        if not run_id:
            raise NotInTaskError(
                f"Outside of a run there is no {'run' if relative == 'self' else relative} whose stream this could be. "
                f"Name one: .append(value, target=run)."
            )
        return AppendStream(self._key, (text,), run_id, asked=uuid.uuid4().hex)

    def __repr__(self) -> str:
        return f"<Stream {self.name!r}: append(value), pipe(source), read(run)>"


class Piped(Pending[list[T]]):
    """A source on its way into a stream, not begun yet: `await` it, go through it, or call `.result()`."""

    __slots__ = ("_source", "_stream", "_target")

    def __init__(self, stream: Stream[T], source: Iterable[T] | AsyncIterable[T], target: AnyRun) -> None:
        self._stream = stream
        self._source = source
        self._target = target
        told = f"{stream.name}.pipe(…)"

        def plain(timeout: Duration | None) -> list[T]:
            refuse_timeout(timeout, told)
            return list(self._each())

        super().__init__(told, self._all, plain)

    async def _all(self) -> list[T]:
        return [value async for value in self._each_async()]

    def __aiter__(self) -> AsyncIterator[T]:
        self._begin()
        return self._each_async()

    def __iter__(self) -> Iterator[T]:
        self._begin()
        return self._each()

    async def _each_async(self) -> AsyncIterator[T]:
        source, append = self._source, self._appender()
        if isinstance(source, AsyncIterable):
            async for value in source:
                await append(value)
                yield value
        else:
            for value in source:
                await append(value)
                yield value
        append.finish()

    def _each(self) -> Generator[T]:
        source, append = self._source, self._appender()
        if not isinstance(source, Iterable):
            raise InvalidOptionError(
                f"{self.told} reads an async source: go through it with `async for`, or await it.", field="source"
            )
        for value in source:
            append(value)
            yield value
        append.finish()

    def _appender(self) -> _Appender[T]:
        return _Appender(self._stream, self._target)


class _Appender(Generic[T]):
    """Appends one value after the other; outside a run, without waiting for each to be on disk."""

    def __init__(self, stream: Stream[T], target: AnyRun) -> None:
        self._stream = stream
        self._target = target
        self._inside = current.get() is not None
        self._flying: deque[Future[ReplyBody]] = deque()

    def __call__(self, value: T) -> Appended:
        if self._inside:
            return self._stream.append(value, target=self._target)
        stream = self._stream
        body = stream._outside(stream._encoded(value), *whose(self._target))
        self._flying.append(stream._current().submit(body))
        if len(self._flying) > IN_FLIGHT:
            self._flying.popleft().result()
        return Appended()

    def finish(self) -> None:
        while self._flying:
            self._flying.popleft().result()


class Streams:
    """The streams of runs.

    tokens = kk.streams.define("tokens", str)
    orders = kk.streams.input("orders", Order)
    kk.streams.append("hi")                    # to the stream `default` of the current run
    kk.streams.list(run)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def define(self, name: str, type: Any = Any) -> Stream[Any]:  # the word that people know
        """An output stream: `name`, and what its values are (a type pydantic knows; without one, any JSON).

        Two definitions of one name mean the same stream. Raises `InvalidOptionError`.

            tokens = kk.streams.define("tokens", str)
        """
        return Stream(name, type, caller=self._caller)

    def input(self, name: str, type: Any = Any) -> InputStream[Any]:  # as above
        """An input stream, through which the world speaks to a running task: see `InputStream`.

        orders = kk.streams.input("orders", Order)
        """
        return InputStream(name, type, caller=self._caller)

    def append(self, value: Any, name: str = "default", *, target: AnyRun = "self") -> Appended:
        """Add a value to the stream `name`, as `Stream.append` does.

        kk.streams.append({"row": 17}, "rows")
        """
        return self.define(name).append(value, target=target)

    def pipe(
        self, source: Iterable[T] | AsyncIterable[T], name: str = "default", *, target: AnyRun = "self"
    ) -> Piped[T]:
        """Append whatever `source` gives, as `Stream.pipe` does.

        text = "".join(await kk.streams.pipe(model.stream(prompt), "tokens"))
        """
        return cast(Piped[T], self.define(name).pipe(source, target=target))

    def read(
        self,
        run: AnyRun = "self",
        name: str = "default",
        *,
        start: int = 0,
        timeout: Duration | None = None,
        follow: bool = True,
    ) -> Reading[Any]:
        """The values of the stream `name` of a run, as `Stream.read` gives them.

        for token in kk.streams.read(run, "tokens"): ...
        """
        return self.define(name).read(run, start=start, timeout=timeout, follow=follow)

    def list(self, run: AnyRun = "self") -> tuple[StreamTail, ...]:
        """The streams that a run has, input streams among them: `.name`, `.is_input`, `.count`, `.size` in bytes.

        Raises `UnknownRunError`.

            [stream.name for stream in kk.streams.list(run)]
        """
        reply = (self._caller or callers.current()).call(ListStreams(_read_whose(run)))
        assert isinstance(reply, StreamList)
        return reply.streams

    def __repr__(self) -> str:
        return "<kk.streams: define(name, type), input(name, type), append(value), pipe(source), read(run), list(run)>"


def whose(target: AnyRun) -> tuple[str, Target]:
    """The run that a target names, "" where it is one of the attempt's own, and which of these."""
    if isinstance(target, RunHandle | Run):
        return target.id, "self"
    for relative in _RELATIVES:
        if target == relative:
            return "", relative
    if isinstance(target, str) and target.startswith("run_"):
        return target, "self"
    raise InvalidOptionError(
        f'target={target!r} is neither "self", "parent" nor "root", nor a run or its id.', field="target"
    )


def checked_start(start: object) -> int:
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise InvalidOptionError(f"start={start!r} is not an index: 0, 1, 2, …", field="start")
    return start


def _read_whose(run: AnyRun) -> str:
    run_id, relative = whose(run)
    if run_id:
        return run_id
    if current.get() is None:
        raise NotInTaskError("Outside of a run, say whose stream is to be read: .read(run).")
    start = current_scope().start
    return {"parent": start.parent_id, "root": start.root_id}.get(relative) or start.run_id


streams = Streams()
