"""Durable waits of one attempt: opens them with the engine, asks to be suspended, and goes on when a result has come.

Here is what waits on a loop (`loop_waits.py`) and on a thread (`thread_waits.py`) have in common, above all the replay
of an attempt that was suspended elsewhere. What a newcomer would get wrong: the body of such an attempt is called again
from its first line, and has to come to the same calls in the same order; anything else is an error of the task.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from kernelkit.authoring.scope import Scope, call_site, no_waits
from kernelkit.errors import KernelKitError, NotInTaskError, ReplayDivergedError
from kernelkit.rules.checkpoints import Checkpoints, Diverged
from kernelkit.wire.messages import ReplyBody, RequestBody, Started, Suspend, WaitResult

# Of all attempts that have nothing yet: these do not change.
_NO_CHECKPOINTS = Checkpoints()
NO_OPS: dict[str, str] = {}
_NO_RESULTS: dict[str, WaitResult] = {}


class AttemptWaits:
    """What waits on a loop and on a thread have in common. Results come in by `results`, on any thread."""

    __slots__ = ("_given", "_ops", "_points", "_results", "_suspended_at", "scope")  # as `Scope` for ten thousand

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._results = _NO_RESULTS  # that nobody has asked for yet
        self._given: set[str] | None = None  # op keys whose results were handed out
        self._suspended_at = 0
        replay = scope.start.replay
        self._ops = NO_OPS
        self._points = _NO_CHECKPOINTS
        if replay is not None:
            self._ops = replay.ops
            self._points = Checkpoints((result.op for result in replay.results), replay.open)
            self._results = {result.op: result for result in replay.results}

    @property
    def is_replaying(self) -> bool:
        """Whether results of the time before the attempt was resumed are left to hand out."""
        return self._points.missed is not None

    def recall(self, op: str, told: str) -> str | None:
        """See `authoring.durable.Waits`."""
        found = self._ops.get(op)
        if found is None:
            self._check(told)
        return found

    def refuse_here(self, told: str, *, plain: bool) -> None:
        inside = no_waits.get()
        if inside:
            raise NotInTaskError(f"{told} cannot wait {inside}: only the task's own body can be suspended.")
        if threading.get_ident() != self.scope.thread:
            raise NotInTaskError(
                f"{told} was called on a thread that the task started. Durable waits belong to the task's own thread."
            )

    def ask_sync(self, body: RequestBody, timeout: float | None = None) -> ReplyBody:
        """See `authoring.durable.Waits`."""
        if self.scope.line.ask is None:
            raise NotInTaskError("Nothing can be asked here: no engine runs this task.")
        if threading.get_ident() == self.scope.thread:
            return self._ask_here(body, timeout)
        return self.scope.line.ask(body).result(timeout)

    def _ask_here(self, body: RequestBody, timeout: float | None) -> ReplyBody:
        raise NotImplementedError

    def left_behind(self) -> KernelKitError | None:
        """What is wrong with a body that has just returned."""
        missed = self._points.missed
        if missed is None:
            return None
        return self._diverged(missed, "returned")

    def _check(self, told: str) -> None:
        try:
            self._points.check(alone=self._is_alone)
        except Diverged as diverged:
            raise self._diverged(diverged.expected, f"came to {told}") from None

    def _claim(self, op: str, told: str) -> str:
        try:
            return self._points.claim(op, alone=self._is_alone)
        except Diverged as diverged:
            raise self._diverged(diverged.expected, f"came to {told}") from None

    def _diverged(self, expected: str, instead: str) -> ReplayDivergedError:
        kind, name, _, number = [*expected.split(":", 3), "", "", ""][:4]
        which = f"{kind} {name}".strip() + (f", number {number}" if number not in ("", "1") else "")
        site = call_site()
        where = f" ({site[0]}, line {site[1]})" if site is not None and instead != "returned" else ""
        return ReplayDivergedError(
            f"The worker of this run was gone, so its task was called again to go on where it had been. The first time "
            f"it came to {which} here; this time it {instead}{where}. A task that waits has to make the same calls "
            "in the same order each time: put what differs, such as the time, chance or a request, into kk.step(…).",
            expected=expected,
        )

    @property
    def _is_alone(self) -> bool:
        """Whether the body never did two things at once."""
        return True

    def _is_given(self, op: str) -> bool:
        return self._given is not None and op in self._given

    def _note_given(self, op: str) -> None:
        if self._given is None:
            self._given = set()
        self._given.add(op)

    def _paused(self) -> None:
        """The attempt's code stands still from now on."""
        self._suspended_at = self.scope.now()

    def _goes_on(self) -> None:
        if not self._suspended_at:
            return
        self.scope.idle += max(0, self.scope.now() - self._suspended_at)
        self._suspended_at = 0
        if not self.scope.stopping:
            self.scope.report(Started(at=self.scope.now()))

    def _suspend(self, ops: Iterable[str]) -> None:
        scope = self.scope
        if scope.metadata_state is not None:
            scope.metadata_state.flush()
        if scope.outbox is not None:
            scope.outbox.flush()
        now = scope.now()
        self._paused()
        scope.report(Suspend(tuple(ops), scope.compute(now), scope.calls, scope.start.hold_for))


def left_behind(scope: Scope) -> KernelKitError | None:
    """What is wrong with a body that has just returned: a call was never awaited, or checkpoints are left over."""
    if scope.unawaited:
        return next(iter(scope.unawaited)).never_awaited()
    return scope.waits.left_behind() if scope.has_waited else None
