"""Reads a run tree and hears how it changes, for a live picture of it.

What came in is kept as snapshots by id, newest wins; the rows that are open belong to the reader and are kept here, as
the browser has only the rows it shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.tree import RunTree, branch, family
from kernelkit.errors import KernelKitError
from kernelkit.models.run import Run
from kernelkit.ui import words
from kernelkit.ui.live import Bundle
from kernelkit.ui.tree import Tree, run_tree
from kernelkit.ui.tree_faces import tree_html, tree_text
from kernelkit.wire.messages import Cancel


class TreeSource:
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, shown: RunTree, now: Callable[[], datetime] | None = None) -> None:
        self._shown = shown
        self._caller: Caller = shown.caller
        self._now = now or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._came: dict[str, Run] = {}
        self._runs: dict[str, Run] = {}
        self._total = 0
        self._must_read = True
        self._opened: set[str] = set()
        self._closed: set[str] = set()
        self._pages: dict[str, int] = {}
        self._problem: Exception | None = None
        self._stop: Callable[[], None] | None = None
        self.wake = threading.Event()
        self.urgent = threading.Event()

    def open(self) -> None:
        """Begin to listen, then read: whatever changes in between is heard."""
        top = self._shown.root()
        self._stop = self._caller.subscribe(family(top), self)
        self.read()

    # ---- as the caller's thread calls it ---------------------------------------------------------------------------

    def changed(self, run: Run) -> None:
        with self._lock:
            self._came[run.id] = run
        self.wake.set()

    def reconnected(self) -> None:
        self._must_read = True
        self.wake.set()

    def failed(self, problem: Exception) -> None:
        self._problem = problem
        self.wake.set()

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return bool(self._runs) and all(run.is_completed for run in self._runs.values())

    @property
    def is_connected(self) -> bool:
        return bool(getattr(self._caller, "is_connected", True))

    def read(self) -> None:
        if self._problem is not None:
            raise KernelKitError(str(self._problem)) from self._problem
        if self._must_read:
            self._must_read = False
            runs, self._total = self._shown.read()
            self._runs = {run.id: run for run in runs}
        with self._lock:
            came, self._came = self._came, {}
        for run in came.values():
            known = self._runs.get(run.id)
            self._total += known is None
            if known is None or not known.is_completed:
                self._runs[run.id] = run

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
            case "cancel":
                threading.Thread(target=self._cancel, name="kernelkit-cancel", daemon=True).start()
        self.wake.set()
        self.urgent.set()

    def _cancel(self) -> None:
        try:
            self._caller.call(Cancel(self._shown.run_id))
        except KernelKitError as problem:
            self.failed(problem)

    def close(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
