"""Carries bulk actions out: finds the runs of the next chunk, has it taken, and goes on when it is on disk.

Goes from the newest run to the oldest, past a cursor that each chunk moves; after a restart it goes on from there.
The runs that are here are matched once when the work begins (sorting them anew for each chunk would cost more than the
chunk), those in history by page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import structs

from kernelkit import ids
from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.listing import list_runs, matching_here
from kernelkit.engine.offloop import Refuse, read_now, read_settled
from kernelkit.engine.replaying import replayed_item
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.bulk import Bulk
from kernelkit.models.run import Run
from kernelkit.models.value import NULL
from kernelkit.wire import messages as m

CHUNK = 100

logger = logging.getLogger(__name__)

Told = Callable[[Bulk], None]


class BulkWork:
    """All bulk actions of an engine."""

    def __init__(self, core: Core, monotonic: Callable[[], float]) -> None:
        self._core = core
        self._time = monotonic
        self._here: dict[str, list[str]] = {}  # by action: runs that were here when its work began, oldest first
        self._waiting: dict[str, list[tuple[float, Told]]] = {}
        self._stalled: set[str] = set()
        core.after_commit(self._resume)

    def start(self, body: m.StartBulk, told: Told, refuse: Refuse) -> None:
        """Begin a new action, and tell of it once that is on disk; one that was begun before is told of as it is."""
        core = self._core
        if body.asked.is_empty:
            raise InvalidOptionError("A bulk action needs a filter that says which runs it is about.", field="filters")
        known = core.state.bulks.get(body.bulk_id)
        if known is not None:
            core.after_commit(lambda: told(known))
            return
        core.refuse_if_full()
        now = core.clock.now()
        asked = body.asked.frozen(now)
        asked = structs.replace(asked, created_to=min(asked.created_to or now + 1, now + 1))
        page = list_runs(core, m.ListRuns(**structs.asdict(asked), limit=1))

        def counted(found: m.RunPage) -> None:
            bulk = Bulk(body.bulk_id, body.kind, asked, now, found.total, reason=body.reason)
            try:
                core.take(c.StartBulk(bulk), lambda: begun(bulk.id))
            except KernelKitError as refusal:
                refuse(refusal)

        def begun(bulk_id: str) -> None:
            told(core.state.bulks[bulk_id])
            self._begin(bulk_id)

        read_settled(core, page, counted, refuse)

    def abort(self, bulk_id: str, told: Told) -> None:
        """Do no further chunk. Raises `InvalidOptionError` for an action that is not known."""
        self._known(bulk_id)

        def aborted() -> None:
            self._tell(bulk_id)
            told(self._core.state.bulks[bulk_id])

        self._core.take(c.AbortBulk(bulk_id), aborted)

    def retrieve(self, bulk_id: str, wait_s: float, told: Told) -> None:
        """Tell of an action, once it is over or so many seconds have passed."""
        bulk = self._known(bulk_id)
        if bulk.is_completed or wait_s <= 0:
            self._core.after_commit(lambda: told(bulk))
        else:
            self._waiting.setdefault(bulk_id, []).append((self._time() + wait_s, told))

    def tend(self) -> None:
        """Called about once a second: answer whoever has waited long enough."""
        now = self._time()
        for bulk_id, waiting in list(self._waiting.items()):
            over = [told for deadline, told in waiting if deadline <= now]
            self._waiting[bulk_id] = [each for each in waiting if each[0] > now]
            for told in over:
                told(self._core.state.bulks[bulk_id])
        stalled, self._stalled = self._stalled, set()
        for bulk_id in stalled:
            self._begin(bulk_id)

    # ---- inside --------------------------------------------------------------------------------------------------

    def _known(self, bulk_id: str) -> Bulk:
        bulk = self._core.state.bulks.get(bulk_id)
        if bulk is None:
            raise InvalidOptionError(
                f"There is no bulk action {bulk_id!r}. The last hundred that have ended are kept.", field="bulk_id"
            )
        return bulk

    def _resume(self) -> None:
        for bulk in list(self._core.state.bulks.values()):
            if not bulk.is_completed and bulk.id not in self._here:
                self._begin(bulk.id)

    def _begin(self, bulk_id: str) -> None:
        bulk = self._core.state.bulks[bulk_id]
        found = matching_here(self._core, bulk.asked)
        self._here[bulk_id] = sorted(run_id for run_id in found if not bulk.cursor or run_id < bulk.cursor)
        self._next(bulk_id)

    def _next(self, bulk_id: str) -> None:
        """Find the runs of the next chunk."""
        core = self._core
        bulk = core.state.bulks.get(bulk_id)
        if bulk is None or bulk.is_completed:
            self._here.pop(bulk_id, None)
            self._tell(bulk_id)
            return

        def found(older: list[str]) -> None:
            here = self._here[bulk_id]
            candidates = sorted({*older, *here[-CHUNK - 1 :]}, reverse=True)
            chunk = candidates[:CHUNK]
            while here and chunk and here[-1] >= chunk[-1]:
                here.pop()
            self._take(bulk, tuple(chunk), is_last=len(candidates) <= CHUNK)

        def page() -> list[str]:
            return core.store.run_ids(bulk.asked, limit=CHUNK + 1, after=bulk.cursor)

        read_now(core, page, found, lambda problem: self._stall(bulk_id, problem))

    def _take(self, bulk: Bulk, chunk: tuple[str, ...], *, is_last: bool) -> None:
        def go_on() -> None:
            self._next(bulk.id)

        core = self._core
        if bulk.kind == "CANCEL" or not chunk:
            core.take(c.AdvanceBulk(bulk.id, chunk, (), is_last), go_on)
            return
        here = {run_id: core.read_run(run_id) for run_id in chunk if core.view(run_id) is not None}

        def read() -> dict[str, Run]:
            found = core.store.runs_of([run_id for run_id in chunk if run_id not in here])
            return found | {run_id: fill() for run_id, fill in here.items()}

        def replay(sources: dict[str, Run]) -> None:
            items = tuple(
                replayed_item(source, m.TriggerItem(ids.make_id("run"), "", NULL), (), core.state)
                for run_id in chunk
                if (source := sources.get(run_id)) is not None and source.payload_json is not None
            )
            core.take(c.AdvanceBulk(bulk.id, chunk, items, is_last), go_on)

        read_now(core, read, replay, lambda problem: self._stall(bulk.id, problem))

    def _stall(self, bulk_id: str, problem: Exception) -> None:
        """The store cannot be read, which other readers are told as well: try again in a second."""
        logger.warning("bulk action waits", extra={"bulk": bulk_id, "reason": str(problem)})
        self._stalled.add(bulk_id)

    def _tell(self, bulk_id: str) -> None:
        bulk = self._core.state.bulks.get(bulk_id)
        for _, told in self._waiting.pop(bulk_id, []):
            if bulk is not None:
                told(bulk)
