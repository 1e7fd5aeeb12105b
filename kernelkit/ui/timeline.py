"""The timeline: when a run, or all runs of a tree, were queued, executed, waited and backed off.

Pure like `ui/tree.py`, whose rows these are, groups with their failures below them and everything open: the same runs,
spans and moment always give the same picture. `ui/timeline_faces.py` draws it without a widget. Moments are seconds
since the origin, because a picture is a ruler; what still goes on has no end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.models.span import Span
from kernelkit.models.wait import Waiting
from kernelkit.rules.spans import OUTCOMES
from kernelkit.ui import words
from kernelkit.ui.tree import Tree, TreeRow, group_key, run_tree

ROWS = 40
"""So many at first; the rest is asked for."""
MORE_ROWS = 160
MAX_ROWS = 1_000
SPANS = 120
"""Of one run; of a row among many a third. Earlier ones become one."""
_EVERY_DEPTH = 1_000


class TimelineSpan(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """One stretch of a row. `kind` is that of `models/span.py`, "pile" of many runs, "earlier" of what is left out."""

    kind: str
    begin: float
    end: float | None = None
    status: str = ""  # whose family of colours it has
    attempt: int = 0
    say: str = ""  # what it was, in a few words
    note: str = ""  # why, or what went wrong


class TimelineRow(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str
    name: str
    status: str
    word: str
    level: int = 0
    spans: tuple[TimelineSpan, ...] = ()
    note: str = ""
    is_group: bool = False


class Timeline(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The whole picture. `length` is the moment at which everything shown is over, or now."""

    run_id: str
    task: str
    status: str
    word: str
    attempts: int = 0
    is_tree: bool = False
    origin: datetime
    offset: int = 0  # of the zone, in seconds: the browser writes clock times with it
    length: float = 0.0
    rows: tuple[TimelineRow, ...]
    hidden: int = 0  # rows that were not asked for
    total: int = 1  # runs
    is_final: bool = False
    as_of: datetime
    as_of_text: str
    when: str  # from when to when, with the zone
    zone: str


def timeline_tree(runs: Sequence[Run], *, now: datetime, zone: tzinfo, max_rows: int) -> Tree:
    """What the rows are: everything is open, but groups, of which the failures are listed."""
    return run_tree(runs, now=now, zone=zone, failures=True, depth=_EVERY_DEPTH, max_rows=max_rows)


