"""Calls a person's functions, so that nothing they do gets past: not `sys.exit`, not a `CancelledError` of their own.

What went wrong is returned, not raised. Only a cancellation of the loop's task that nobody asked of the attempt passes,
since then whoever owns the loop is going away. While a function may be stopped, `scope.in_body` says so; the interrupt
of an exclusive worker is raised in this file or below it only.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from kernelkit.authoring.scope import Scope
from kernelkit.errors import CompleteTaskWithOutput

Arguments = tuple[tuple[Any, ...], dict[str, Any]]  # of a person's function
Ended = tuple[Any, BaseException | None]  # what a person's function returned, or raised


class BodyInterrupted(BaseException):
    """Raised in the main thread of an exclusive worker to stop a plain function (the interrupt of a cancel)."""


def call_plain(function: Callable[..., Any], arguments: Arguments, scope: Scope, *, stoppable: bool = True) -> Ended:
    """Call a function on this thread."""
    try:
        return _call(function, arguments, scope, stoppable)
    except BodyInterrupted as late:  # it arrived between the function's end and the flag that says so
        scope.in_body = False
        return None, late


def _call(function: Callable[..., Any], arguments: Arguments, scope: Scope, stoppable: bool) -> Ended:
    # A frame of its own: an interrupt may leave a `try` of the frame it lands in, but not the caller's.
    args, kwargs = arguments
    try:
        scope.in_body = stoppable
        if stoppable and scope.interrupted:  # asked for before there was anything to interrupt
            raise BodyInterrupted
        value = function(*args, **kwargs)
        scope.in_body = False
    except BaseException as error:
        scope.in_body = False
        return None, error
    return value, None


async def call_on_loop(
    function: Callable[..., Any], arguments: Arguments, scope: Scope, *, stoppable: bool = True
) -> Ended:
    """Call a function on the running loop, and await what it returns if that can be awaited."""
    args, kwargs = arguments
    try:
        scope.in_body = stoppable
        value = function(*args, **kwargs)
        if inspect.isawaitable(value):
            value = await value
        scope.in_body = False
    except BaseException as error:
        scope.in_body = False
        if is_from_outside(error, scope):
            raise
        return None, error
    return value, None


def completed(ended: Ended) -> Ended:
    """How a body ended, where `kk.CompleteTaskWithOutput` is a value that comes as an error."""
    error = ended[1]
    return (error.output, None) if isinstance(error, CompleteTaskWithOutput) else ended


def is_from_outside(error: BaseException, scope: Scope) -> bool:
    """Whether the loop's owner cancelled the task that runs the attempt."""
    if not isinstance(error, asyncio.CancelledError) or scope.stopping:
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
