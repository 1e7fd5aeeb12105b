"""What a middleware is given as `next`, and what can be wrong with how it used it.

What a newcomer would get wrong: `next()` may be called by a plain function, which cannot await it. Around a plain task
the rest then runs at once; around an `async def` task it has to return what `next()` gave it, or nothing runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from kernelkit.authoring.hooks import Hook
from kernelkit.errors import KernelKitError


class Next:
    """`next` of one middleware: `await next()`, once. In a plain task a plain middleware calls it without `await`."""

    def __init__(
        self,
        hook: Hook,
        rest: Callable[[], Coroutine[Any, Any, None]],
        finish: Callable[[Coroutine[Any, Any, None]], bool],
    ) -> None:
        self._hook = hook
        self._rest = rest
        self._finish = finish
        self._called = False
        self._done = False

    def __call__(self) -> Awaitable[None]:
        if self._called:
            raise KernelKitError(f"{self._hook.told} called next() a second time, and a task is called once.")
        self._called = True
        work = self._go()
        if not self._finish(work):
            work.close()
        return _Following(self)

    async def _go(self) -> None:
        if not self._done:
            await self._rest()
            self._done = True

    def misuse(self) -> KernelKitError | None:
        """What is wrong with how the middleware used it, now that it has returned."""
        if self._done:
            return None
        if not self._called:
            words = "returned without `await next()`, so the task was not called."
        elif inspect.iscoroutinefunction(self._hook.function):
            words = "called next() without awaiting it, so the task was not called. Write `await next()`."
        else:
            words = (
                "is a plain function around an `async def` task, so it cannot wait for next(). Make it `async def`, "
                "or let it `return next()`."
            )
        return KernelKitError(f"{self._hook.told} {words}")


class _Following:
    """What `next()` returns: nothing happens before it is awaited, and nothing warns if it never is."""

    __slots__ = ("_next",)

    def __init__(self, following: Next) -> None:
        self._next = following

    def __await__(self) -> Generator[Any, None, None]:
        return self._next._go().__await__()
