"""`run.tree()`: a run and all that came of it, as a picture that displays itself."""

from __future__ import annotations

from msgspec.structs import asdict

from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.clock import from_datetime
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.wire.messages import ListRuns, Retrieve, RunPage, RunReply

PAGE = 1_000
MAX_RUNS = 20_000
"""More are counted, not read."""


class RunTree(display.Shown):
    """The runs below a run. In a notebook it is drawn, and goes on changing while they do.

    tree = run.tree()
    tree.runs            # all of them as snapshots, oldest first, the run itself among them
    """

    def __init__(self, caller: Caller, run_id: str) -> None:
        """Use `RunHandle.tree`."""
        self._caller = caller
        self.run_id = run_id

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def runs(self) -> list[Run]:
        """The run and those below it as they are now, oldest first; large payloads and outputs are left out."""
        return self.read()[0]

    def timeline(self) -> RunTimeline:
        """What all of them did when, as a picture that displays itself."""
        return RunTimeline(self._caller, self.run_id, tree=self)

    def root(self) -> Run:
        """The run on top. Raises `UnknownRunError`."""
        reply = self._caller.call(Retrieve(self.run_id))
        assert isinstance(reply, RunReply)
        return reply.run

    def family(self, top: Run) -> RunFilter:
        """What the runs of the tree are among."""
        return family(top)

    def read(self) -> tuple[list[Run], int]:
        """The runs of the tree, oldest first, and how many there are, of which at most 20,000 are read."""
        top = self.root()
        asked = family(top)
        found: list[Run] = []
        after = ""
        while True:
            page = self._caller.call(ListRuns(**asdict(asked), limit=PAGE, after=after))
            assert isinstance(page, RunPage)
            found += page.runs
            if not page.has_more or len(found) >= MAX_RUNS:
                break
            after = page.runs[-1].id
        below = branch(top, found)
        unread = max(0, page.total - len(found)) if top.root_id in (None, top.id) else 0
        return below, len(below) + unread

    def __repr__(self) -> str:
        return f"<RunTree of {self.run_id}>"


def family(top: Run) -> RunFilter:
    """All runs that have the same root as `top` and are no older."""
    return RunFilter(root=(top.root_id or top.id,), created_from=from_datetime(top.created_at))


def branch(top: Run, runs: list[Run]) -> list[Run]:
    """Those of `runs` that are `top` or below it, oldest first."""
    kept = {top.id: top}
    for run in sorted(runs, key=lambda run: (run.depth, run.created_at, run.id)):
        if run.id == top.id or run.parent_id in kept:
            kept[run.id] = run
    return sorted(kept.values(), key=lambda run: (run.created_at, run.id))
