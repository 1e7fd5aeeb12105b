"""What output and input streams have in common: a name, the type of their values, and whose engine is asked."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller

if TYPE_CHECKING:
    from kernelkit.authoring.typed import Typed

T = TypeVar("T")


class NamedStream(Generic[T]):
    """A stream of that name, of any run. It is shipped to workers as its name and type."""

    def __init__(self, name: str, key: str, kind: Any, caller: Caller | None) -> None:
        self.name = name
        self._key = key
        self._kind = kind
        self._type: Typed[T] | None = None if kind is Any else _typed(kind, name)
        self._caller = caller

    def _current(self) -> Caller:
        return self._caller or callers.current()

    @property
    def _typed(self) -> Typed[T]:
        if self._type is None:
            self._type = _typed(self._kind, self.name)
        return self._type

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.name, self._kind))


def _typed(kind: Any, name: str) -> Typed[Any]:
    """What checks a stream's values; its room needs pydantic, which nobody shall wait for who uses no stream."""
    made: Typed[Any] = importlib.import_module("kernelkit.authoring.typed").Typed(kind, name)
    return made
