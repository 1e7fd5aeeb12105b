"""Messages about runs that exist: read one or a list of them, their logs and spans, and cancel one or many.

Lists come without payloads and outputs that are large; `Retrieve` has them. To hear of changes: `watching.py`.
"""

from __future__ import annotations

import msgspec

from kernelkit.models.bulk import Bulk, BulkKind
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Logs, Run
from kernelkit.models.span import Span
from kernelkit.wire.messages.message import Message


class Retrieve(Message, frozen=True):
    """→ `RunReply`, with payload and output of any size, and its relations where they are asked for."""

    run_id: str
    related: bool = False


class RunReply(Message, frozen=True):
    run: Run


class ListRuns(RunFilter, Message, frozen=True, kw_only=True):
    """→ `RunPage`, newest first. `after` is the last id of the page before, `before` the first of the page after."""

    limit: int = 25
    after: str = ""
    before: str = ""

    def frozen_list(self, now: int) -> ListRuns:
        """The same with its period as a moment."""
        return msgspec.structs.replace(self, created_from=self.frozen(now).created_from, period_s=0.0)


class RunPage(Message, frozen=True):
    runs: tuple[Run, ...]
    has_more: bool
    total: int
    """How many match in all, counted up to 100,000."""
    has_previous: bool = False
    """Whether newer runs match as well."""
    created_from: int = 0
    """What the period of the list came to: its other pages are asked with this."""


class SummarizeRuns(RunFilter, Message, frozen=True, kw_only=True):
    """→ `RunSummary` of the runs that match; their status is not looked at."""


class RunSummary(Message, frozen=True):
    counts: dict[str, int]
    """How many have which status."""
    last: tuple[tuple[str, float | None], ...] = ()
    """Status and seconds of the 40 that ended last, the newest first; None for one that never began."""


class GetLogs(Message, frozen=True):
    """→ `LogsReply`: the last `limit` lines, of those before or after a line where one is named."""

    run_id: str
    limit: int = 1000
    before: int | None = None  # the number of a line
    after: int | None = None
    level: tuple[str, ...] = ()  # any of them
    search: str = ""  # in any case of letters


class LogsReply(Message, frozen=True):
    logs: Logs
    first: int = 0
    """Number of the first of these lines in the run's log …"""
    last: int = -1
    """… and of the last; -1 where there is none."""
    has_more: bool = False
    """Whether more lines match, further on in the direction that was asked for."""


class GetSpans(Message, frozen=True):
    """→ `SpansReply`: what these runs did when, of a thousand at most."""

    run_ids: tuple[str, ...]


class SpansReply(Message, frozen=True):
    """By run id; a run without any is missing. Of a very long story only the newest part is told."""

    spans: dict[str, tuple[Span, ...]]


class Cancel(Message, frozen=True):
    """→ `Run`, as it is after the cancel; a finished run is unchanged."""

    run_id: str
    reason: str = "Canceled by user"


class StartBulk(Message, frozen=True):
    """→ `BulkReply`, once the action is on disk; the engine then carries it out by itself."""

    bulk_id: str
    kind: BulkKind
    asked: RunFilter
    reason: str = ""


class GetBulk(Message, frozen=True):
    """→ `BulkReply`, when the action is over or after `wait_s` seconds."""

    bulk_id: str
    wait_s: float = 0.0


class AbortBulk(Message, frozen=True):
    """→ `BulkReply`: no further chunk is done."""

    bulk_id: str


class BulkReply(Message, frozen=True):
    bulk: Bulk
