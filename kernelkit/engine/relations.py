"""The runs around a run: the one that triggered it, the first of all, and those it triggered itself.

Each of them may be live, just over, or in history. What is here is looked up on the loop, only the rest is read.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from kernelkit.engine.core import Core
from kernelkit.models.run import Related, Run, RunRef

MOST_CHILDREN = 1_000


def with_relations(core: Core, run: Run) -> Callable[[], Run]:
    """A function that gives `run` with its relations; it reads the store, on any thread."""
    above = {run_id for run_id in (run.parent_id, run.root_id) if run_id and run_id != run.id}
    found = {run_id: ref for run_id in above if (ref := _here(core, run_id)) is not None}
    missing = above - found.keys()
    children = {
        child_id: ref
        for child_id in (
            *core.state.by_parent.get(run.id, ()),
            *(row.run.id for row in core.ledger.rows() if row.run.parent_id == run.id),
        )
        if (ref := _here(core, child_id)) is not None
    }

    def read() -> Run:
        refs = found | {ref.id: ref for ref in core.store.refs(sorted(missing))} if missing else found
        below = children
        if run.children > len(children):
            below = {ref.id: ref for ref in core.store.children_of(run.id, MOST_CHILDREN)} | children
        related = Related(
            parent=refs.get(run.parent_id or ""),
            root=refs.get(run.root_id or ""),
            children=tuple(below[child_id] for child_id in sorted(below)[:MOST_CHILDREN]),
        )
        return replace(run, related=related)

    return read


def _here(core: Core, run_id: str) -> RunRef | None:
    run = core.state.runs.get(run_id)
    if run is not None:
        return RunRef(run.id, run.task_id, run.status)
    row = core.ledger.get(run_id)
    return None if row is None else RunRef(row.run.id, row.run.task_id, row.run.status)
