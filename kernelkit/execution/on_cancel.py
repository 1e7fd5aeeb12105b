"""The on_cancel hooks of one attempt: they run beside the body, and may await how it ends.

What a newcomer would get wrong: they are not called by `Calls` as other hooks are, since it is the body that may be
stopped meanwhile; and they do not end with the body, but get the rest of their time.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any

from kernelkit.authoring.hooks import Hook
from kernelkit.authoring.scope import Scope
from kernelkit.errors import KernelKitError, RunCanceledError
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.calls import Beside, Calls

CANCEL_S = 30.0  # for all on_cancel hooks of a run together


class OnCancel:
    """The hooks, and the end of the body that they may wait for. `log` takes in what a hook raises."""

    def __init__(
        self,
        hooks: tuple[Hook, ...],
        scope: Scope,
        calls: Calls,
        offered: Mapping[str, Any],
        log: Callable[[Hook, BaseException], None],
    ) -> None:
        self._hooks = hooks
        self._scope = scope
        self._calls = calls
        self._offered = offered
        self._log = log
        self._beside: Beside | None = None
        self.body = BodyEnd()

    def begin(self) -> None:
        if self._hooks:
            self._beside = self._calls.beside(self._run)

    async def _run(self) -> None:
        """Beside the body: wait for the signal, then call the hooks; an error of one ends the rest."""
        await self._scope.signal.wait()
        if not self._scope.canceled:
            return
        for hook in self._hooks:
            try:  # not by `Calls`: the body is what may be stopped now
                made = hook.function(**hook.arguments({**self._offered, "run": self.body}))
                if inspect.isawaitable(made):
                    await made
            except asyncio.CancelledError:  # its time is over
                raise
            except BaseException as error:
                self._log(hook, error)
                return

    async def end(self) -> None:
        """The body is over: nobody waits for it any more, and the hooks of a cancel get the rest of their time."""
        self.body.told(None, RunCanceledError("The run was canceled before its task was called."))
        beside, self._beside = self._beside, None
        if beside is None:
            return
        scope = self._scope
        if scope.stop_reason is not None:
            scope.signal.set(scope.stop_reason)
        if not await beside.end(CANCEL_S if scope.stopping and scope.canceled else 0.0):
            scope.emit("error", f"on_cancel took longer than {CANCEL_S:g} s and was ended")


class BodyEnd:
    """`run` of an on_cancel hook: await it for what the body returned; it raises what the body raised.

    A body that was stopped by the cancel raises `RunCanceledError` here. A plain hook calls `run.result(timeout=…)`.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._future: Future[Any] = Future()
        self._future.set_running_or_notify_cancel()  # whoever stops waiting for it does not cancel it

    def told(self, value: Any, error: BaseException | None) -> None:
        """The body has ended; what it is told first counts."""
        if self._future.done():
            return
        if isinstance(error, asyncio.CancelledError | BodyInterrupted):
            stopped_by = RunCanceledError("The task was stopped by the cancel, so it has no output.")
            stopped_by.__cause__ = error
            error = stopped_by
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)

    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout: float | None = None) -> Any:
        """For plain hooks: block until the body has ended."""
        if threading.get_ident() == self._thread and not self._future.done():
            raise KernelKitError("run.result() would block the loop that the task runs on. Use `await run`.")
        return self._future.result(timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()
