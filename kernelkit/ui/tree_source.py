"""Reads a run tree and hears how it changes, for a live picture of it.

The rows that are open belong to the reader and are kept here, as the browser has only the rows it shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from kernelkit.authoring.tree import RunTree, branch
from kernelkit.errors import KernelKitError
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.runs_source import RunsSource
from kernelkit.ui.tree import Tree, run_tree
from kernelkit.ui.tree_faces import tree_html, tree_text
from kernelkit.wire.messages import Cancel


class TreeSource(RunsSource):
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, shown: RunTree, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(shown, now)
        self._opened: set[str] = set()
        self._closed: set[str] = set()
        self._pages: dict[str, int] = {}
        self.open_timeline: Callable[[], None] | None = None
        """Shows the timeline below the picture; on the picture's thread, once."""
        self._wants_timeline = False

    def read(self) -> None:
        super().read()
        if self._wants_timeline and self.open_timeline is not None:
            show, self.open_timeline = self.open_timeline, None
            show()

    def tree(self, *, failures: bool = False, max_rows: int = 300) -> Tree:
        """The picture as of now."""
        top = self._runs[self._shown.run_id]
        runs = branch(top, list(self._runs.values()))
        runs.remove(top)
        return run_tree(
            [top, *runs],
            now=self._now(),
            zone=words.local_zone(),
            total=max(self._total, len(runs) + 1) if top.root_id in (None, top.id) else None,
            opened=self._opened,
            closed=self._closed,
            pages=self._pages,
            failures=failures,
            max_rows=max_rows,
        )

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = msgspec.to_builtins(self.tree())
        for row in view["rows"]:
            if "since" in row:  # the browser has a clock of its own
                row.pop("clock", None)
        return view

    def bundle(self) -> Bundle:
        tree = self.tree(failures=True, max_rows=200)
        return {"text/plain": tree_text(tree), "text/html": tree_html(tree)}

    def asked(self, content: dict[str, Any]) -> None:
        keys = [key for key in content.get("keys", []) if isinstance(key, str)][:1_000]
        match content.get("do"):
            case "open":
                for key in keys:
                    if key in self._opened:  # the row behind which more are
                        group = key[:-1]
                        self._pages[group] = self._pages.get(group, 1) + 1
                    self._opened.add(key)
                    self._closed.discard(key)
            case "close":
                self._opened.difference_update(keys)
                self._closed.update(keys)
            case "timeline":
                self._wants_timeline = True
            case "cancel":
                threading.Thread(target=self._cancel, name="kernelkit-cancel", daemon=True).start()
        super().asked(content)

    def _cancel(self) -> None:
        try:
            self._caller.call(Cancel(self._shown.run_id))
        except KernelKitError as problem:
            self.failed(problem)
