"""Runs one attempt of a task: payload in, the report of its end out. Knows no socket, process or engine.

`run_async_attempt` is awaited on any loop, `run_sync_attempt` blocks the thread it is called on; the worker and the
test engine both use them. What a newcomer would get wrong: nothing that a body does may get past these functions, not
`sys.exit`, not a `CancelledError` of its own. Only a cancellation that `stop_body` did not ask for passes, since then
whoever owns the loop is going away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from kernelkit.authoring.context import Scope
from kernelkit.authoring.context import scope as current
from kernelkit.errors import (
    AbortTaskRunError,
    KernelKitError,
    OutOfMemoryError,
    OutputTooLargeError,
    PayloadValidationError,
)
from kernelkit.execution.failure import describe
from kernelkit.models.value import MAX_OUTPUT_BYTES, Value
from kernelkit.wire.messages import Failed, Stopped, Succeeded

Outcome = Succeeded | Failed | Stopped
Arguments = tuple[tuple[Any, ...], dict[str, Any]]  # of a person's function


class Shape(Protocol):
    """What the runner needs of `authoring.signature.Signature`."""

    @property
    def injections(self) -> Mapping[str, Literal["ctx", "signal"]]: ...
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


class BodyInterrupted(BaseException):
    """Raised in the main thread of an exclusive worker to stop a plain function (the interrupt of a cancel)."""


async def run_async_attempt(loaded: Loaded, scope: Scope) -> Outcome:
    """Run an `async def` task here and say how it ended."""
    token = current.set(scope)
    try:
        begun = _begin(loaded, scope)
        if isinstance(begun, Failed | Stopped):
            return begun
        args, kwargs = begun
        try:
            scope.in_body = True
            value = await loaded.function(*args, **kwargs)
            scope.in_body = False
        except BaseException as error:
            scope.in_body = False
            if isinstance(error, asyncio.CancelledError) and not scope.stopping and _cancelled_from_outside():
                raise
            return _end_failed(scope, error)
        outcome = _end_well(loaded, scope, value)
        if scope.has_open_reports:
            await scope.settled().wait()
        return _with_refusals(scope, outcome)
    finally:
        current.reset(token)


def run_sync_attempt(loaded: Loaded, scope: Scope) -> Outcome:
    """Run a `def` task on this thread and say how it ended."""
    token = current.set(scope)
    try:
        begun = _begin(loaded, scope)
        if isinstance(begun, Failed | Stopped):
            return begun
        try:
            value, error = _call(loaded.function, begun, scope)
        except BodyInterrupted as late:  # it arrived between the body's end and the flag that says so
            scope.in_body = False
            value, error = None, late
        if error is not None:
            return _end_failed(scope, error)
        outcome = _end_well(loaded, scope, value)
        if scope.has_open_reports:
            scope.settled().wait_sync()
        return _with_refusals(scope, outcome)
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


def _call(function: Callable[..., Any], arguments: Arguments, scope: Scope) -> tuple[Any, BaseException | None]:
    # A frame of its own: an interrupt may leave a `try` of the frame it lands in, but not the caller's.
    args, kwargs = arguments
    try:
        scope.in_body = True
        if scope.interrupted:  # asked for before there was anything to interrupt
            raise BodyInterrupted
        value = function(*args, **kwargs)
        scope.in_body = False
    except BaseException as error:
        scope.in_body = False
        return None, error
    return value, None


def _begin(loaded: Loaded, scope: Scope) -> Arguments | Failed | Stopped:
    """The arguments of the body, else the failure of a payload that does not fit, or the end before the beginning."""
    if scope.stopping:
        return _stopped(scope)
    signature = loaded.signature
    try:
        args, kwargs = signature.parse(scope.start.payload.text or "null")
    except KernelKitError as error:
        return _failed(scope, error, retry=False)
    except Exception as error:  # validators of a person's own types may raise anything
        told = f"The payload of {loaded.task_id} could not be read: {type(error).__name__}: {error}"
        wrapped = PayloadValidationError(told).with_traceback(error.__traceback__)
        return _failed(scope, wrapped, retry=False)
    for name, wanted in signature.injections.items():
        if wanted == "ctx":
            kwargs[name] = scope.context
        else:
            kwargs[name] = scope.signal
            scope.takes_signal = True
    return args, kwargs


def _end_well(loaded: Loaded, scope: Scope, value: Any) -> Outcome:  # value: what a person's function returned
    try:
        text = loaded.signature.encode_output(value)
        size = len(text.encode())
        if size > MAX_OUTPUT_BYTES:
            raise OutputTooLargeError(
                f"The output of {loaded.task_id} is {size:,} bytes of JSON; at most {MAX_OUTPUT_BYTES:,} are kept. "
                "Write the data to a file and return its path.",
                size=size,
            )
    except KernelKitError as error:
        return _end_failed(scope, error, retry=False)
    except Exception as error:  # serializers of a person's own types may raise anything
        return _end_failed(scope, error, retry=False)
    _flush(scope)
    if scope.stopping:
        return _stopped(scope)
    return Succeeded(output=Value(text=text, size=size), started_at=scope.started_at, finished_at=scope.now())


def _end_failed(scope: Scope, error: BaseException, *, retry: bool = True) -> Failed | Stopped:
    _flush(scope)
    if scope.stopping:
        return _stopped(scope)
    return _failed(scope, error, retry=retry and not isinstance(error, AbortTaskRunError))


def _with_refusals(scope: Scope, outcome: Outcome) -> Outcome:
    """Success becomes failure when a call of the body turned out to be refused."""
    if scope.refusal is None or not isinstance(outcome, Succeeded):
        return _stopped(scope) if scope.stopping else outcome
    try:
        scope.check()
    except KernelKitError as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        return _failed(scope, error, message=f"{error} {notes}".rstrip())
    return outcome


def _failed(scope: Scope, error: BaseException, *, retry: bool = True, message: str | None = None) -> Failed:
    return Failed(
        error=describe(error, message=_in_words(error) if message is None else message),
        started_at=scope.started_at,
        finished_at=scope.now(),
        retry=retry,
        out_of_memory=isinstance(error, MemoryError | OutOfMemoryError),
    )


def _stopped(scope: Scope) -> Stopped:
    return Stopped(finished_at=scope.now(), started_at=scope.started_at)


def _flush(scope: Scope) -> None:
    if scope.metadata_state is not None:
        scope.metadata_state.flush()


def _in_words(error: BaseException) -> str | None:
    """What to say of exceptions whose own text explains nothing; None = their own text."""
    match error:
        case SystemExit():
            return f"the task called sys.exit({'' if error.code is None else repr(error.code)})"
        case KeyboardInterrupt():
            return "the task was interrupted (KeyboardInterrupt)"
        case asyncio.CancelledError():
            return (
                "the task cancelled itself: an asyncio.CancelledError left its body, and nobody asked the run to stop"
            )
        case MemoryError() if not str(error):
            return "the task needed more memory than there is"
        case _:
            return None


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
