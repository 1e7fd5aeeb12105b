"""`kk.step`: a function whose result is kept, so that a retried or resumed run does not call it again.

What a newcomer would get wrong: the step is known by its name, its arguments and how often just that was asked for
before in this attempt. The result counts once it is on disk; a worker that is lost before that calls the step again.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from kernelkit import jsonvalues
from kernelkit.authoring.pending import Pending, refuse_timeout
from kernelkit.authoring.returned import Returned
from kernelkit.authoring.scope import Scope, current_scope, marked, no_waits, unrepeated
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.value import Value
from kernelkit.wire.messages import KeepStep

T = TypeVar("T")

MAX_NAME = 128


@overload
def step(name: str, fn: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> Pending[T]: ...
@overload
def step(name: str, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Pending[T]: ...
def step(name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pending[Any]:
    """Call `fn(*args, **kwargs)` once in the life of the run: `await` it, or `.result()` in a plain task.

    Its result, which has to be JSON, is kept for all attempts of the run. It is given back as the function's return
    annotation describes it (`-> Receipt`), the first time as well. An error is not kept: the next attempt calls it
    again. Inside a step nothing may be waited for durably. Raises `NotInTaskError` outside of a run.

        receipt = await kk.step("charge", charge, order)
    """
    scope = current_scope("kk.step(…)")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise InvalidOptionError(f"A step's name is a text of 1 to {MAX_NAME} characters, not {name!r}.", field="name")
    if not callable(fn):
        raise InvalidOptionError(
            f"kk.step takes a function and then its arguments, not {fn!r}: kk.step({name!r}, f, x).", field="fn"
        )
    told = f"kk.step({name!r}, …)"
    key, returned = _arguments(args, kwargs), Returned(fn, told)

    async def start() -> Any:
        op, known = _begin(scope, told, name, key, plain=False)
        if known is not None:
            return returned.revive(known)
        with marked(no_waits, f"inside {told}"), marked(unrepeated, op):
            value = fn(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
        kept = _kept(returned, op, value)
        await scope.waits.send(kept)
        return returned.revive(kept.value.text or "null")

    def plain(timeout: Any) -> Any:
        refuse_timeout(timeout, told)
        op, known = _begin(scope, told, name, key, plain=True)
        if known is not None:
            return returned.revive(known)
        with marked(no_waits, f"inside {told}"), marked(unrepeated, op):
            value = fn(*args, **kwargs)
            if inspect.isawaitable(value):
                value = asyncio.run(_awaited(value))
        kept = _kept(returned, op, value)
        scope.waits.send_sync(kept)
        return returned.revive(kept.value.text or "null")

    return Pending(told, start, plain)


def _begin(scope: Scope, told: str, name: str, key: str, *, plain: bool) -> tuple[str, str | None]:
    scope.check()
    scope.waits.refuse_here(told, plain=plain)
    op = scope.op("step", name, key)
    return op, scope.start.steps.get(op)


def _kept(returned: Returned, op: str, value: Any) -> KeepStep:
    text = returned.encode(value)
    return KeepStep(op, Value(text=text, size=len(text.encode())))


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Arguments as part of the step's key: their JSON, or of what has none the type."""
    given = [*args, *(pair for item in sorted(kwargs.items()) for pair in item)]
    return "\x1f".join(_argument(each) for each in given)


def _argument(value: Any) -> str:
    try:
        return jsonvalues.encode(value, what="an argument")
    except KernelKitError:
        return type(value).__qualname__


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
