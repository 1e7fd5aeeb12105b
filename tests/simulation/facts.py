"""What happened in a history, counted, so that the tests can say how thick the histories are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from kernelkit.engine import commands as c
from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from tests.simulation.book import Book


@dataclass
class Facts:
    """Counts by name: kinds of commands (reports by their bodies) and kinds of trouble."""

    counts: Counter[str] = field(default_factory=Counter)
    events: int = 0

    def count(self, command: c.Command) -> None:
        name = type(command).__name__
        self.counts[name] += 1
        if isinstance(command, c.TakeReport):
            self.counts[f"TakeReport {type(command.body).__name__}"] += 1

    def note(self, what: str) -> None:
        self.counts[what] += 1


def worth_noting(event: ev.AnyEvent, book: Book, outcomes: dict[str, str]) -> Iterator[str]:
    """What an event shows beside its kind, by the book before the event is written in it."""
    match event:
        case ev.AttemptFailed(machine=machine) if machine:
            yield "another machine"
        case ev.AttemptFailed(keeps_slot=True):
            yield "kept slot"
        case ev.RunFinished(status=RunStatus.EXPIRED):
            yield "expired"
        case ev.AttemptStopped() if book.runs[event.run_id].timed_out:
            yield f"timed-out body {outcomes.get(event.fence, 'never began')}"
        case ev.RunTriggered() if event.delay_until and event.delay_until <= event.at:
            yield "delay until a moment that is over"
        case ev.RunDispatched():
            entry = book.runs[event.run_id]
            if any(other.lane == entry.lane and other.queued_at < entry.queued_at for other in book.ready()):
                yield "a later one went first"
            queue = book.queue(entry.queue)
            if queue.rate is not None and queue.starts and not queue.has_token(queue.starts[-1]):
                yield "waited for a token"
        case ev.WaitOver(timed_out=False) if book.runs[event.run_id].waits[event.op].stream:
            yield "value of a stream waited for"
        case ev.AttemptParked(let_go=""):
            yield "suspended worker lost"
        case ev.WaitOver() if not book.runs[event.run_id].suspended_at:
            yield "wait over while it executes"
        case _:
            pass


@dataclass
class Density:
    """Of many histories: how many events on average, and what share of them has each kind of fact."""

    histories: int = 0
    events: int = 0
    having: Counter[str] = field(default_factory=Counter)

    def add(self, facts: Facts) -> None:
        self.histories += 1
        self.events += facts.events
        self.having.update(set(facts.counts))

    @property
    def mean_events(self) -> float:
        return self.events / self.histories

    def share(self, what: str) -> float:
        return self.having[what] / self.histories
