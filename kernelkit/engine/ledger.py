"""Finished runs on their way from state to history.

A run's row is made once, when it leaves the live set, and appended in the background: until then it is found here.
"""

from __future__ import annotations

from collections import OrderedDict

from kernelkit.engine.commands import Capacity
from kernelkit.engine.decide import Change
from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.engine.views import run_view
from kernelkit.errors import TaskTimeoutError
from kernelkit.models import event as ev
from kernelkit.models.error import Error
from kernelkit.models.run import RunStatus
from kernelkit.models.value import Value
from kernelkit.store.rows import HistoryRow

RECENT = 4_096  # about 1.5 kB each


def history_row(change: Change, state: State, capacity: Capacity) -> HistoryRow | None:
    """The row of the run that `change` has ended, or None when it ended none."""
    event, run = change.event, change.run
    if run is None or run.id in state.runs:
        return None
    output: Value | None = None
    error: Error | None = None
    match event:
        case ev.RunFinished():
            output, error = event.output, event.error
        case ev.RunRefused():
            error = event.error
        case ev.RunCanceled() | ev.AttemptStopped():
            error = stopped_error(run)
        case _:
            return None
    view = run_view(run, state, capacity, finished_at=event.at, output=output, error=error)
    return HistoryRow(run=view, payload_ref=run.payload.ref, output_ref=output.ref if output else None, seq=change.seq)


def stopped_error(run: LiveRun) -> Error | None:
    """What a run that was canceled, or took too long, shows as its error."""
    if run.stop_reason is None:
        return None
    if run.status is RunStatus.TIMED_OUT:
        return Error(name=TaskTimeoutError.__name__, message=run.stop_reason, code=TaskTimeoutError.code)
    return Error(name=RunStatus.CANCELED.value, message=run.stop_reason, code="canceled")


class Ledger:
    """The rows that history does not have yet, and the newest of those it has, by run id."""

    def __init__(self) -> None:
        self._rows: dict[str, HistoryRow] = {}
        self._under_way: set[str] = set()
        self._recent: OrderedDict[str, HistoryRow] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Rows that nobody has taken to write yet."""
        return len(self._rows) - len(self._under_way)

    def add(self, row: HistoryRow) -> None:
        self._rows[row.run.id] = row

    def get(self, run_id: str) -> HistoryRow | None:
        return self._rows.get(run_id) or self._recent.get(run_id)

    def rows(self) -> list[HistoryRow]:
        """Everything that history was not yet said to have."""
        return list(self._rows.values())

    def take(self) -> list[HistoryRow]:
        """The rows to write now; the same row is handed out once."""
        rows = [row for run_id, row in self._rows.items() if run_id not in self._under_way]
        self._under_way.update(row.run.id for row in rows)
        return rows

    def written(self, rows: list[HistoryRow]) -> None:
        """History has these now; the newest stay at hand, for whoever asks next."""
        for row in rows:
            self._rows.pop(row.run.id, None)
            self._under_way.discard(row.run.id)
            self._recent[row.run.id] = row
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
