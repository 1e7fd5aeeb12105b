"""`run.timeline()`: what a run did when, alone or with the runs below it, as a picture that displays itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.clock import from_datetime
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.span import Span
from kernelkit.wire.messages import GetSpans, Retrieve, RunReply, SpansReply

if TYPE_CHECKING:
    from kernelkit.authoring.tree import RunTree

_AT_ONCE = 500


class RunTimeline(display.Shown):
    """When a run was queued, executed, waited and backed off; in a notebook a picture that goes on while the run does.

    timeline = run.timeline()
    timeline.spans               # of the run itself, in order: kind, started_at, finished_at, attempt, outcome, error
    run.timeline(tree=True)      # with all runs below it
    """

    def __init__(self, caller: Caller, run_id: str, *, tree: RunTree | None = None) -> None:
        """Use `RunHandle.timeline`."""
        self._caller = caller
        self.run_id = run_id
        self.tree = tree

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def spans(self) -> tuple[Span, ...]:
        """What the run did so far; of one with thousands of waits the newest part. Raises `UnknownRunError`."""
        top = self.root()
        return self.spans_of([top.id]).get(top.id, ())

    def spans_of(self, run_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
        """What these runs did, by id."""
        found: dict[str, tuple[Span, ...]] = {}
        for begin in range(0, len(run_ids), _AT_ONCE):
            reply = self._caller.call(GetSpans(tuple(run_ids[begin : begin + _AT_ONCE])))
            assert isinstance(reply, SpansReply)
            found |= reply.spans
        return found

    def root(self) -> Run:
        """The run on top. Raises `UnknownRunError`."""
        reply = self._caller.call(Retrieve(self.run_id))
        assert isinstance(reply, RunReply)
        return reply.run

    def read(self) -> tuple[list[Run], int]:
        """The runs that are shown, oldest first, and how many there are."""
        if self.tree is not None:
            return self.tree.read()
        return [self.root()], 1

    def family(self, top: Run) -> RunFilter:
        """What the shown runs are among: a filter can mean a tree, but not one run, so here it is that moment's."""
        if self.tree is not None:
            return self.tree.family(top)
        created = from_datetime(top.created_at)
        return RunFilter(
            root=(top.root_id or top.id,), task=(top.task_id,), created_from=created, created_to=created + 1
        )

    def __repr__(self) -> str:
        return f"<RunTimeline of {self.run_id}{' and the runs below it' if self.tree else ''}>"
