"""The one place where a run takes another status.

`decide` has judged the event already; the table is asked again, as a bug there must not reach the disk unseen.
"""

from __future__ import annotations

from kernelkit.engine.liverun import LiveRun
from kernelkit.models.run import RunStatus
from kernelkit.rules.lifecycle import allows


def move(run: LiveRun, status: RunStatus) -> None:
    assert allows(run.status, status), f"{run.id}: {run.status} may not become {status}"
    run.status = status
