"""Lists of runs, newest first, over the live ones and history alike."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from kernelkit.engine.core import Core
from kernelkit.engine.state import LiveRun
from kernelkit.models.run import Run
from kernelkit.wire.messages import ListRuns, RunPage

COUNTED_TO = 100_000


def list_runs(core: Core, asked: ListRuns) -> Callable[[], RunPage]:
    """A function that gives the page; it reads the store, on any thread."""
    limit = max(1, min(asked.limit, 1_000))
    ended = {row.run.id: row.run for row in core.ledger.rows()}  # history may not have these yet
    here: dict[str, LiveRun | Run] = {**ended, **core.state.runs}
    ids = sorted((run_id for run_id, run in here.items() if _matches(run, asked)), reverse=True)
    page_ids = [run_id for run_id in ids if not asked.after or run_id < asked.after][: limit + 1]
    views = [view for run_id in page_ids if (view := core.view(run_id, count_ahead=False)) is not None]

    def page() -> RunPage:
        kept, total = core.store.runs(replace(asked, limit=limit + 1), exclude=ended.keys())
        merged = sorted([*views, *kept], key=_id, reverse=True)
        return RunPage(tuple(merged[:limit]), len(merged) > limit, min(total + len(ids), COUNTED_TO))

    return page


def _matches(run: LiveRun | Run, asked: ListRuns) -> bool:
    """Whether a run that is here is among those asked for."""
    return (
        (not asked.status or run.status in asked.status)
        and (not asked.task or run.task_id in asked.task)
        and (not asked.tag or any(tag in run.tags for tag in asked.tag))
        and (not asked.batch or run.batch_id == asked.batch)
        and (not asked.parent or run.parent_id == asked.parent)
        and (not asked.queue or run.queue == asked.queue)
    )


def _id(run: Run) -> str:
    return run.id
