"""`kk.wait_until_done(awaitable)`: work that may go on when the body has returned, but that the run's end waits for.

What a newcomer would get wrong: such work cannot fail the run. Its body has had its say; what goes wrong afterwards is
written to the run's log. When the run is canceled this work is canceled with it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import traceback
from collections.abc import Awaitable
from typing import Any

from kernelkit.authoring.scope import Scope, current_scope
from kernelkit.errors import InvalidOptionError

Work = Awaitable[Any] | concurrent.futures.Future[Any]  # what comes of it is dropped


def wait_until_done(awaitable: Work) -> None:
    """Have the run end only after `awaitable`: a coroutine, a task or future, or a future of a thread pool.

    In an `async def` task a coroutine starts at once and runs beside the body; in a `def` task, which has no event
    loop, it runs when the body has returned. An error in it is logged and leaves the run's result as it is.

        kk.wait_until_done(upload_statistics(rows))
        return rows
    """
    scope = current_scope("kk.wait_until_done(…)")
    if not isinstance(awaitable, concurrent.futures.Future) and not inspect.isawaitable(awaitable):
        hint = "Call the async function: kk.wait_until_done(f()), not kk.wait_until_done(f)."
        raise InvalidOptionError(f"kk.wait_until_done takes something to await, not {awaitable!r}. {hint}")
    if scope.rest is None:
        scope.rest = Rest(scope)
    scope.rest.add(awaitable)


class Rest:
    """What an attempt still waits for once its body has ended."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._open: list[Work] = []

    def add(self, work: Work) -> None:
        self._open.append(_under_way(work) if _has_loop() else work)

    async def finish(self) -> None:
        """Return once all of it has ended, also what it adds meanwhile; a cancel of the run cancels it."""
        scope = self._scope
        while self._open:
            works, self._open = [_under_way(work) for work in self._open], []
            if scope.stopping and (scope.interrupted or not scope.takes_signal):
                _cancel(works)
            try:
                scope.in_body = True  # so that a cancel reaches us
                await asyncio.wait(works)
            except asyncio.CancelledError:
                _cancel(works)
                if not scope.stopping:
                    raise
                await asyncio.wait(works)
            finally:
                scope.in_body = False
            for work in works:
                self._tell(work)

    def finish_sync(self) -> None:
        """As `finish`, for a thread without a loop."""
        asyncio.run(self.finish())

    def _tell(self, work: asyncio.Future[Any]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            text = "".join(traceback.format_exception(error)).rstrip()
            self._scope.emit("error", f"kk.wait_until_done: this failed (the run's result stands):\n{text}")


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _under_way(work: Work) -> asyncio.Future[Any]:
    if isinstance(work, concurrent.futures.Future):
        return asyncio.wrap_future(work)
    return asyncio.ensure_future(work)


def _cancel(works: list[asyncio.Future[Any]]) -> None:
    for work in works:
        work.cancel()
