"""The run tree: a run and all that came of it, folded so that thousands of runs fit into a few rows.

More than eight children of one task become one row with counts. Open, such a group shows its failures first, at most
ten, and behind one more row all its runs by pages of 50. `run_tree` is the view, pure like `ui/view.py`: the same runs,
moment and open rows always give the same rows. `ui/tree_faces.py` draws them without a widget.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.models.run import Run
from kernelkit.ui import words

GROUP_FROM = 9  # so many children of one task are folded
FAILURES_FIRST = 10
PAGE = 50
OPEN_DEPTH = 3  # rows above this depth begin open
MORE = "…"  # ends the key of the row behind which a group's runs are


class TreeRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `last` says for each level above whether nothing follows there: what the guides are drawn from."""

    key: str
    name: str
    status: str = ""  # none for rows that stand for what is not listed
    last: tuple[bool, ...] = ()
    twist: str = ""  # "open", "closed", or nothing to open
    note: str = ""
    counts: tuple[tuple[str, int], ...] = ()  # of a group, by shown status
    clock: str = ""
    since: datetime | None = None  # the clock ticks from here while the run goes on
    begin: float = 0.0  # seconds after the root began
    end: float | None = None  # none while it goes on

    @property
    def word(self) -> str:
        return words.STATUSES[self.status].word if self.status else ""

    @property
    def run_id(self) -> str:
        """Of a row that stands for one run."""
        return self.key if self.status and not self.counts else ""


