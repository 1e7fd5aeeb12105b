"""Cancels or replays many runs for a live picture, and tells how far it is.

Chosen runs are gone through one by one; what a filter means is the engine's own bulk action. Either goes on a thread
of its own, for the picture must stay alive meanwhile.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from kernelkit.authoring.bulk import start_bulk
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.replaying import SAME, replay_run
from kernelkit.errors import KernelKitError
from kernelkit.models.bulk import BulkKind
from kernelkit.models.filter import RunFilter
from kernelkit.ui import words
from kernelkit.ui.table_live import Action
from kernelkit.wire.messages import BulkReply, Cancel, GetBulk

REASON = "Canceled by user"
ASK_EVERY_S = 0.5

_DOING = {"CANCEL": ("Canceling", "Canceled", "canceled"), "REPLAY": ("Replaying", "Replayed", "replayed")}


class BulkAction:
    """One action, begun when it is made. `changed` is called, on any thread, whenever there is something to tell."""

    def __init__(
        self, caller: Caller, kind: BulkKind, chosen: Sequence[str] | RunFilter, changed: Callable[[], None]
    ) -> None:
        self._caller = caller
        self._kind = kind
        self._changed = changed
        self._stop = threading.Event()
        self._troubles: Counter[str] = Counter()
        total = 0 if isinstance(chosen, RunFilter) else len(chosen)
        doing, label, _ = _DOING[kind]
        self._told = Action(f"{doing} {_runs(total) if total else 'all that match'}", label, 0, total)
        go = self._by_filter if isinstance(chosen, RunFilter) else self._one_by_one
        threading.Thread(target=self._go, args=(go, chosen), name="kernelkit-bulk", daemon=True).start()

    @property
    def told(self) -> Action:
        return self._told

    def stop(self) -> None:
        """Do nothing more; what is done stays done."""
        self._stop.set()

    def _go(self, go: Callable[..., None], chosen: Sequence[str] | RunFilter) -> None:
        try:
            go(chosen)
        except KernelKitError as problem:
            self._troubles[str(problem)] += 1
        self._tell(over=True)

    def _one_by_one(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            if self._stop.is_set():
                return
            try:
                if self._kind == "CANCEL":
                    self._caller.call(Cancel(run_id, reason=REASON))
                else:
                    replay_run(self._caller, run_id, SAME, {})
            except KernelKitError as problem:
                self._troubles[str(problem)] += 1
            self._tell(done=self._told.done + 1)

    def _by_filter(self, where: RunFilter) -> None:
        handle = start_bulk(self._caller, self._kind, where, REASON)
        bulk = handle.refresh()
        doing = _DOING[self._kind][0]
        failed = "it had ended already" if self._kind == "CANCEL" else "its task or payload is no more"
        while True:
            self._troubles = Counter({failed: bulk.failure} if bulk.failure else {})
            title = f"{doing} {_runs(bulk.total)}"
            self._told = msgspec.structs.replace(self._told, title=title, total=bulk.total)
            self._tell(done=bulk.success + bulk.failure)
            if bulk.is_completed:
                return
            if self._stop.is_set():
                bulk = handle.abort()
                continue
            reply = self._caller.call(GetBulk(handle.id, ASK_EVERY_S))
            assert isinstance(reply, BulkReply)
            bulk = reply.bulk

    def _tell(self, *, done: int | None = None, over: bool = False) -> None:
        count = sum(self._troubles.values())
        trouble = ""
        if count:
            why = "; ".join([words.clean(text) for text, _ in self._troubles.most_common(2)])
            trouble = f"{words.number(count)} could not be {_DOING[self._kind][2]}: {words.cut(why, 300)}"
        now = self._told
        self._told = msgspec.structs.replace(
            now, done=now.done if done is None else done, trouble=trouble, over=over or now.over
        )
        self._changed()


def _runs(count: int) -> str:
    return f"{words.number(count)} run{'' if count == 1 else 's'}"
