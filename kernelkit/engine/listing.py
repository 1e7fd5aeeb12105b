"""Lists of runs, newest first, over the live ones and history alike.

What is live is matched here and now; what is in history is read later, on another thread. A run that ends in between
would be in neither or in both: those seen here are left out of what is read, whatever became of them since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from kernelkit.clock import from_datetime
from kernelkit.engine.core import Core
from kernelkit.engine.liverun import LiveRun
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.rules.matching import matches
from kernelkit.store.rows import Seen
from kernelkit.wire.messages import ListRuns, RunPage, RunSummary

COUNTED_TO = 100_000
LAST = 40  # runs that ended last, whose durations a summary has


def list_runs(core: Core, given: ListRuns) -> Callable[[], RunPage]:
    """A function that gives the page; it reads the store, on any thread."""
    now = core.clock.now()
    asked = given.frozen_list(now)
    limit = max(1, min(asked.limit, 1_000))
    ended = {row.run.id: row.run for row in core.ledger.rows()}  # history may not have these yet
    ids = sorted(matching_here(core, asked), reverse=not asked.before)
    beyond = [run_id for run_id in ids if _is_beyond(run_id, asked)]
    seen = Seen(ended.keys(), ids, core.state.seq)
    views = [view for run_id in beyond[: limit + 1] if (view := core.view(run_id, count_ahead=False)) is not None]
    behind_here = len(beyond) < len(ids)

    def page() -> RunPage:
        kept, total = core.store.runs(replace(asked, limit=limit + 1), seen)
        merged = sorted([*views, *kept], key=_id, reverse=not asked.before)
        more, merged = len(merged) > limit, merged[:limit]
        behind = bool(asked.after or asked.before) and (
            behind_here or (total > len(kept) and core.store.has_runs_behind(asked, seen))
        )
        if asked.before:
            merged.reverse()
            more, behind = behind, more
        return RunPage(
            tuple(merged), more, min(total + len(ids), COUNTED_TO), has_previous=behind, created_from=asked.created_from
        )

    return page


def summarize_runs(core: Core, given: RunFilter) -> Callable[[], RunSummary]:
    """A function that counts the runs that match, in whatever status; it reads the store, on any thread."""
    asked = replace(given.frozen(core.clock.now()), status=())
    ended = {row.run.id: row.run for row in core.ledger.rows()}
    live = core.state.runs
    here = matching_here(core, asked)
    seen = Seen(ended.keys(), here, core.state.seq)
    counts = Counter(str(live[run_id].status if run_id in live else ended[run_id].status) for run_id in here)
    newest = sorted((ended[run_id] for run_id in here if run_id in ended), key=_finished, reverse=True)
    last = [(str(run.status), run.duration.total_seconds() if run.duration else None) for run in newest[:LAST]]

    def summary() -> RunSummary:
        kept = Counter(core.store.counts_of(asked, seen))
        older = core.store.last_ended(asked, LAST, seen) if len(last) < LAST else []
        return RunSummary(dict(kept + counts), tuple([*last, *older][:LAST]))

    return summary


def matching_here(core: Core, asked: RunFilter) -> list[str]:
    """Ids of the runs that are live, or not yet in history, and match the frozen filter; in no order."""
    found = [run.id for run in core.state.runs.values() if matches(run, run.created_at, asked)]
    live = core.state.runs
    found += [
        row.run.id
        for row in core.ledger.rows()
        if row.run.id not in live and matches(row.run, from_datetime(row.run.created_at), asked)
    ]
    return found


def live_runs(core: Core, asked: RunFilter) -> list[LiveRun]:
    """The runs that are not over and match, oldest first: what a bulk cancel is about."""
    frozen = asked.frozen(core.clock.now())
    found = [run for run in core.state.runs.values() if matches(run, run.created_at, frozen)]
    return sorted(found, key=lambda run: run.id)


def _is_beyond(run_id: str, asked: ListRuns) -> bool:
    if asked.before:
        return run_id > asked.before
    return not asked.after or run_id < asked.after


def _id(run: Run) -> str:
    return run.id


def _finished(run: Run) -> datetime:
    return run.finished_at or run.created_at
