"""Reads when the shown runs did what, and hears how they change, for a live picture of it.

The runs are followed as those of a tree; what they did when is in the engine's log and is asked for anew, for the rows
that are shown and have moved since. A change of metadata moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import branch
from kernelkit.models.run import Run
from kernelkit.models.span import Span
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.runs_source import RunsSource
from kernelkit.ui.timeline import MAX_ROWS, MORE_ROWS, ROWS, Timeline, run_timeline, timeline_tree
from kernelkit.ui.timeline_faces import timeline_html, timeline_text
from kernelkit.ui.tree import Tree

_STATIC_ROWS = 100


class TimelineSource(RunsSource):
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, shown: RunTimeline, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(shown, now)
        self._timeline = shown
        self._rows = ROWS
        self._spans: dict[str, tuple[Span, ...]] = {}
        self._read_as: dict[str, tuple[Any, ...]] = {}  # how each run stood when its spans were read

    def timeline(self, max_rows: int | None = None) -> Timeline:
        """The picture as of now; asks the engine for spans of rows that it has not got, or only older ones."""
        now, zone = self._now(), words.local_zone()
        runs = self._shown_runs()
        tree = timeline_tree(runs, now=now, zone=zone, max_rows=max_rows or self._rows)
        self._read_spans(tree)
        is_tree = self._timeline.tree is not None
        total = max(self._total, len(runs)) if is_tree and runs[0].root_id in (None, runs[0].id) else None
        return run_timeline(tree, runs, self._spans, now=now, zone=zone, is_tree=is_tree, total=total)

    def _shown_runs(self) -> Sequence[Run]:
        top = self._runs[self._shown.run_id]
        if self._timeline.tree is None:
            return [top]
        runs = branch(top, list(self._runs.values()))
        runs.remove(top)
        return [top, *runs]

    def _read_spans(self, tree: Tree) -> None:
        shown = [self._runs[row.run_id] for row in tree.rows if row.run_id]
        moved = [run.id for run in shown if self._read_as.get(run.id) != _standing(run)]
        if moved and self._problem is None:  # else no engine answers: what is known has to do
            self._spans |= self._timeline.spans_of(moved)
            self._read_as |= {run.id: _standing(run) for run in shown}

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = msgspec.to_builtins(self.timeline())
        return view

    def bundle(self, **terminal: Any) -> Bundle:
        drawn = self.timeline(_STATIC_ROWS)
        return {"text/plain": timeline_text(drawn, **terminal), "text/html": timeline_html(drawn)}

    def asked(self, content: dict[str, Any]) -> None:
        if content.get("do") == "more":
            self._rows = min(MAX_ROWS, self._rows + MORE_ROWS)
        super().asked(content)


def _standing(run: Run) -> tuple[Any, ...]:
    """What is another whenever a span has begun or ended."""
    return (run.status, run.attempt_number, run.retry_at, run.finished_at, run.attempts, run.waiting_for)
