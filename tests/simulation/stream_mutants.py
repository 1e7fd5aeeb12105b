"""Engines that are mistaken about streams. Made as those of `mutants.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from kernelkit.engine import apply as applying
from kernelkit.engine import attempts, decide, streams
from kernelkit.engine.folds import attempts as folds_of_attempts
from kernelkit.engine.folds import ends
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.engine.waiting import Waiting
from kernelkit.models import event as ev
from kernelkit.wire import messages as m
from tests.simulation.mutants import Mutant, Patch, handle


def appended_again(patch: Patch) -> None:
    """An append that is reported again is taken again."""
    before = streams.appended_by_attempt

    def append(state: State, writer: LiveRun, body: m.AppendStream, now: int) -> Sequence[ev.AnyEvent]:
        writer.sent = {op: upto for op, upto in writer.sent.items() if op != body.op}
        return before(state, writer, body, now)

    patch.setattr(attempts, "appended_by_attempt", append)


def part_of_it_lost(patch: Patch) -> None:
    """Of an append that is partly new nothing is taken."""
    before = streams.appended_by_attempt

    def append(state: State, writer: LiveRun, body: m.AppendStream, now: int) -> Sequence[ev.AnyEvent]:
        if writer.sent.get(body.op, 0) > body.first:
            body = replace(body, chunks=body.chunks[:1], first=body.first + len(body.chunks) - 1)
        return before(state, writer, body, now)

    patch.setattr(attempts, "appended_by_attempt", append)


def client_appends_again(patch: Patch) -> None:
    """A client's append that is sent again is taken again."""
    before = streams.appended_by_client

    def append(state: State, body: m.AppendStream, now: int) -> Sequence[ev.AnyEvent]:
        state.answers.pop(body.asked, None)
        return before(state, body, now)

    patch.setattr(decide, "appended_by_client", append)


def each_attempt_begins_the_stream(patch: Patch) -> None:
    """A stream is as long as what its last attempt has appended."""
    before = folds_of_attempts.end_attempt

    def end(run: LiveRun, *others: Any) -> None:
        before(run, *others)
        run.streams = {}

    for room in (folds_of_attempts, ends):
        patch.setattr(room, "end_attempt", end)


def appended_to_who_has_ended(patch: Patch) -> None:
    """A run that was canceled still takes what others send it."""
    patch.setattr(streams, "FINAL", frozenset())


def told_of_any_value(patch: Patch) -> None:
    """A wait is over with the next value, whichever it is for."""

    def appended(self: Waiting, run_id: str, stream: str, state: State) -> None:
        for waiter in sorted(self.by_stream.pop((run_id, stream), ())):
            self.complete[waiter] = None

    patch.setattr(Waiting, "appended", appended)


def never_told_of_values(patch: Patch) -> None:
    """A value comes, and the run that waits for it is not told."""
    patch.setattr(Waiting, "appended", lambda self, run_id, stream, state: None)


def stream_waits_forgotten_in_snapshots(patch: Patch) -> None:
    """Who waits for which value is not found again after a restart."""

    def reindex(state: State) -> None:
        before(state)
        state.waiting.by_stream.clear()

    before = State.reindex
    patch.setattr(State, "reindex", reindex)


def always_the_writers_own(patch: Patch) -> None:
    """What is meant for the parent's stream goes to the run's own."""
    patch.setattr(streams, "_target", lambda state, writer, body: writer)


def sent_forgotten_at_suspension(patch: Patch) -> None:
    """A resumed body appends again what the attempt had appended."""
    before = applying._HANDLERS[ev.RunSuspended]

    def suspended(state: State, event: ev.RunSuspended) -> LiveRun | None:
        run = before(state, event)
        assert run is not None
        run.sent = {}
        return run

    handle(patch, ev.RunSuspended, suspended)


STREAM_MUTANTS = (
    Mutant(appended_again, {"an_attempt_appends_each_value_once"}),
    Mutant(part_of_it_lost, {"an_attempt_appends_each_value_once", "an_error_of_the_engine"}),
    Mutant(client_appends_again, {"a_request_acts_once", "the_log_folds_to_the_state"}),
    Mutant(each_attempt_begins_the_stream, {"streams_only_grow", "the_book_agrees", "an_error_of_the_engine"}),
    Mutant(appended_to_who_has_ended, {"streams_of_ended_runs_rest"}),
    Mutant(told_of_any_value, {"waits_are_over_for_a_reason"}),
    Mutant(never_told_of_values, {"what_has_come_is_told"}),
    Mutant(stream_waits_forgotten_in_snapshots, {"snapshots_lose_nothing", "what_has_come_is_told"}),
    Mutant(always_the_writers_own, {"values_go_where_they_were_sent"}),
    Mutant(sent_forgotten_at_suspension, {"an_attempt_appends_each_value_once", "the_book_agrees"}),
)
