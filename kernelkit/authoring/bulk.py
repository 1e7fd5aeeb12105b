"""Handles of bulk actions: `kk.runs.cancel_all(…)` and `kk.runs.replay_all(…)`.

The engine does the work, chunk by chunk, and goes on without us; the handle asks how far it has come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any

from kernelkit import ids
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError
from kernelkit.models.bulk import Bulk, BulkKind, BulkStatus
from kernelkit.models.filter import RunFilter
from kernelkit.rules.limits import check_reason
from kernelkit.rules.run_filters import FILTERS
from kernelkit.wire.messages import AbortBulk, BulkReply, GetBulk, StartBulk

ASK_EVERY_S = 20.0  # the engine answers as soon as the action is over; this only bounds one question


class BulkHandle(display.Shown):
    """A bulk action that was begun.

    bulk = kk.runs.cancel_all(task="resize", status="queued")
    bulk.counts                   # {'total': 1200, 'success': 300, 'failure': 0}
    bulk.result(timeout="1m")     # or: await bulk
    bulk.abort()                  # what is done stays done
    """

    __slots__ = ("_bulk", "_caller", "id")

    def __init__(self, bulk: Bulk, caller: Caller) -> None:
        self.id = bulk.id
        self._bulk = bulk
        self._caller = caller

    def __await__(self) -> Generator[Any, None, Bulk]:
        return asyncio.to_thread(self.result).__await__()

    def result(self, timeout: Duration | None = None) -> Bulk:
        """Wait until nothing more will be done, and return how it went.

        Raises the built-in `TimeoutError`, which leaves the action alone.
        """
        seconds = None if timeout is None else to_seconds(timeout, field="timeout")
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._bulk.is_completed:
            left = ASK_EVERY_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self!r} is not over after {seconds:g} s. It goes on; ask again.")
            self._ask(min(left, ASK_EVERY_S))
        return self._bulk

    def refresh(self) -> Bulk:
        """How far it is now."""
        if not self._bulk.is_completed:
            self._ask(0.0)
        return self._bulk

    @property
    def kind(self) -> BulkKind:
        return self._bulk.kind

    @property
    def status(self) -> BulkStatus:
        """`PENDING`, `COMPLETED` or `ABORTED`."""
        return self.refresh().status

    @property
    def counts(self) -> dict[str, int]:
        """How many runs it is about (`total`), and of how many it is done with `success` and `failure`."""
        bulk = self.refresh()
        return {"total": bulk.total, "success": bulk.success, "failure": bulk.failure}

    def abort(self) -> Bulk:
        """Do nothing more; what is done stays done. An action that is over stays as it is."""
        self._keep(self._caller.call(AbortBulk(self.id)))
        return self._bulk

    def _ask(self, wait_s: float) -> None:
        self._keep(self._caller.call(GetBulk(self.id, wait_s)))

    def _keep(self, reply: object) -> None:
        assert isinstance(reply, BulkReply)
        self._bulk = reply.bulk

    def __repr__(self) -> str:
        return repr(self._bulk).replace("<Bulk ", "<BulkHandle ", 1)


def start_bulk(caller: Caller, kind: BulkKind, asked: RunFilter, reason: str = "") -> BulkHandle:
    """Begin an action on all runs that the filter means; returns once that is on disk."""
    if asked.is_empty:
        verb = "kk.runs.cancel_all" if kind == "CANCEL" else "kk.runs.replay_all"
        raise InvalidOptionError(
            f"{verb} needs a filter that says which runs: {', '.join(FILTERS)}. For every run, give "
            "created_to=datetime.now(UTC).",
            field="filters",
        )
    if kind == "CANCEL":
        check_reason(reason)
    reply = caller.call(StartBulk(ids.make_id("bulk"), kind, asked, reason))
    assert isinstance(reply, BulkReply)
    return BulkHandle(reply.bulk, caller)


def retrieve_bulk(caller: Caller, bulk_id: str) -> BulkHandle:
    """An action that was begun before, here or elsewhere."""
    reply = caller.call(GetBulk(bulk_id))
    assert isinstance(reply, BulkReply)
    return BulkHandle(reply.bulk, caller)
