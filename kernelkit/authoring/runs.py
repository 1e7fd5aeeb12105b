"""`kk.runs`: history and live runs of the project, by page, newest first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, overload

import msgspec

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import PAGE, cancel_run, reschedule_run, retrieve_run
from kernelkit.authoring.options import refuse_unknown
from kernelkit.durations import Duration
from kernelkit.errors import InvalidOptionError
from kernelkit.models.run import Run, RunStatus
from kernelkit.wire.messages import ListRuns, RunPage

FILTERS = ("status", "task", "tag", "batch", "parent", "queue", "limit", "after")


class Page(display.Shown, Sequence[Run]):
    """Some runs, newest first; `.next()` is the page after, `.all()` goes through the rest.

    Large payloads and outputs are left out; `kk.runs.retrieve(id)` has them.
    """

    __slots__ = ("_asked", "_caller", "has_more", "runs", "total")

    def __init__(self, caller: Caller, asked: ListRuns) -> None:
        reply = caller.call(asked)
        assert isinstance(reply, RunPage)
        self._caller = caller
        self._asked = asked
        self.runs: tuple[Run, ...] = reply.runs
        self.has_more = reply.has_more
        self.total = reply.total
        """How many match in all, counted up to 100,000."""

    @property
    def asked(self) -> ListRuns:
        """The filters of this page."""
        return self._asked

    def next(self) -> Page | None:
        """The page after this one, None after the last."""
        if not self.has_more or not self.runs:
            return None
        return Page(self._caller, msgspec.structs.replace(self._asked, after=self.runs[-1].id))

    def all(self) -> Iterator[Run]:
        """The runs of this page and of all after it, fetched as they are needed."""
        page: Page | None = self
        while page is not None:
            yield from page.runs
            page = page.next()

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Run, ...]: ...
    def __getitem__(self, index: int | slice) -> Run | tuple[Run, ...]:
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __repr__(self) -> str:
        if not self.runs:
            return "No runs match."
        width = max(len(run.task_id) for run in self.runs)
        lines = [f"{run.id}  {run.task_id:<{width}}  {run.status}" for run in self.runs]
        if self.total > len(self.runs):
            lines.append(f"{len(self.runs)} of {self.total:,}")
        return "\n".join(lines)


class Runs:
    """Runs of the project.

    kk.runs.list(status="failed", task="resize")
    kk.runs.retrieve(run_id).output
    kk.runs.cancel(run_id)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def _current(self) -> Caller:
        return self._caller or callers.current()

    def list(
        self,
        *,
        status: str | Iterable[str] = (),
        task: Any = (),
        tag: str | Iterable[str] = (),
        batch: Any = "",
        parent: Any = "",
        queue: Any = "",
        limit: int = 25,
        after: str | None = None,
        **unknown: Any,
    ) -> Page:
        """Runs that match all filters, newest first, from the page after the run `after`.

        `status`, `task` and `tag` take one or several, of which any matches; tasks, batches, parents and queues are
        given by id or name, or as objects. Raises `InvalidOptionError` for unknown filters and statuses.
        """
        refuse_unknown(unknown, FILTERS, "kk.runs.list")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE:
            raise InvalidOptionError(
                f"limit={limit!r} is not a number from 1 to {PAGE}; page.next() has more.", field="limit"
            )
        asked = ListRuns(
            status=tuple(_status(one) for one in _several(status)),
            task=tuple(_name(one, "task") for one in _several(task)),
            tag=tuple(_name(one, "tag") for one in _several(tag)),
            batch=_name(batch, "batch"),
            parent=_name(parent, "parent"),
            queue=_name(queue, "queue"),
            limit=limit,
            after=after or "",
        )
        return Page(self._current(), asked)

    def retrieve(self, run_id: str) -> Run:
        """The run as it is now, with payload, output and attempts; raises `UnknownRunError`."""
        return retrieve_run(self._current(), _name(run_id, "run_id"))

    def cancel(self, run_id: str, reason: str = "Canceled by user") -> Run:
        """Cancel a run and the runs below it; one that has ended stays as it is. Raises `UnknownRunError`."""
        return cancel_run(self._current(), _name(run_id, "run_id"), reason)

    def reschedule(self, run_id: str, *, delay: Duration | datetime) -> Run:
        """Have a delayed run start after another delay; raises `InvalidOptionError` when it is not delayed."""
        return reschedule_run(self._current(), _name(run_id, "run_id"), delay)

    def __repr__(self) -> str:
        return "<kk.runs: list(…), retrieve(id), cancel(id), reschedule(id, delay=…)>"


def _several(given: object) -> list[object]:
    if isinstance(given, list | tuple | set | frozenset):
        return list(given)
    return [given]


def _name(given: object, field: str) -> str:
    if isinstance(given, str):
        return given
    named = getattr(given, "name" if field == "queue" else "id", None)
    if isinstance(named, str):
        return named
    raise InvalidOptionError(f"{field}={given!r} is neither an id nor has one.", field=field)


def _status(given: object) -> str:
    wanted = str(given).upper()
    if wanted in RunStatus.__members__:
        return wanted
    near = difflib.get_close_matches(wanted, RunStatus.__members__, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InvalidOptionError(
        f"status={given!r} is no status. {hint}They are {', '.join(RunStatus.__members__)}.", field="status"
    )


runs = Runs()
