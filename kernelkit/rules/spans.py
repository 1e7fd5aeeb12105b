"""What a run did when, read off its events. Pure: the log has every moment, so nothing is recorded for this.

The events of a run may begin anywhere: of a very long one only the newest are read. What a newcomer would get wrong: a
short attempt has no `AttemptStarted`, since its end says by itself when it began.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from kernelkit.clock import from_datetime, to_datetime
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import AttemptStatus
from kernelkit.models.span import Span, SpanKind
from kernelkit.models.wait import Wait, Waiting

KINDS = tuple(
    kind.__name__
    for kind in (
        ev.RunTriggered,
        ev.VersionFound,
        ev.DelayOver,
        ev.RunDispatched,
        ev.DispatchUndone,
        ev.AttemptStarted,
        ev.AttemptFailed,
        ev.RetryDue,
        ev.RunFinished,
        ev.RunCanceled,
        ev.RunTimedOut,
        ev.AttemptStopped,
        ev.WaitOpened,
        ev.WaitOver,
        ev.WaitDropped,
        ev.RunSuspended,
        ev.RunResumed,
    )
)
"""The events that are read; a run may have thousands of others."""

OUTCOMES: dict[str, AttemptStatus] = {
    "COMPLETED": "COMPLETED",
    "FAILED": "FAILED",
    "CRASHED": "CRASHED",
    "SYSTEM_FAILURE": "CRASHED",
    "TIMED_OUT": "TIMED_OUT",
    "CANCELED": "CANCELED",
}
"""How an attempt ends with its run."""

_OF_AN_ATTEMPT = ("starting", "executing", "waiting", "backoff")
_WAITS = 3  # of what one wait was for
_MESSAGE = 300  # characters of an error


def spans_of(events: Iterable[ev.AnyEvent]) -> dict[str, tuple[Span, ...]]:
    """The spans of each run that any of `events` is about; these are in the order in which they happened."""
    told: dict[str, _Story] = {}
    for event in events:
        run_id = getattr(event, "run_id", "")
        if run_id:
            story = told.get(run_id)
            if story is None:
                story = told[run_id] = _Story()
            story.take(event)
    return {run_id: tuple(story.spans) for run_id, story in told.items()}


class _Story:
    """The spans of one run so far; the last of them may still be open."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._attempt = 0
        self._is_undefined = False
        self._waits: dict[str, Wait] = {}
        self._ends_as: AttemptStatus | None = None  # it is canceled or timed out, while its code still runs

    def take(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.RunTriggered():
                self._is_undefined = event.awaited is not None
                self._begin("delayed" if event.delay_until else self._first, event.at)
            case ev.DelayOver():
                self._begin(self._first, event.at)
            case ev.VersionFound():
                self._is_undefined = False
                if self._is("undefined"):
                    self._begin("queued", event.at)
            case ev.RunDispatched():
                self._attempt = event.attempt
                self._begin("starting", event.at)
            case ev.RunResumed():
                self._begin("starting", event.at)
            case ev.DispatchUndone():
                self._begin("queued", event.at)
            case ev.AttemptStarted():
                self._execute(event.started_at, event.at)
            case ev.WaitOpened():
                self._waits[event.op] = event.wait
            case ev.WaitDropped():
                self._waits.pop(event.op, None)
            case ev.WaitOver():
                self._waits.pop(event.op, None)
                if self._is("waiting"):
                    self._begin("queued", event.at)
            case ev.RunSuspended():
                self._begin("waiting", event.at)
                self._last(waiting_for=tuple(_waiting(wait) for wait in list(self._waits.values())[:_WAITS]))
            case ev.AttemptFailed():
                status: AttemptStatus = "CRASHED" if event.crashed else "FAILED"
                self._end_attempt(status, event.started_at, event.at, event.error)
                self._begin("backoff", event.at)
            case ev.RetryDue():
                self._begin("queued", event.at)
            case ev.RunFinished():
                self._finish(event)
            case ev.RunCanceled():
                self._stop("CANCELED", event.at)
            case ev.RunTimedOut():
                self._stop("TIMED_OUT", event.at)
            case ev.AttemptStopped():
                if self._is("executing") or (self._is("starting") and event.started_at):
                    self._end_attempt(self._ends_as or "CANCELED", event.started_at, event.at, None)
                self._close(event.at)
            case _:
                pass

    def _finish(self, event: ev.RunFinished) -> None:
        """A run that never got an attempt has no outcome to show: its last span ends."""
        outcome = OUTCOMES.get(event.status.value)
        if outcome is not None and (self._is("executing") or self._is("starting")):
            self._end_attempt(outcome, event.started_at, event.at, event.error)
        self._close(event.at)

    def _stop(self, status: AttemptStatus, at: int) -> None:
        """Its code goes on for a moment, and the span with it."""
        self._ends_as = status
        if not self._is("executing") and not self._is("starting"):
            self._close(at)

    def _execute(self, started_at: int, at: int) -> None:
        """The code runs. A resumed attempt says when it began, which was before its wait."""
        begun = to_datetime(started_at)
        self._begin("executing", started_at if self.spans and begun >= self.spans[-1].started_at else at)

    def _end_attempt(self, status: AttemptStatus, started_at: int, at: int, error: Error | None) -> None:
        if not self._is("executing"):
            begun = started_at or at
            if self.spans and self.spans[-1].finished_at is None:
                begun = max(begun, from_datetime(self.spans[-1].started_at))
            self._begin("executing", begun)
        if error is not None:
            error = Error(error.name, error.message[:_MESSAGE], error.code)
        self._close(at)
        self._last(outcome=status, error=error)
        self._waits.clear()

    @property
    def _first(self) -> SpanKind:
        """What a run does once its delay is over."""
        return "undefined" if self._is_undefined else "queued"

    # ---- the last span ---------------------------------------------------------------------------------------------

    def _is(self, kind: SpanKind) -> bool:
        return bool(self.spans) and self.spans[-1].finished_at is None and self.spans[-1].kind == kind

    def _begin(self, kind: SpanKind, at: int) -> None:
        """What it does from now on; one that began and ended in the same moment is none."""
        self._close(at)
        if self.spans and self.spans[-1].started_at == self.spans[-1].finished_at and self.spans[-1].outcome is None:
            self.spans.pop()
        before = self.spans[-1].finished_at if self.spans else None
        begun = to_datetime(at)
        attempt = self._attempt if kind in _OF_AN_ATTEMPT else 0
        self.spans.append(Span(kind, begun if before is None else max(begun, before), attempt=attempt))

    def _close(self, at: int) -> None:
        """It ends now, or at its beginning where the clock was set back since."""
        if self.spans and self.spans[-1].finished_at is None:
            self._last(finished_at=max(to_datetime(at), self.spans[-1].started_at))

    def _last(self, **changes: object) -> None:
        self.spans[-1] = replace(self.spans[-1], **changes)


def _waiting(wait: Wait) -> Waiting:
    return Waiting(
        wait.type,
        until=to_datetime(wait.until) if wait.until else None,
        token_id=wait.token or None if wait.type == "token" else None,
        run_id=wait.runs[0] if wait.type == "task" and wait.runs else None,
        batch_id=wait.batch or None,
        shown=wait.shown,
        left=len(wait.runs),
    )
