"""What all attempts of a worker share: their line to the engine, and the clock they go by.

Nothing of one attempt is kept here; what is called for one is given its scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from kernelkit.clock import WallClock

if TYPE_CHECKING:
    from concurrent.futures import Future

    from kernelkit.authoring.scope import Scope
    from kernelkit.wire.messages import ReplyBody, ReportBody, RequestBody


def _nothing() -> None:
    """Nobody is to be told."""


@dataclass(frozen=True, slots=True)
class Line:
    """How attempts reach the world around them."""

    report: Callable[[Scope, ReportBody], int | None]
    """Sends a state change without blocking. Returns None where the engine has taken it at once (or raises the
    refusal), else a number by which the scope's `settle` or `refuse` is told later."""
    emit: Callable[[Scope, str, str], None]
    """Takes a log line: level, text."""
    later: Callable[[float, Callable[[], None]], None] | None = None
    """Calls a function after some seconds, on any thread; without it metadata leaves only at flushes."""
    ask: Callable[[RequestBody], Future[ReplyBody]] | None = None
    """Asks the engine something that changes nothing."""
    now: Callable[[], int] = WallClock().now
    """UTC microseconds; a test engine has its own time."""
    aside: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]] | None = None
    """Awaits something of the outside world, such as a server's answer, while the clock of a test engine stands still;
    None where the clock is the world's."""
    blocked: Callable[[], None] = _nothing
    """Told when the thread of an attempt stands still …"""
    woken: Callable[[], None] = _nothing
    """… and before it goes on."""
    lock: AbstractContextManager[bool] = field(default_factory=RLock)
    """Held while a scope changes what several threads look at; one for all, since 10,000 would hold a megabyte. Nothing
    is called under it but `report`. It may be taken again, for the collector can end another body anywhere."""
