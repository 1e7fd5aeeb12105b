"""Reads a page of runs and hears how they change, for a live table.

The page is a snapshot by keyset: only the first one takes in new runs, and not while the reader is about to click, for
a row must not move away under the pointer. Everything the reader asks for is put on a list and done on the picture's
own thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from kernelkit.authoring.runs import Page
from kernelkit.clock import from_datetime
from kernelkit.errors import EngineUnavailableError, InvalidOptionError
from kernelkit.models.bulk import BulkKind
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run, RunStatus
from kernelkit.rules.limits import check_text
from kernelkit.rules.run_filters import in_words
from kernelkit.ui import words
from kernelkit.ui.bulk_actions import BulkAction
from kernelkit.ui.faces import Bundle
from kernelkit.ui.heard import Heard
from kernelkit.ui.polled import reach
from kernelkit.ui.table import runs_table, table_html, table_text
from kernelkit.ui.table_live import PERIODS, Asked, LiveTable, live_table
from kernelkit.wire.messages import ListRuns, ListTasks, RunPage, RunSummary, SummarizeRuns, TaskList

COUNT_EVERY_S = 2.0
SPARE = 10.0  # counting again waits so many times as long as it took
PACE_S = 0.2
LONGEST = 200  # characters of a search


class TableSource(Heard):
    """A `Source` of `ui/live_view.py`. `open_card` is called with the id of a run that the reader wants to see."""

    def __init__(
        self, page: Page, open_card: Callable[[str], None] | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(page.caller)
        self._open_card = open_card
        self._now = now or (lambda: datetime.now(UTC))
        asked = page.asked
        self._limit = asked.limit
        self._where = RunFilter(**{name: getattr(asked, name) for name in RunFilter.__struct_fields__})
        self._period_s = 0.0
        self._after, self._before = asked.after, asked.before
        self._first = 1
        self._asks: deque[dict[str, Any]] = deque(maxlen=100)
        self._runs: dict[str, Run] = {run.id: run for run in page.runs}
        self._new: dict[str, Run] = {}
        self._newer, self._older = page.has_previous, page.has_more
        self._counts: dict[str, int] = {}
        self._last: tuple[tuple[str, float | None], ...] = ()
        self._tasks: list[str] = []
        self._must_read = False
        self._must_count = True
        self._count_at = 0.0
        self._is_live = True
        self._is_held = False
        self._action: BulkAction | None = None
        self._trouble = ""  # what the reader asked for and could not be had
        self._stop: Callable[[], None] | None = None
        self._timer: threading.Timer | None = None
        self._is_away = False

    def open(self) -> None:
        """Begin to listen, then read: whatever changes in between is heard."""
        self._listen()
        self._must_read = True
        tasks = self._caller.call(ListTasks())
        assert isinstance(tasks, TaskList)
        self._tasks = sorted(task.spec.id for task in tasks.tasks)
        self._read_now()

    # ---- as the caller's thread calls it ---------------------------------------------------------------------------

    def reconnected(self) -> None:
        self._must_count = True
        super().reconnected()

    def failed(self, problem: Exception) -> None:
        if isinstance(problem, EngineUnavailableError):  # a table does not end with its engine
            self._is_away = True
            self.wake.set()
        else:
            super().failed(problem)

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return False

    @property
    def is_connected(self) -> bool:
        return not self._is_away and super().is_connected

    def read(self) -> None:
        self._raise_problem()
        try:
            if self._is_away:
                reach(self._caller)
                self._listen()
                self._must_read = self._must_count = True
                self._is_away = False
            self._read_now()
        except EngineUnavailableError:
            self._is_away = True

    def _read_now(self) -> None:
        while self._asks:
            self._trouble = ""
            try:
                self._do(self._asks.popleft())
            except InvalidOptionError as refused:
                self._trouble = str(refused)
        came = self._take_heard()
        for run in came:
            self._take(run)
        self._must_count |= bool(came)
        if self._is_first and self._is_live and not self._is_held:
            self._let_in()
        if self._must_read:
            self._read_page()
        if self._must_count:
            self._count()

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = msgspec.to_builtins(self.table())
        return view

    def table(self) -> LiveTable:
        """The picture as of now."""
        now, zone = self._now(), words.local_zone()
        return live_table(
            runs_table(self._rows, total=len(self._runs), has_more=False, now=now, zone=zone),
            asked=Asked(self._where, self._period_s),
            counts=self._counts,
            last=self._last,
            tasks=self._tasks,
            first=self._first,
            newer=self._newer,
            older=self._older,
            new=len(self._new) if self._is_first else 0,
            live=self._is_live,
            held=self._is_held,
            action=self._action.told if self._action else None,
            problem=self._trouble,
            now=now,
            zone=zone,
        )

    def bundle(self) -> Bundle:
        table = runs_table(
            self._rows,
            total=max(len(self._runs), self._total),
            has_more=self._older,
            now=self._now(),
            zone=words.local_zone(),
            filters=in_words(self._where),
            first=self._first,
        )
        return {"text/plain": table_text(table), "text/html": table_html(table)}

    def asked(self, content: dict[str, Any]) -> None:
        self._asks.append(content)
        self.wake.set()
        self.urgent.set()

    def close(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        if self._timer is not None:
            self._timer.cancel()

    # ---- what the reader asks for ----------------------------------------------------------------------------------

    def _do(self, content: dict[str, Any]) -> None:
        match content:
            case {"do": "page", "to": "older"} if self._older and self._runs:
                self._first += len(self._runs) if self._first else 0
                self._go(after=self._rows[-1].id)
            case {"do": "page", "to": "newer"} if self._newer and self._runs:
                self._first = max(0, self._first - self._limit)
                self._go(before=self._rows[0].id)
            case {"do": "page"}:
                self._first = 1
                self._go()
            case {"do": "filter"}:
                self._filter(content)
            case {"do": "hold", "on": bool(on)}:
                self._is_held = on
                statuses = self._where.status
                self._must_read |= not on and any(
                    statuses and run.status not in statuses for run in self._runs.values()
                )
            case {"do": "live", "on": bool(on)}:
                self._is_live = on
            case {"do": "new"}:
                self._let_in()
            case {"do": "bulk", "kind": "CANCEL" | "REPLAY" as kind, "ids": list(chosen)}:
                self._begin(kind, [run_id for run_id in chosen if isinstance(run_id, str)][:1_000])
            case {"do": "bulk", "kind": "CANCEL" | "REPLAY" as kind, "all": True}:
                self._begin(kind, self._meant(kind))
            case {"do": "stop"} if self._action is not None:
                self._action.stop()
            case {"do": "dismiss"} if self._action is not None and self._action.told.over:
                self._action = None
            case {"do": "card", "id": str(run_id)} if self._open_card is not None:
                self._open_card(run_id)

    def _go(self, *, after: str = "", before: str = "") -> None:
        self._after, self._before = after, before
        self._new.clear()
        self._must_read = True

    def _filter(self, content: dict[str, Any]) -> None:
        """Take the reader's controls; `clear` takes away what they do not show as well."""
        before = self._where
        where = RunFilter() if content.get("clear") is True else Asked(before, self._period_s).fixed
        status, search, task = (content.get(name) for name in ("status", "search", "task"))
        known = [one for one in status if one in RunStatus.__members__] if isinstance(status, list) else []
        text = check_text(search.strip()[:LONGEST], "The search") if isinstance(search, str) else ""
        period = content.get("period")
        self._period_s = PERIODS[period][0] if isinstance(period, int) and 0 <= period < len(PERIODS) else 0.0
        since = from_datetime(self._now()) - int(self._period_s * 1e6) if self._period_s else where.created_from
        named = (check_text(task, "The task"),) if isinstance(task, str) and task else where.task
        self._where = replace(where, status=tuple(known), search=text, task=named, created_from=since)
        self._first = 1
        self._count_at = 0.0
        self._must_count = True
        self._go()
        if replace(self._where, status=()) != replace(before, status=()):
            self._counts = {}
            self._listen()

    def _begin(self, kind: BulkKind, chosen: list[str] | RunFilter) -> None:
        if self._action is not None and not self._action.told.over:
            raise InvalidOptionError("Another action is under way; stop it or wait for its end.", field="action")
        self._action = BulkAction(self._caller, kind, chosen, self.wake.set)

    def _meant(self, kind: BulkKind) -> RunFilter:
        """Every run that matches until now; of a cancel, those that have not ended."""
        where = replace(self._where, created_to=self._where.created_to or from_datetime(self._now()) + 1)
        if kind == "CANCEL":
            open_now = tuple(status.value for status in RunStatus if status.value not in _ENDED)
            where = replace(where, status=tuple(one for one in where.status or open_now if one in open_now))
            if not where.status:
                raise InvalidOptionError("All of these have ended; nothing can be canceled.", field="status")
        return where

    # ---- reading ---------------------------------------------------------------------------------------------------

    @property
    def _rows(self) -> list[Run]:
        return sorted(self._runs.values(), key=lambda run: run.id, reverse=True)

    @property
    def _is_first(self) -> bool:
        return not self._after and not self._before

    @property
    def _total(self) -> int:
        return sum(self._counts.get(status, 0) for status in self._where.status or self._counts)

    def _listen(self) -> None:
        self.close()
        self._stop = self._caller.subscribe(replace(self._where, status=()), self)

    def _take(self, run: Run) -> None:
        """A run that has changed: a row of the page, a new one, or none of ours."""
        matches = not self._where.status or run.status.value in self._where.status
        if run.id in self._runs:
            known = self._runs[run.id]
            if not known.is_completed or run.is_completed:
                self._runs[run.id] = run
            self._must_read |= not matches and not self._is_held
            return
        if run.id in self._new or (matches and self._is_first and self._belongs(run)):
            self._new[run.id] = run
            if not matches:
                del self._new[run.id]

    def _belongs(self, run: Run) -> bool:
        return len(self._runs) < self._limit or run.id > min(self._runs)

    def _let_in(self) -> None:
        if not self._new:
            return
        self._runs |= self._new
        self._new.clear()
        kept = self._rows[: self._limit]
        self._older |= len(kept) < len(self._runs)
        self._runs = {run.id: run for run in kept}

    def _read_page(self) -> None:
        self._must_read = False
        asked = ListRuns(**asdict(self._where), limit=self._limit, after=self._after, before=self._before)
        page = self._caller.call(asked)
        assert isinstance(page, RunPage)
        self._runs = {run.id: run for run in page.runs}
        self._new.clear()
        self._newer, self._older = page.has_previous, page.has_more
        if self._before and page.has_previous and self._first == 1:
            self._first = 0  # runs have come meanwhile, nobody knows how many
        if self._before and not page.has_previous:  # the newest page again: it takes in new runs
            self._first, self._before = 1, ""
            if len(page.runs) < self._limit:
                self._read_page()

    def _count(self) -> None:
        """Count again, but no more often than is cheap; a timer comes back for what could not be counted now."""
        left = self._count_at - time.monotonic()
        if left > 0:
            if self._timer is None or not self._timer.is_alive():
                self._timer = threading.Timer(left, self.wake.set)
                self._timer.daemon = True
                self._timer.start()
            return
        began = time.monotonic()
        summary = self._caller.call(SummarizeRuns(**asdict(self._where)))
        assert isinstance(summary, RunSummary)
        self._must_count = False
        self._counts, self._last = summary.counts, summary.last
        ended = time.monotonic()
        self._count_at = ended + max(COUNT_EVERY_S, SPARE * (ended - began))


_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "CANCELED", "EXPIRED"})
