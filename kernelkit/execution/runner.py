"""Runs one attempt of a task: payload in, the report of its end out. Knows no socket, process or engine.

`run_async_attempt` is awaited on any loop, `run_sync_attempt` blocks the thread it is called on; the worker and the
test engine both use them. What a newcomer would get wrong: nothing that a body does may get past these functions (see
`body.py`), and a task without hooks pays nothing for those that others have (`lifecycle.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from kernelkit.authoring.hooks import NO_HOOKS, HookSet
from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current
from kernelkit.errors import KernelKitError, NeverAwaitedError, PayloadValidationError
from kernelkit.execution.body import Arguments, BodyInterrupted, Ended, call_plain, completed, is_from_outside
from kernelkit.execution.ends import (
    Outcome,
    after_the_rest,
    encoded,
    ended_badly,
    failed,
    measured,
    stopped,
    succeeded,
    with_refusals,
)
from kernelkit.execution.lifecycle import run_hooked, run_hooked_plain
from kernelkit.execution.loop_waits import LoopWaits
from kernelkit.execution.thread_waits import ThreadWaits
from kernelkit.execution.waiting import left_behind
from kernelkit.models.value import Value
from kernelkit.wire.messages import Failed, Stopped, Succeeded


class Shape(Protocol):
    """What the runner needs of `authoring.signature.Signature`."""

    @property
    def injections(self) -> Mapping[str, Literal["ctx", "signal", "init"]]: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...
    @property
    def whole(self) -> bool: ...
    def parse(self, text: str, /) -> Arguments: ...
    def encode_output(self, value: Any, /) -> str: ...


class Loaded(Protocol):
    """What the runner needs of a task taken from its bundle (`authoring.bundle.LoadedTask`)."""

    @property
    def task_id(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def signature(self) -> Shape: ...
    @property
    def hooks(self) -> HookSet: ...
    def fill_linecache(self) -> None:
        """Called before an error is described: another task's cell of the same number may have been shown last."""
        ...


async def run_async_attempt(loaded: Loaded, scope: Scope) -> Outcome:
    """Run an `async def` task here and say how it ended."""
    current.set(scope)
    scope.task = asyncio.current_task()
    scope.begin(LoopWaits)
    try:
        begun = _begin(loaded, scope)
        if isinstance(begun, Failed | Stopped):
            return begun
        if loaded.hooks is not NO_HOOKS:
            outcome = await run_hooked(loaded, scope, begun)
        else:
            value: Any = None  # what a person's function returned
            error: BaseException | None = None
            try:
                scope.in_body = True
                body = loaded.function(*begun[0], **begun[1])
                del begun  # as soon as the body has no use for its arguments, nobody has
                value = await body
                scope.in_body = False
            except BaseException as problem:
                scope.in_body = False
                if is_from_outside(problem, scope):
                    raise
                error = problem
            outcome = _end(loaded, scope, (value, error))
        if scope.rest is not None:
            await scope.rest.finish()
            outcome = after_the_rest(scope, outcome)
        if isinstance(outcome, Succeeded) and scope.has_open_reports:
            await scope.settled().wait()
        return measured(scope, with_refusals(scope, outcome))
    finally:
        if current.get() is scope:  # the collector closes a body that never goes on, in the midst of another run
            current.set(None)
        scope.task = None


def run_sync_attempt(loaded: Loaded, scope: Scope) -> Outcome:
    """Run a `def` task on this thread and say how it ended."""
    token = current.set(scope)
    scope.begin(ThreadWaits)
    try:
        begun = _begin(loaded, scope)
        if isinstance(begun, Failed | Stopped):
            return begun
        if loaded.hooks is not NO_HOOKS:
            outcome = run_hooked_plain(loaded, scope, begun)
        else:
            outcome = _end(loaded, scope, call_plain(loaded.function, begun, scope))
        if scope.rest is not None:
            with contextlib.suppress(BodyInterrupted):  # the attempt is being stopped, and has ended what it could
                scope.rest.finish_sync()
            outcome = after_the_rest(scope, outcome)
        if isinstance(outcome, Succeeded) and scope.has_open_reports:
            scope.settled().wait_sync()
        return measured(scope, with_refusals(scope, outcome))
    finally:
        current.reset(token)


async def stop_body(task: asyncio.Task[Any], scope: Scope, reason: str, *, signal_s: float) -> None:
    """Ask an async attempt, run by `task`, to stop: the signal, time to obey it for a body that takes it, then one
    cancellation. Returns when that much is done; the body may still be ending."""
    scope.stop_reason = reason
    scope.signal.set(reason)
    if scope.takes_signal and signal_s > 0:
        await asyncio.wait([task], timeout=signal_s)
    if scope.in_body and not scope.interrupted and not task.done():
        scope.interrupted = True
        task.cancel()


def _begin(loaded: Loaded, scope: Scope) -> Arguments | Failed | Stopped:
    """The arguments of the body, else the failure of a payload that does not fit, or the end before the beginning."""
    if scope.stopping:
        return stopped(scope)
    signature = loaded.signature
    try:
        args, kwargs = signature.parse(scope.start.payload.text or "null")
    except KernelKitError as error:
        return failed(scope, error, retry=False)
    except Exception as error:  # validators of a person's own types may raise anything
        loaded.fill_linecache()
        told = f"The payload of {loaded.task_id} could not be read: {type(error).__name__}: {error}"
        wrapped = PayloadValidationError(told).with_traceback(error.__traceback__)
        return failed(scope, wrapped, retry=False)
    for name, wanted in signature.injections.items():
        if wanted == "ctx":
            kwargs[name] = scope.context
        elif wanted == "init":
            kwargs[name] = {}  # unless there are init hooks
        else:
            kwargs[name] = scope.signal
            scope.takes_signal = True
    return args, kwargs


def _end(loaded: Loaded, scope: Scope, ended: Ended) -> Outcome:
    value, error = completed(ended)
    if error is None and (left := left_behind(scope)) is not None:
        return ended_badly(scope, left, retry=not isinstance(left, NeverAwaitedError))
    if error is not None:
        loaded.fill_linecache()
        return ended_badly(scope, error)
    output = encoded(loaded.signature.encode_output, value, loaded.task_id)
    return succeeded(scope, output) if isinstance(output, Value) else ended_badly(scope, output, retry=False)