def run_timeline(
    tree: Tree,
    runs: Sequence[Run],
    spans: Mapping[str, Sequence[Span]],
    *,
    now: datetime,
    zone: tzinfo,
    is_tree: bool,
    total: int | None = None,
) -> Timeline:
    """The timeline of the rows of `tree`, of which `spans` has what they did; a run without any is one bar."""
    top = runs[0]
    drawing = _Drawing(runs, spans, now, zone, SPANS // 3 if is_tree else SPANS)
    rows = tuple(drawing.row(row) for row in tree.rows if row.status)
    ends = [drawing.at(now) if span.end is None else span.end for row in rows for span in row.spans]
    length = max([*ends, *(span.begin for row in rows for span in row.spans)], default=0.0)
    return Timeline(
        run_id=top.id,
        task=tree.task,
        status=tree.status,
        word=tree.word,
        attempts=len(top.attempts),
        is_tree=is_tree,
        origin=top.created_at,
        offset=round((top.created_at.astimezone(zone).utcoffset() or timedelta()).total_seconds()),
        length=length,
        rows=rows,
        hidden=tree.hidden,
        total=len(runs) if total is None else total,
        is_final=tree.is_final,
        as_of=now,
        as_of_text=tree.as_of_text,
        when=words.span(top.created_at, drawing.moment(length), zone),
        zone=tree.zone,
    )


class _Drawing:
    def __init__(
        self, runs: Sequence[Run], spans: Mapping[str, Sequence[Span]], now: datetime, zone: tzinfo, most: int
    ) -> None:
        self._runs = {run.id: run for run in runs}
        self._spans = spans
        self._origin, self._now, self._zone, self._most = runs[0].created_at, now, zone, most
        self._groups: dict[str, list[Run]] = {}
        for run in runs[1:]:
            self._groups.setdefault(group_key(run.parent_id or "", run.task_id), []).append(run)

    def at(self, moment: datetime) -> float:
        return round(max(0.0, (moment - self._origin).total_seconds()), 3)

    def moment(self, at: float) -> datetime:
        return self._origin + timedelta(seconds=at)

    def row(self, row: TreeRow) -> TimelineRow:
        run = self._runs.get(row.run_id)
        drawn = self._pile(row) if run is None else self._of_run(run)
        note = row.note if run is not None and row.last else ""
        word = row.word or words.STATUSES[row.status].word
        return TimelineRow(row.key, row.name, row.status, word, len(row.last), tuple(drawn), note, not row.run_id)

    def _pile(self, row: TreeRow) -> list[TimelineSpan]:
        """Many runs: queued until the first began, then a pile until the last has ended."""
        runs = self._groups[row.key]
        begun = min(run.created_at for run in runs)
        starts = [run.started_at for run in runs if run.started_at]
        ends = [run.finished_at for run in runs if run.finished_at]
        first = min(starts, default=None)
        over = max(ends) if len(ends) == len(runs) else None
        told = ", ".join(told for _, told in words.count_words(dict(row.counts)))
        queued = TimelineSpan(
            "queued", self.at(begun), None if first is None else self.at(first), "QUEUED", say="queued"
        )
        if first is None:
            return [
                queued if over is None else TimelineSpan("pile", self.at(begun), self.at(over), row.status, say=told)
            ]
        pile = TimelineSpan("pile", self.at(first), None if over is None else self.at(over), row.status, say=told)
        return [queued, pile] if first > begun else [pile]

    def _of_run(self, run: Run) -> list[TimelineSpan]:
        told = self._spans.get(run.id) or _unknown(run)
        left = max(0, len(told) - self._most)
        kept = [self._span(run, span) for span in told[left:]]
        begun = self.at(told[0].started_at)
        if left or begun > self.at(run.created_at) + 0.001:
            before = f"{words.number(left)} earlier spans" if begun <= self.at(run.created_at) else "the time before"
            earlier = TimelineSpan("earlier", self.at(run.created_at), kept[0].begin, "QUEUED", say=before)
            return [earlier, *kept]
        return kept

    def _span(self, run: Run, span: Span) -> TimelineSpan:
        is_open = span.finished_at is None
        status, say, note = self._told(span)
        if is_open and span.kind == "queued":
            note = words.phrase(run.queued_reason or "")
        elif is_open and span.kind == "backoff" and run.retry_at is not None:
            note = f"until {words.moment(run.retry_at, self._now, self._zone)}"
        elif is_open and span.kind == "delayed" and run.delay_until is not None:
            note = f"until {words.moment(run.delay_until, self._now, self._zone)}"
        return TimelineSpan(
            span.kind,
            self.at(span.started_at),
            None if span.finished_at is None else self.at(span.finished_at),
            status,
            span.attempt,
            say,
            words.cut(words.clean(note), 160),
        )

    def _told(self, span: Span) -> tuple[str, str, str]:
        """Family, words, and why."""
        match span.kind:
            case "delayed":
                return "DELAYED", "delayed", ""
            case "undefined":
                return "PENDING_VERSION", "no such task", ""
            case "queued":
                return "QUEUED", "queued", ""
            case "starting":
                return "DEQUEUED", "starting", ""
            case "backoff":
                return words.RETRYING, "backoff", ""
            case "waiting":
                causes = [_cause(wait) for wait in span.waiting_for]
                whole = "; ".join(filter(None, map(self._why, span.waiting_for)))
                return "WAITING", f"waits for {', '.join(causes)}" if causes else "waits", whole
            case "executing":
                if span.outcome is None:
                    say = "executing" if span.finished_at is None else "executing until its wait"
                    return "EXECUTING", say, ""
                say = words.STATUSES[span.outcome].word.lower()
                return span.outcome, say, str(span.error) if span.error else ""

    def _why(self, wait: Waiting) -> str:
        """What else there is to say of a wait than its bar does."""
        over = "" if wait.until is None else f"until {words.moment(wait.until, self._now, self._zone)}"
        match wait.type:
            case "duration":
                return over
            case "token":
                return f"{wait.token_id}, {over} at most" if over else wait.token_id or ""
            case "task":
                return wait.run_id or ""
            case _:
                return wait.batch_id or ""


def _cause(wait: Waiting) -> str:
    """What a wait is for, in the few words that fit into a bar."""
    match wait.type:
        case "duration":
            return "time"
        case "token":
            return words.cut(words.clean(f"token {wait.shown or wait.token_id}"), 40)
        case "task":
            return words.cut(words.clean(wait.shown or f"run {wait.run_id}"), 40)
        case "batch":
            return f"{words.number(wait.left)} runs" if wait.left != 1 else "1 run"
        case _:
            return words.cut(words.clean(f"stream {wait.shown}"), 40)


def _unknown(run: Run) -> list[Span]:
    """A run of which the log tells nothing (one that was refused) by its own moments."""
    if run.is_completed:
        begun, over = run.started_at or run.created_at, run.finished_at or run.created_at
        ended = Span("executing", begun, over, outcome=OUTCOMES.get(run.status.value), error=run.error)
        return [Span("queued", run.created_at, begun), ended] if begun > run.created_at else [ended]
    return [Span("queued", run.created_at)]
