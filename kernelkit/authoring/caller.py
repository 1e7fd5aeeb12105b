"""How everything a task author touches reaches an engine: the protocol `Caller`.

There are three: the client's (outside a run), the worker's (inside one) and the test engine's. Each installs itself
here; `Task`, `RunHandle` and the rest of `authoring/` ask `current()` and know nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Protocol

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner
from kernelkit.wire.messages import ReplyBody, RequestBody, RunChanged


class Caller(Protocol):
    """One way to an engine."""

    inside_run: bool
    """True in a worker: triggers are reports of the attempt, and waiting for a run is a durable wait."""

    @property
    def home(self) -> Home: ...

    @property
    def owner(self) -> Owner:
        """Who defines tasks here when the function is not a module's: the notebook, else the kernel."""
        ...

    def call(self, body: RequestBody) -> ReplyBody:
        """Send, block until the answer (which is on disk) and return it; raises the `KernelKitError` of a refusal."""
        ...

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        """Send; the future has the answer, or the refusal. Inside a run only what reads can be asked."""
        ...

    def outcome(self, run_id: str) -> Future[Run]:
        """Resolves with the run once it is final. Cancelling the future leaves the run alone."""
        ...

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        """Resolves with all these runs, in that order, once every one is final; fails with the first that fails."""
        ...

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        """Call `changed` at each change of the run, on a thread of the caller's; returns the function that ends it."""
        ...

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        """Tell `heard` of each change of a run that matches, on a thread of the caller's; returns what ends it."""
        ...


class Heard(Protocol):
    """Whoever hears of the runs of a subscription; its methods return soon and wait for nothing."""

    def changed(self, run: Run) -> None: ...

    def reconnected(self) -> None:
        """The connection was lost and is back: changes may have been missed."""
        ...

    def failed(self, problem: Exception) -> None:
        """It is over: no engine came back in time."""
        ...


def gathered(ends: Sequence[Future[Run]]) -> Future[list[Run]]:
    """One future for many: their results in order, or the first failure. Cancelling it cancels them."""
    together: Future[list[Run]] = Future()
    left = len(ends)
    lock = threading.Lock()

    def ended(end: Future[Run]) -> None:
        nonlocal left
        if end.cancelled():
            return
        problem = end.exception()
        with lock:
            left -= 1
            if together.done() or not (problem or left == 0):
                return
            if problem is not None:
                together.set_exception(problem)
            else:
                together.set_result([each.result() for each in ends])

    def forget(together: Future[list[Run]]) -> None:
        if together.cancelled():
            for end in ends:
                end.cancel()

    for end in ends:
        end.add_done_callback(ended)
    together.add_done_callback(forget)
    return together


_current: ContextVar[Caller | None] = ContextVar("kernelkit_caller", default=None)
_default: Callable[[], Caller] | None = None


def install_default(factory: Callable[[], Caller]) -> None:
    """Say where callers come from when no context names one; `factory` is asked each time and caches by itself."""
    global _default
    _default = factory


def has_default() -> bool:
    """Whether somebody has said where callers come from; the first to do so in a process stays."""
    return _default is not None


def current() -> Caller:
    """The caller of this context, else the process's default client."""
    found = _current.get()
    if found is not None:
        return found
    if _default is None:
        raise EngineUnavailableError("KernelKit is not connected. Use `import kernelkit as kk` and the names under kk.")
    return _default()


def enter(caller: Caller) -> None:
    """Make `caller` the current one for the rest of this context: a worker's attempt, say."""
    _current.set(caller)


class use:
    """Make `caller` the current one inside a `with` block, in this context only."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __enter__(self) -> Caller:
        self._token = _current.set(self._caller)
        return self._caller

    def __exit__(self, *exc: object) -> None:
        _current.reset(self._token)
