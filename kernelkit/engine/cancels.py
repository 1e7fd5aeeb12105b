"""What a cancel ends: the run and every live run below it, also those that its code starts before it stops."""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.engine.liverun import LiveRun
from kernelkit.engine.state import State
from kernelkit.models import event as ev
from kernelkit.models.run import FINAL, RunStatus


def cancel(state: State, run_id: str, reason: str, now: int) -> Iterator[ev.AnyEvent]:
    """Cancel the run and every live run below it; what is already canceled stays as it is."""
    below = [(run_id, reason)]  # a list and no recursion: a chain of runs may be longer than a stack is deep
    while below:
        run_id, reason = below.pop()
        run = state.runs.get(run_id)
        if run is None:
            continue
        if run.status not in FINAL:
            yield ev.RunCanceled(now, run_id, reason)
        below += [(child, _with_parent(run_id)) for child in sorted(state.by_parent.get(run_id, ()), reverse=True)]


def ended_with(parent: LiveRun, run_id: str, now: int) -> Iterator[ev.RunCanceled]:
    """Of a run whose parent is over while its code has not stopped yet: what it still starts ends with it."""
    if parent.status in FINAL:
        how = "took longer than it may" if parent.status is RunStatus.TIMED_OUT else "was canceled"
        yield ev.RunCanceled(now, run_id, _with_parent(parent.id, how))


def _with_parent(run_id: str, how: str = "was canceled") -> str:
    return f"Parent {run_id} {how}"