class Tree(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The whole picture: the head, and the rows that are open now."""

    run_id: str
    task: str
    status: str
    word: str
    total: int
    counts: tuple[tuple[str, int], ...]
    ended: int  # percent
    rows: tuple[TreeRow, ...]
    unread: int = 0  # runs that were counted only
    hidden: int = 0  # open rows beyond the most that are drawn
    length: float = 0.0  # seconds from the root's beginning to the end of all, or to now
    is_final: bool = False
    as_of: datetime
    as_of_text: str
    zone: str


def run_tree(
    runs: Sequence[Run],
    *,
    now: datetime,
    zone: tzinfo,
    total: int | None = None,
    opened: Collection[str] = (),
    closed: Collection[str] = (),
    pages: Mapping[str, int] | None = None,
    failures: bool = False,
    depth: int = OPEN_DEPTH,
    max_rows: int = 300,
) -> Tree:
    """The tree of `runs`, whose first is the one on top.

    Rows above `depth` are open unless they are among `closed`, groups are closed unless among `opened`; `pages` says
    how many pages of an open group are wanted. With `failures` a closed group lists its failures all the same, as a
    face that nobody can click must.
    """
    top = runs[0]
    counts = Counter(words.shown_status(run) for run in runs)
    drawing = _Drawing(runs, now, set(opened), set(closed), pages or {}, failures, depth)
    rows = list(drawing.rows())
    return Tree(
        run_id=top.id,
        task=_name(top),
        status=words.shown_status(top),
        word=words.STATUSES[words.shown_status(top)].word,
        total=len(runs) if total is None else total,
        counts=_ordered(counts),
        ended=int(100 * sum(run.is_completed for run in runs) / len(runs)),
        rows=tuple(rows[:max_rows]),
        unread=max(0, (total or 0) - len(runs)),
        hidden=max(0, len(rows) - max_rows),
        length=drawing.length,
        is_final=all(run.is_completed for run in runs),
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


class _Drawing:
    def __init__(
        self,
        runs: Sequence[Run],
        now: datetime,
        opened: set[str],
        closed: set[str],
        pages: Mapping[str, int],
        failures: bool,
        depth: int,
    ) -> None:
        self._top, self._now, self._depth = runs[0], now, depth
        self._opened, self._closed, self._pages, self._failures = opened, closed, pages, failures
        self._below: dict[str, list[Run]] = {}
        for run in runs[1:]:
            self._below.setdefault(run.parent_id or "", []).append(run)
        self._begin = self._top.created_at
        self.length = self._at(max(run.finished_at or max(now, run.created_at) for run in runs))

    def rows(self) -> Iterator[TreeRow]:
        yield from self._run(self._top, _name(self._top), ())

    def _run(self, run: Run, name: str, last: tuple[bool, ...]) -> Iterator[TreeRow]:
        below = self._below.get(run.id, [])
        is_open = run.id in self._opened or (len(last) < self._depth and run.id not in self._closed)
        status = words.shown_status(run)
        yield TreeRow(
            run.id,
            name,
            status,
            last,
            ("open" if is_open else "closed") if below else "",
            _note(run) if last else run.id,
            clock=words.clock(run, self._now),
            since=run.started_at if not run.is_completed else None,
            begin=self._at(run.created_at),
            end=None if run.finished_at is None else self._at(run.finished_at),
        )
        if is_open:
            units = list(_units(below))
            for place, unit in enumerate(units):
                under = (*last, place == len(units) - 1)
                if len(unit) >= GROUP_FROM:
                    yield from self._group(group_key(run.id, unit[0].task_id), unit, under)
                else:
                    yield from self._run(unit[0], _name(unit[0]), under)

    def _group(self, key: str, runs: list[Run], last: tuple[bool, ...]) -> Iterator[TreeRow]:
        counts = Counter(words.shown_status(run) for run in runs)
        is_open = key in self._opened
        ended = max(run.finished_at or self._now for run in runs)
        starts = [run.started_at for run in runs if run.started_at]
        yield TreeRow(
            key,
            f"{_name(runs[0])} × {words.number(len(runs))}",
            words.group_status(counts),
            last=last,
            twist="open" if is_open else "closed",
            counts=_ordered(counts),
            clock=words.ended(ended - min(starts)) if starts else words.NONE,
        )
        if is_open or self._failures:
            yield from self._members(key, runs, last, is_open=is_open)

    def _members(self, key: str, runs: list[Run], last: tuple[bool, ...], *, is_open: bool) -> Iterator[TreeRow]:
        numbered = [(number, run) for number, run in enumerate(runs)]
        failed = [(number, run) for number, run in numbered if run.status.value in words.FAILURES]
        more = key + MORE
        is_listed = is_open and more in self._opened
        first = [] if is_listed else failed[:FAILURES_FIRST]
        for place, (number, run) in enumerate(first):
            is_last = place == len(first) - 1 and len(first) == len(runs)
            yield from self._run(run, f"#{number}", (*last, is_last))
        rest = len(runs) - len(first)
        if not is_listed:
            if rest and (first or is_open):
                yield TreeRow(more, f"{words.number(rest)} more", last=(*last, True), twist="closed" if is_open else "")
            return
        shown = min(len(runs), PAGE * max(1, self._pages.get(key, 1)))
        for number, run in numbered[:shown]:
            yield from self._run(run, f"#{number}", (*last, number == len(runs) - 1))
        if shown < len(runs):
            yield TreeRow(more, f"{words.number(len(runs) - shown)} more", last=(*last, True), twist="closed")

    def _at(self, moment: datetime) -> float:
        return round((moment - self._begin).total_seconds(), 3)


def group_key(parent_id: str, task_id: str) -> str:
    """The key of the row that stands for all children of a run that are of one task."""
    return f"{parent_id} {task_id}"


def _units(runs: list[Run]) -> Iterator[list[Run]]:
    """What stands as one row: a run, or all runs of a task that has many. Each at the place of its first."""
    many = {task for task, count in Counter(run.task_id for run in runs).items() if count >= GROUP_FROM}
    folded: set[str] = set()
    for run in runs:
        if run.task_id not in many:
            yield [run]
        elif run.task_id not in folded:
            folded.add(run.task_id)
            yield [each for each in runs if each.task_id == run.task_id]


def _ordered(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((status, counts[status]) for status in words.COUNT_ORDER if counts.get(status))


def _name(run: Run) -> str:
    return words.cut(words.clean(run.task_id), 120)


def _note(run: Run) -> str:
    """Why, in a few words: what it waits for, or what went wrong."""
    status = words.shown_status(run)
    told = ""
    if status in words.FAILURES:
        told = words.clean(str(run.error or ""))
        if told and len(run.attempts) > 1:
            told += f" after {len(run.attempts)} attempts"
    elif status == "QUEUED":
        told = words.phrase(run.queued_reason or "")
    elif status == "WAITING":
        told = words.phrase("; ".join([str(each) for each in run.waiting_for]))
    elif status == words.RETRYING:
        told = f"attempt {run.attempt_number + 1} of {run.max_attempts} next"
    elif len(run.attempts) > 1:
        told = f"{len(run.attempts)} attempts"
    return words.cut(told, 160)
