"""The spans of a run are read off its events, wherever these begin."""

from __future__ import annotations

from collections.abc import Iterable

from kernelkit.clock import MICROS, from_datetime, to_datetime
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import RunStatus
from kernelkit.models.span import Span
from kernelkit.models.task import RetryPolicy
from kernelkit.models.wait import Wait, Waiting
from kernelkit.rules.spans import KINDS, spans_of

RUN = "run_1"


def s(seconds: float) -> int:
    return round(seconds * MICROS)


def triggered(**more: object) -> ev.RunTriggered:
    given: dict[str, object] = {"at": 0, "run_id": RUN, "task_id": "t", "queue": "q", "isolation": "shared"}
    return ev.RunTriggered(**given | more)  # type: ignore[arg-type]  # the fields of a test


def dispatched(at: float, attempt: int = 1, **more: bool) -> ev.RunDispatched:
    return ev.RunDispatched(s(at), RUN, "f", "w", attempt, "1", "b", "e", 3, RetryPolicy(), **more)


def started(at: float) -> ev.AttemptStarted:
    return ev.AttemptStarted(s(at), RUN, "f", s(at))


def failed(at: float, began: float, retry_at: float) -> ev.AttemptFailed:
    error = Error("ReadTimeout", "no answer", traceback="long")
    return ev.AttemptFailed(s(at), RUN, "f", error, s(began), s(retry_at), keeps_slot=False)


def finished(at: float, began: float = 0, status: RunStatus = RunStatus.COMPLETED) -> ev.RunFinished:
    return ev.RunFinished(s(at), RUN, status, s(began))


def told(*events: ev.AnyEvent) -> list[tuple[str, float, float | None, int, str | None]]:
    return [
        (
            span.kind,
            from_datetime(span.started_at) / MICROS,
            None if span.finished_at is None else from_datetime(span.finished_at) / MICROS,
            span.attempt,
            span.outcome,
        )
        for span in spans(events)
    ]


def spans(events: Iterable[ev.AnyEvent]) -> tuple[Span, ...]:
    return spans_of(events)[RUN]


def test_attempts_have_their_outcome_and_backoff_between_them() -> None:
    assert told(
        triggered(),
        dispatched(6),
        started(6.5),
        failed(17, 6.5, 25),
        ev.RetryDue(s(25), RUN),
        dispatched(27, 2),
        started(27),
    ) == [
        ("queued", 0, 6, 0, None),
        ("starting", 6, 6.5, 1, None),
        ("executing", 6.5, 17, 1, "FAILED"),
        ("backoff", 17, 25, 1, None),
        ("queued", 25, 27, 0, None),
        ("executing", 27, None, 2, None),
    ]


def test_a_short_attempt_needs_no_event_of_its_beginning() -> None:
    assert told(triggered(), dispatched(1), finished(3, began=2)) == [
        ("queued", 0, 1, 0, None),
        ("starting", 1, 2, 1, None),
        ("executing", 2, 3, 1, "COMPLETED"),
    ]


def test_a_wait_parts_an_attempt_and_names_its_causes() -> None:
    wait = Wait("token", until=s(90), token="waitpoint_1", shown="approve")
    events: list[ev.AnyEvent] = [
        triggered(),
        dispatched(0),
        started(0),
        ev.WaitOpened(s(4), RUN, "op", wait),
        ev.RunSuspended(s(5), RUN, "f"),
        ev.WaitOver(s(60), RUN, "op"),
        ev.RunResumed(s(61), RUN, "f"),
        ev.AttemptStarted(s(62), RUN, "f", 0),  # which says when the attempt began, before its wait
        finished(70),
    ]

    assert told(*events) == [
        ("executing", 0, 5, 1, None),
        ("waiting", 5, 60, 1, None),
        ("queued", 60, 61, 0, None),
        ("starting", 61, 62, 1, None),
        ("executing", 62, 70, 1, "COMPLETED"),
    ]
    assert spans(events)[1].waiting_for == (
        Waiting("token", until=to_datetime(s(90)), token_id="waitpoint_1", shown="approve"),
    )


def test_an_attempt_that_ends_while_it_is_resumed_does_not_begin_before_its_wait() -> None:
    wait = Wait("duration", until=s(9))
    assert told(
        triggered(), dispatched(0), started(0), ev.WaitOpened(s(1), RUN, "op", wait), ev.RunSuspended(s(1), RUN, "f"),
        ev.WaitOver(s(9), RUN, "op"), ev.RunResumed(s(9), RUN, "f"), finished(10, began=0.5),
    )[-1] == ("executing", 9, 10, 1, "COMPLETED")  # fmt: skip


def test_a_delay_and_a_task_that_nobody_defined_come_before_the_queue() -> None:
    delayed = triggered(delay_until=s(10), awaited=())
    found = ev.VersionFound(s(20), RUN, "q", "shared")
    assert told(delayed, ev.DelayOver(s(10), RUN), found, dispatched(21)) == [
        ("delayed", 0, 10, 0, None),
        ("undefined", 10, 20, 0, None),
        ("queued", 20, 21, 0, None),
        ("starting", 21, None, 1, None),
    ]
    early = ev.VersionFound(s(5), RUN, "q", "shared")
    assert [span[0] for span in told(delayed, early, ev.DelayOver(s(10), RUN))] == ["delayed", "queued"]


def test_a_lost_dispatch_goes_back_to_the_queue() -> None:
    assert told(triggered(), dispatched(1), ev.DispatchUndone(s(3), RUN, "f")) == [
        ("queued", 0, 1, 0, None),
        ("starting", 1, 3, 1, None),
        ("queued", 3, None, 0, None),
    ]


def test_a_canceled_attempt_lasts_until_its_code_has_stopped() -> None:
    canceled = ev.RunCanceled(s(5), RUN, "by hand")
    assert told(triggered(), dispatched(0), started(0), canceled, ev.AttemptStopped(s(8), RUN, "f")) == [
        ("executing", 0, 8, 1, "CANCELED")
    ]
    late = ev.RunTimedOut(s(5), RUN, "f")
    assert told(triggered(), dispatched(0), started(0), late, ev.AttemptStopped(s(6), RUN, "f"))[-1][-1] == "TIMED_OUT"


def test_what_never_began_only_ends() -> None:
    assert told(triggered(), ev.RunCanceled(s(5), RUN, "")) == [("queued", 0, 5, 0, None)]
    assert told(triggered(), finished(60, status=RunStatus.EXPIRED)) == [("queued", 0, 60, 0, None)]


def test_a_clock_that_was_set_back_makes_no_span_end_before_it_began() -> None:
    found = spans([triggered(at=s(100)), dispatched(90), started(91), finished(80, began=70)])
    assert all(span.finished_at is not None and span.started_at <= span.finished_at for span in found)
    assert [one.started_at for one in found] == sorted(one.started_at for one in found)


def test_the_story_may_begin_in_the_middle() -> None:
    assert told(ev.WaitOver(s(1), RUN, "gone"), ev.RunResumed(s(2), RUN, "f"), finished(3, began=1)) == [
        ("executing", 2, 3, 0, "COMPLETED")
    ]


def test_only_events_that_tell_something_are_read_and_errors_travel_light() -> None:
    assert "MetadataChanged" not in KINDS and "RunSuspended" in KINDS
    error = spans([triggered(), dispatched(0), started(0), failed(1, 0, 9)])[0].error
    assert error == Error("ReadTimeout", "no answer")
    assert spans_of([ev.QueuePaused(1, "q")]) == {}
