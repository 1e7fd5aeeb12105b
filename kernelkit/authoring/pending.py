"""`Pending`: what calls that wait give back. Lazy like a coroutine: `await` it, or call `.result()` in a plain task.

Nothing is triggered or timed before that. What a newcomer would get wrong: one that a task never awaits has done
nothing, so such an attempt fails and names the call. A `RunHandle` is no Pending: its run exists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from kernelkit.authoring.result import Result
from kernelkit.authoring.scope import Scope, Site, call_site
from kernelkit.authoring.scope import scope as current
from kernelkit.durations import Duration
from kernelkit.errors import InvalidOptionError, KernelKitError, NeverAwaitedError

T = TypeVar("T")
U = TypeVar("U")

Start = Callable[[], Awaitable[T]]
StartPlain = Callable[[Duration | None], T]


class Pending(Generic[T]):
    """Something to wait for that has not begun: `await` it once, or call `.result()` where there is no `await`.

    value = await kk.step("charge", charge, order)
    kk.wait.for_(minutes=5).result()          # in a `def` task
    """

    __slots__ = ("_scope", "_site", "_start", "_start_plain", "_was_started", "told")

    def __init__(self, told: str, start: Start[T], start_plain: StartPlain[T]) -> None:
        self.told = told
        """The call that made it, for messages."""
        self._start = start
        self._start_plain = start_plain
        self._was_started = False
        self._site: Site | None = call_site()
        self._scope: Scope | None = current.get()
        if self._scope is not None:
            self._scope.expect(self)

    def __await__(self) -> Generator[Any, None, T]:
        self._begin()
        return self._start().__await__()

    def result(self, timeout: Duration | None = None) -> T:
        """Wait here; for plain functions. Raises the built-in `TimeoutError` after `timeout`."""
        self._begin()
        return self._start_plain(timeout)

    def _begin(self) -> None:
        if self._was_started:
            raise KernelKitError(f"{self.told} was awaited before; keep its answer, or call it once more.")
        self._taken()

    def _taken(self) -> None:
        self._was_started = True
        if self._scope is not None:
            self._scope.expected(self)

    def _unwrapping(self) -> Pending[Any]:
        """A Pending of what this one's answer unwraps to, in its place."""
        if self._was_started:
            raise KernelKitError(f"{self.told} was awaited before; call .unwrap() on its result.")
        self._taken()
        start: Start[Any] = self._start
        plain: StartPlain[Any] = self._start_plain
        return Pending(f"{self.told}.unwrap()", lambda: _unwrapped(start()), lambda timeout: plain(timeout).unwrap())

    def never_awaited(self) -> NeverAwaitedError:
        """What is wrong with a task that ends without having awaited this."""
        where = "" if self._site is None else f" in {self._site[0]}, line {self._site[1]},"
        return NeverAwaitedError(
            f"{self.told}{where} was never awaited, so it did nothing. Write `await {self.told}`, or "
            f"`{self.told}.result()` in a plain `def` task."
        )

    def __repr__(self) -> str:
        return f"<Pending {self.told}: await it, or call .result()>"


class PendingResult(Pending[Result[T]]):
    """A `Pending` of a `Result`; `.unwrap()` is a Pending of the output itself, which raises when there is none."""

    __slots__ = ()

    def unwrap(self) -> Pending[T]:
        """The output instead of the `Result`: `out = await child.trigger_and_wait(x=1).unwrap()`."""
        return self._unwrapping()


async def _unwrapped(under_way: Awaitable[Any]) -> Any:
    return (await under_way).unwrap()


def refuse_timeout(timeout: Duration | None, told: str) -> None:
    """For what has no use for a timeout of `.result()`."""
    if timeout is not None:
        raise InvalidOptionError(f"{told}.result() takes no timeout: it ends by itself.", field="timeout")
