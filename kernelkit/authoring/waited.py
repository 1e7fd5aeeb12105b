"""What came of a wait for something from outside, which may have come too late: the answer to a token, an input.

`PendingWaited` is what calls give that wait for one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, cast

from typing_extensions import TypeVar

from kernelkit.authoring.pending import Pending
from kernelkit.errors import WaitTimeoutError
from kernelkit.models.error import Error

T = TypeVar("T", default=Any)
W = TypeVar("W", bound="Waited[Any]")


class Waited(ABC, Generic[T]):
    """`.ok`, `.output`, `.error`; `.unwrap()` is the output, or raises `WaitTimeoutError`."""

    __slots__ = ("_output", "timed_out")

    def __init__(self, output: T | None, *, timed_out: bool) -> None:
        self._output = output
        self.timed_out = timed_out

    @property
    def ok(self) -> bool:
        """True when it came in time."""
        return not self.timed_out

    @property
    def output(self) -> T:
        """What came; None when nothing did in time."""
        return cast(T, self._output)

    @property
    def error(self) -> Error | None:
        if self.ok:
            return None
        return Error(name=WaitTimeoutError.__name__, message=self._told(), code=WaitTimeoutError.code)

    def unwrap(self) -> T:
        """The output; raises `WaitTimeoutError` when nothing came in time."""
        if self.timed_out:
            raise WaitTimeoutError(self._told(), **self._facts())
        return self.output

    @abstractmethod
    def _told(self) -> str:
        """That nothing came."""

    @abstractmethod
    def _facts(self) -> dict[str, Any]:
        """Of the error."""


class PendingWaited(Pending[W], Generic[W, T]):
    """A `Pending` of what came; `.unwrap()` is a Pending of the output itself."""

    __slots__ = ()

    def unwrap(self) -> Pending[T]:
        """The output instead of the result; it raises `WaitTimeoutError` when nothing came in time."""
        return self._unwrapping()
