"""Idempotency keys, debounced runs and answers as the log tells them; a part of the book."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernelkit.models import event as ev
from kernelkit.models.run import RunStatus
from kernelkit.models.sameness import KeyUse

if TYPE_CHECKING:
    from tests.simulation.book import Book, Entry

FREED_BY = (
    RunStatus.FAILED,
    RunStatus.CRASHED,
    RunStatus.SYSTEM_FAILURE,
    RunStatus.TIMED_OUT,
    RunStatus.EXPIRED,
)


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


@dataclass
class SameBook:
    """Who holds which key of which task, and where a debounce key of a task goes."""

    holders: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)  # run, and until when
    targets: dict[tuple[str, str], str] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)  # by the name of the request

    def holder(self, book: Book, task_id: str, key: KeyUse, at: int) -> Entry | None:
        """The run that a key stands for at this moment."""
        run_id, until = self.holders.get((task_id, key.hash), ("", 0))
        if not run_id or until <= max(book.clock, at) or book.runs[run_id].status in FREED_BY:
            return None
        return book.runs[run_id]

    def target(self, book: Book, task_id: str, debounce: str) -> Entry | None:
        """The run that a push with this debounce key goes to."""
        entry = book.runs.get(self.targets.get((task_id, debounce), ""))
        return entry if entry is not None and entry.status is RunStatus.DELAYED else None

    def waiting(self, book: Book) -> list[tuple[str, str]]:
        """Task and debounce key of each run that takes pushes."""
        return [place for place in self.targets if self.target(book, *place) is not None]

    def write(self, book: Book, event: ev.AnyEvent) -> None:
        """Tell of one more event; `book.clock` knows of it, the runs do not yet."""
        match event:
            case ev.RunTriggered():
                if event.debounce and event.delay_until:
                    self.targets[event.task_id, event.debounce] = event.run_id
                self._hold(book, event.task_id, event.key, event.run_id)
            case ev.RunDebounced():
                self._hold(book, book.runs[event.run_id].task, event.key, event.run_id)
                self.answered[event.asked] = event.run_id
            case ev.TriggerAnswered():
                self.answered[event.asked] = event.run_id
            case ev.KeyCleared():
                self.holders.pop((event.task_id, event.hash), None)
                self.answered[event.asked] = ""
            case ev.StreamAppended() if event.asked:
                self.answered[event.asked] = ""
            case ev.RunRescheduled():
                self.answered[event.asked] = event.run_id
            case ev.RetryDue() if event.asked:
                self.answered[event.asked] = event.run_id
            case _:
                pass

    def _hold(self, book: Book, task_id: str, key: KeyUse | None, run_id: str) -> None:
        if key is not None:
            self.holders[task_id, key.hash] = (run_id, book.clock + micros(key.ttl_s))
