"""Reads the runs of a batch and hears how they change, for a live grid of them.

An item that an idempotency key answered is a run of another batch, or of none, so it is watched by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.bulk import start_bulk
from kernelkit.authoring.runcalls import retrieve_batch
from kernelkit.errors import KernelKitError
from kernelkit.models.batch import BatchRecord
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run, RunStatus
from kernelkit.ui import words
from kernelkit.ui.batch import BatchView, batch_html, batch_text, batch_view
from kernelkit.ui.batch_grid import batch_grid, cells
from kernelkit.ui.faces import Bundle
from kernelkit.ui.heard import Heard

REASON = "Canceled by user"


class BatchSource(Heard):
    """A `Source` of `ui/live_view.py`. `open_card` is called with the id of a run that the reader wants to see."""

    def __init__(
        self,
        handle: BatchHandle[Any],
        open_card: Callable[[str], None] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        super().__init__(handle._caller_now())
        self._handle = handle
        self._open_card = open_card
        self._now = now or (lambda: datetime.now(UTC))
        self._record: BatchRecord | None = None
        self._runs: dict[str, Run] = {}
        self._chosen: int | None = None
        self._stops: dict[str, Callable[[], None]] = {}  # by run that is watched; "" is the batch

    def open(self) -> None:
        """Begin to listen, then read: whatever changes in between is heard."""
        self._stops[""] = self._caller.subscribe(RunFilter(batch=(self._handle.id,)), self)
        self.read()

    # ---- ui/live_view.py's Source ----------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self._record is not None and all(run is None or run.is_completed for run in self.items)

    def read(self) -> None:
        self._raise_problem()
        if self._must_read:
            self._must_read = False
            self._read_all()
        for run in self._take_heard():
            known = self._runs.get(run.id)
            if known is None or not known.is_completed:
                self._runs[run.id] = run

    @property
    def items(self) -> list[Run | None]:
        """A run for each item; None where it is not kept any more."""
        if self._record is None:
            return []
        refused = {problem.index: problem for problem in self._record.errors if not problem.run_id}
        return [
            self._never_made(index) if index in refused else self._runs.get(run_id)
            for index, run_id in enumerate(self._record.run_ids)
        ]

    def picture(self) -> BatchView:
        """The batch as of now."""
        return batch_view(self._handle.id, self.items, now=self._now(), zone=words.local_zone())

    def view(self) -> dict[str, Any]:
        items, now, zone = self.items, self._now(), words.local_zone()
        batch = batch_view(self._handle.id, items, now=now, zone=zone)
        grid = batch_grid(batch, items, chosen=self._chosen, now=now, zone=zone)
        return {**msgspec.to_builtins(grid), "cells": cells(items)}

    def bundle(self, **face: Any) -> Bundle:
        batch = self.picture()
        return {"text/plain": batch_text(batch, **face), "text/html": batch_html(batch)}

    def asked(self, content: dict[str, Any]) -> None:
        match content:
            case {"do": "show", "index": int(index)}:
                self._chosen = index
            case {"do": "card", "index": int(index)} if self._open_card is not None:
                self._in_background(self._card, index)
            case {"do": "cancel"}:
                self._in_background(self._cancel)
        self.wake.set()
        self.urgent.set()

    def close(self) -> None:
        for stop in list(self._stops.values()):
            stop()
        self._stops.clear()

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _read_all(self) -> None:
        """All runs, from the engine, or from the handle once it knows how each has ended."""
        ended = {run.id: run._run for run in self._handle.runs if run._run is not None}
        if len(ended) == len(self._handle.runs) and not self._handle.errors:
            self._record = BatchRecord(self._handle.id, 0, tuple(run.id for run in self._handle.runs))
            self._runs = ended
            return
        found = retrieve_batch(self._caller, self._handle.id)
        self._record = found.batch
        self._runs = {run.id: run for run in found.runs}
        if self._stops:
            self._watch_others()

    def _never_made(self, index: int) -> Run:
        assert self._record is not None
        problem = next(one for one in self._record.errors if one.index == index)
        return Run(
            id="",
            task_id=problem.task_id,
            status=RunStatus.SYSTEM_FAILURE,
            error=problem.error,
            created_at=datetime.now(UTC),
            queue="",
        )

    def _watch_others(self) -> None:
        for run in self._runs.values():
            if run.batch_id != self._handle.id and not run.is_completed and run.id not in self._stops:
                self._stops[run.id] = self._caller.watch(run.id, lambda change: self.changed(change.run))

    def _in_background(self, does: Callable[..., None], *given: Any) -> None:
        threading.Thread(target=self._safely, args=(does, *given), name="kernelkit-click", daemon=True).start()

    def _safely(self, does: Callable[..., None], *given: Any) -> None:
        try:
            does(*given)
        except KernelKitError as problem:
            self.failed(problem)

    def _card(self, index: int) -> None:
        items = self.items
        run = items[index] if 0 <= index < len(items) else None
        if run is not None and run.id and self._open_card is not None:
            self._open_card(run.id)

    def _cancel(self) -> None:
        start_bulk(self._caller, "CANCEL", RunFilter(batch=(self._handle.id,)), REASON)
