"""What a function says it returns, for results that are kept as JSON and given back later as what they were.

Only the return annotation counts, so any callable will do: a lambda, a method, a `functools.partial`. What a newcomer
would get wrong: without an annotation, and where it says no more than JSON does, nothing is revived.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from kernelkit import jsonvalues
from kernelkit.authoring.signature import Signature

_PLAIN = {dict, list, str, int, float, bool, type(None), None, Any, object}


class Returned:
    """Writes and revives the results of a function; `told` is what it is called in messages."""

    def __init__(self, fn: Callable[..., Any], told: str) -> None:
        self._told = told
        self._signature = _signature(_function_of(fn))

    def encode(self, value: Any) -> str:
        """JSON text of a result; raises `PayloadNotSerializableError` or another of our errors that names it."""
        if self._signature is not None:
            return self._signature.encode_output(value)
        return jsonvalues.encode(value, what=f"the result of {self._told}")

    def revive(self, text: str) -> Any:
        """The result again: as the return annotation describes it, else as a plain JSON value."""
        if self._signature is not None:
            return self._signature.revive_output(text)
        return jsonvalues.decode(text)


def _function_of(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind a partial, a bound method or a callable object."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    if inspect.ismethod(fn):
        return fn.__func__
    if inspect.isclass(fn) or inspect.isroutine(fn):
        return fn
    kind: Any = type(fn)
    return kind.__call__  # type: ignore[no-any-return]  # a function, since it can be called


@functools.lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> Signature | None:
    """A signature that has the function's return annotation and nothing else; None where that says nothing."""
    if inspect.isclass(function):
        hint: Any = function
    else:
        try:
            hint = typing.get_type_hints(function, include_extras=True).get("return")
        except (NameError, AttributeError, TypeError, SyntaxError):
            return None  # an annotation that does not resolve: plain JSON values, as a task's output
    try:
        if hint in _PLAIN:
            return None
    except TypeError:  # an annotation that cannot be hashed
        return None

    def returns() -> None: ...

    returns.__annotations__ = {"return": hint}
    returns.__name__ = getattr(function, "__name__", "a step")
    return Signature.of(returns)
