"""What goes into the store: rows of its growing tables, gathered in a `Batch` that is committed whole.

The order of their fields is the order of the columns in `sql/migrations/`, since that is how the appender takes them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from kernelkit.models.run import Run


class LogRow(NamedTuple):
    """One event; `body` is JSON text, `run_id` names the run or batch it is about, '' for none."""

    seq: int
    ts: int
    kind: str
    run_id: str
    body: str


class LineRow(NamedTuple):
    """One captured line. `n` counts all lines of the run, dropped ones too: a gap in it is a count of dropped lines."""

    run_id: str
    attempt: int
    ts: int
    level: str
    text: str
    n: int


class ValueRow(NamedTuple):
    """A payload or output too large for the engine's state. A `ref` belongs to one run and goes with it."""

    ref: str
    text: str


class BatchRow(NamedTuple):
    """A batch; `run_ids` in the order of its items, `errors` is JSON text."""

    id: str
    created_at: int
    run_ids: list[str]
    errors: str
    seq: int
    sort_key: int


class PartRow(NamedTuple):
    """Values that were appended to a stream at once; `first` is the index of the first, `body` a JSON list."""

    run_id: str
    stream: str
    first: int
    length: int
    ts: int
    body: str


@dataclass(slots=True)
class HistoryRow:
    """A finished run. A value that is in `vals` has its ref here and None in the run.

    `replaces` is for a run whose row is already there (a late `finished_at`, tags or metadata): the old row goes in the
    same transaction. `seq` stays that of the ending, since recovery makes the rows anew that end after the highest one.
    """

    run: Run
    payload_ref: str | None
    output_ref: str | None
    seq: int
    replaces: bool = False


@dataclass(slots=True)
class Batch:
    """Rows that reach the disk together or not at all."""

    events: list[LogRow] = field(default_factory=list)
    values: list[ValueRow] = field(default_factory=list)
    lines: list[LineRow] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)
    batches: list[BatchRow] = field(default_factory=list)
    parts: list[PartRow] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)  # refs of values that are to go

    @property
    def is_empty(self) -> bool:
        rows = (self.events, self.values, self.lines, self.history, self.batches, self.parts, self.unwanted)
        return not any(rows)

    def merge(self, other: Batch) -> None:
        """Add the rows of `other` behind these.

        >>> batch = Batch(values=[ValueRow("a", "1")])
        >>> batch.merge(Batch(values=[ValueRow("b", "2")]))
        >>> [row.ref for row in batch.values]
        ['a', 'b']
        """
        self.events += other.events
        self.values += other.values
        self.lines += other.lines
        self.history += other.history
        self.batches += other.batches
        self.parts += other.parts
        self.unwanted += other.unwanted


class Seen(NamedTuple):
    """Runs that a reader of history has in a fresher form: of the moment at which `seq` was the last event."""

    ended: Collection[str] = ()  # not in history yet, as far as was known
    live: Collection[str] = ()
    seq: int = 0


NOTHING_SEEN = Seen()
