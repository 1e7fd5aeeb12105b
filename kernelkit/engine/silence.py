"""Workers that are connected and do not answer: what their runs show, and when they are given up.

A silent loop is no lost worker. Its process lives, and a body blocks it or computes in C: that is told at once, and
ended only where it holds up others or stands still.
"""

from __future__ import annotations

from kernelkit.engine.core import Core
from kernelkit.engine.links import WorkerLink
from kernelkit.engine.liveworker import Worker
from kernelkit.wire.liveness import cpu_seconds

SILENT_AFTER_S = 2.0
COMPUTES_S = 0.05  # of processor time: whoever uses more meanwhile does not stand still


def stalled(link: WorkerLink, worker: Worker, limit: float, now: float) -> str:
    """Why a worker that does not answer is given up, or ""; with a `limit` of 0 it is waited for without end.

    A shared one holds up others. An exclusive one answers while its body computes, but for code in C that lets no
    other thread run: while that uses the processor it may go on.
    """
    silent = link.silent_for(now)
    if silent < SILENT_AFTER_S or not limit:
        link.watched = None
        return ""
    if worker.isolation == "shared":
        is_over, how = silent >= limit, "a body blocked its loop"
    else:
        used = cpu_seconds(worker.pid)
        if link.watched is None or used > link.watched[1] + COMPUTES_S:
            link.watched = now, used
        is_over, how = now - link.watched[0] >= limit, "its process stood still"
    return f"it had not answered for {silent:.0f} s: {how}" if is_over else ""


def notice_silence(core: Core, link: WorkerLink, attempts: int, now: float, *, is_shared: bool) -> None:
    """Have the cards of its runs say so while a worker does not answer."""
    silent = link.silent_for(now)
    if silent >= SILENT_AFTER_S:
        which = "this run's body" if attempts == 1 else f"the body of one of its {attempts} runs"
        how = (
            f"{which} blocks its loop. Make the task a plain def, or await asyncio.to_thread(…) around what blocks."
            if is_shared
            else "it stands still, or executes code in C that lets no other thread run. What it logs comes late."
        )
        core.worker_notices[link.id] = f"Worker {link.id} has not answered for {silent:.0f} s: {how}"
    elif core.worker_notices.pop(link.id, None) is None:
        return
    for run_id in core.state.by_worker.get(link.id, ()):
        core.notices.changed(run_id, status_changed=False)
