"""`kk.runs`: history and live runs of the project, by page, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, overload

from msgspec import structs
from msgspec.structs import replace

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.artifacts import Artifacts, artifacts_of
from kernelkit.authoring.bulk import BulkHandle, retrieve_bulk, start_bulk
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import PAGE, RunHandle
from kernelkit.authoring.replaying import SAME, replay_run
from kernelkit.authoring.runcalls import cancel_run, reschedule_run, retrieve_run, retry_run_now
from kernelkit.authoring.subscription import Subscription, of_filter, of_run
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.rules.run_filters import FILTERS, name_of, read_filter
from kernelkit.wire.messages import ListRuns, RunPage

DAY = 86_400.0


class Page(display.Shown, Sequence[Run]):
    """Some runs, newest first: `len`, indexes and `for` are about these.

    `.next()` and `.previous()` are the pages beside it, `.pages()` goes through it and all older ones, `.all()` through
    their runs (`for run in page.all()`, or `async for`); each page is fetched when it is reached. Large payloads and
    outputs are left out; `kk.runs.retrieve(id)` has them.
    """

    __slots__ = ("_asked", "_caller", "has_more", "has_previous", "runs", "total")

    def __init__(self, caller: Caller, asked: ListRuns) -> None:
        reply = caller.call(asked)
        assert isinstance(reply, RunPage)
        self._caller = caller
        self._asked = replace(asked, created_from=reply.created_from or asked.created_from, period_s=0.0)
        self.runs: tuple[Run, ...] = reply.runs
        self.has_more = reply.has_more
        """Whether older runs match as well."""
        self.has_previous = reply.has_previous
        """Whether newer runs matched as well when this page was made."""
        self.total = reply.total
        """How many match in all, counted up to 100,000."""

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def asked(self) -> ListRuns:
        """The filters of this page."""
        return self._asked

    def next(self) -> Page | None:
        """The page of older runs after this one, None after the last."""
        if not self.has_more or not self.runs:
            return None
        return Page(self._caller, replace(self._asked, after=self.runs[-1].id, before=""))

    def previous(self) -> Page | None:
        """The page of newer runs before this one, None before the first."""
        if not self.has_previous:
            return None
        if not self.runs:  # beyond the oldest: what is before it is the last page
            return Page(self._caller, replace(self._asked, before=self._asked.after, after=""))
        return Page(self._caller, replace(self._asked, before=self.runs[0].id, after=""))

    def pages(self) -> Iterator[Page]:
        """This page and all after it, each fetched when it is reached."""
        page: Page | None = self
        while page is not None:
            yield page
            page = page.next()

    def all(self) -> AllRuns:
        """The runs of this page and of all after it, for `for` and `async for`."""
        return AllRuns(self)

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


class AllRuns:
    """The runs of a page and of all after it; a page is fetched when its first run is asked for."""

    __slots__ = ("_first",)

    def __init__(self, first: Page) -> None:
        self._first = first

    def __iter__(self) -> Iterator[Run]:
        for page in self._first.pages():
            yield from page.runs

    async def __aiter__(self) -> AsyncIterator[Run]:
        page: Page | None = self._first
        while page is not None:
            for run in page.runs:
                yield run
            page = await asyncio.to_thread(page.next)

    def __repr__(self) -> str:
        return f"<the runs of all pages from {self._first.runs[0].id if self._first.runs else 'an empty one'} on>"


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
        queue: Any = (),
        batch: Any = (),
        schedule: Any = (),
        machine: Any = (),
        version: str | Iterable[str] = (),
        parent: Any = (),
        root: Any = (),
        is_test: bool | None = None,
        created_from: datetime | str | None = None,
        created_to: datetime | str | None = None,
        period: Duration | None = None,
        search: str | None = None,
        limit: int = 25,
        after: Any = None,
        before: Any = None,
        **unknown: Any,
    ) -> Page:
        """Runs that match all filters, newest first, live ones and history alike.

        The filters up to `root` take one value or several, of which any matches; tasks, queues, batches, schedules,
        parents and roots are given by id or name, or as objects; `root` matches a run and all that came of it.
        `created_from` (inclusive) and `created_to` (exclusive) are
        aware moments, `period` is a duration back from now. `search` is a text that occurs in id, task, tags, error or
        payload (of up to 1 KiB), in any case of letters. `after` is the last run of the page before, `before` the
        first of the page after; `page.next()` and `page.previous()` know them. Raises `InvalidOptionError`.

            page = kk.runs.list(status=["failed", "crashed"], task="resize", period="7d", limit=100)
            for run in page.all():
                print(run.id, run.error)
        """
        given = locals()
        if unknown:
            read_filter(unknown, "kk.runs.list", others=("limit", "after", "before"))
        asked = read_filter({name: given[name] for name in FILTERS}, "kk.runs.list")
        return Page(self._current(), list_request(asked, limit=limit, after=after, before=before))

    def retrieve(self, run_id: str) -> Run:
        """The run as it is now, with payload, output, attempts and relations (`run.related`: parent, root, children).

        Raises `UnknownRunError`.
        """
        return retrieve_run(self._current(), name_of(run_id, "run_id"), related=True)

    def subscribe(
        self, run: Any = None, *, tag: str | Iterable[str] = (), batch: Any = None, period: Duration | None = None
    ) -> Subscription:
        """Snapshots of runs as they change, for `for` and `async for`: how they are now first, then one at each change
        of status, tags or metadata (several in quick succession may be one).

        Of one run, given as handle or id: ends with its final snapshot. Of all runs that have every `tag`, created in
        the last `period` (24 hours) or later, or of a batch: never ends by itself, and leaves large payloads and
        outputs out. A lost connection is made again without losing a final state; when no engine comes back,
        `EngineUnavailableError` is raised. Raises `UnknownRunError` and `InvalidOptionError`.

            async for run in kk.runs.subscribe(handle):
                print(run.status, run.metadata.get("progress"))
        """
        tags = _tags(tag)
        if sum([run is not None, bool(tags), batch is not None]) != 1:
            raise InvalidOptionError(
                "kk.runs.subscribe takes one of: a run (a handle or an id), tag=…, batch=….", field="run"
            )
        if period is not None and not tags:
            raise InvalidOptionError("period is for subscriptions by tag.", field="period")
        if run is not None:
            return of_run(self._current(), name_of(run, "run"))
        if batch is not None:
            batch_id = name_of(batch, "batch")
            return of_filter(self._current(), RunFilter(batch=(batch_id,)), f"batch {batch_id}")
        since = to_seconds(DAY if period is None else period, field="period")
        return of_filter(self._current(), RunFilter(all_tags=tags, period_s=since), f"tag {' and '.join(tags)}")

    def artifacts(self, run_id: str | Run) -> Artifacts:
        """The files kept with a run, as they are now; none where it left none, or they were too old."""
        return artifacts_of(self._current().home, name_of(run_id, "run_id"))

    def tree(self, run_id: str) -> RunTree:
        """A run and all runs below it; it displays itself, and `.runs` are their snapshots.

        kk.runs.tree(run_id)        # as `%run_tree ID` and `handle.tree()`
        """
        return RunTree(self._current(), name_of(run_id, "run_id"))

    def timeline(self, run_id: str, *, tree: bool = False) -> RunTimeline:
        """When a run was queued, executed, waited and backed off; with `tree` the runs below it as well.

        kk.runs.timeline(run_id).spans        # and `%timeline ID`, `handle.timeline()`
        """
        made = self.tree(run_id)
        return made.timeline() if tree else RunTimeline(made.caller, made.run_id)

    def cancel(self, run_id: str, reason: str = "Canceled by user") -> Run:
        """Cancel a run and the runs below it; one that has ended stays as it is. Raises `UnknownRunError`."""
        return cancel_run(self._current(), name_of(run_id, "run_id"), reason)

    def replay(self, run_id: str, payload: Any = SAME, **options: Any) -> RunHandle[Any]:
        """Make a new run with what an earlier one was triggered with, live or over; see `RunHandle.replay`.

        kk.runs.replay(run_id, tags=["again"])

        Raises `UnknownRunError`, `UnknownTaskError` and, for another payload, `PayloadError`.
        """
        caller = self._current()
        run = replay_run(caller, name_of(run_id, "run_id"), payload, options)
        return RunHandle(run.id, run.task_id, caller=caller)

    def cancel_all(self, *, reason: str = "Canceled by user", **filters: Any) -> BulkHandle:
        """Cancel every run that matches all filters, those of `kk.runs.list`, and the runs below it.

        Returns at once: the engine goes through the runs, newest first, in chunks of 100. A run that has ended already
        counts as a failure. Raises `InvalidOptionError` when there is no filter, or one that is wrong.

            kk.runs.cancel_all(task="resize", status=["queued", "delayed"]).result(timeout="1m")
        """
        asked = _bulk_filter(filters, "kk.runs.cancel_all", others=("reason",))
        return start_bulk(self._current(), "CANCEL", asked, reason)

    def replay_all(self, **filters: Any) -> BulkHandle:
        """Replay every run that matches all filters, as `kk.runs.replay` does; at most three at a time may go on.

        kk.runs.replay_all(task="resize", status="failed", period="1d")
        """
        return start_bulk(self._current(), "REPLAY", _bulk_filter(filters, "kk.runs.replay_all"))

    def bulk(self, bulk_id: str) -> BulkHandle:
        """A bulk action that was begun before, by whoever; the last hundred that have ended are kept."""
        return retrieve_bulk(self._current(), name_of(bulk_id, "bulk_id"))

    def reschedule(self, run_id: str, *, delay: Duration | datetime) -> Run:
        """Have a delayed run start after another delay; raises `InvalidOptionError` when it is not delayed."""
        return reschedule_run(self._current(), name_of(run_id, "run_id"), delay)

    def retry_now(self, run_id: str) -> Run:
        """Have a run's next attempt without the rest of its backoff, as `RunHandle.retry_now`; raises
        `InvalidOptionError` when it does not wait for another attempt.

            for run in kk.runs.list(task="fetch_prices", status="queued"):
                if run.retry_at is not None:
                    kk.runs.retry_now(run.id)
        """
        return retry_run_now(self._current(), name_of(run_id, "run_id"))

    def __repr__(self) -> str:
        return (
            "<kk.runs: list(…), retrieve(id), subscribe(run), cancel(id), replay(id), reschedule(id, delay=…), "
            "retry_now(id), cancel_all(…), replay_all(…)>"
        )


def _tags(given: str | Iterable[str]) -> tuple[str, ...]:
    tags = (given,) if isinstance(given, str) else tuple(given)
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip():
            raise InvalidOptionError(f"tag={tag!r} is no tag.", field="tag")
    return tags


def list_request(asked: RunFilter, *, limit: int, after: Any, before: Any) -> ListRuns:
    """The request for a page; raises `InvalidOptionError` for a limit or cursors that will not do."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE:
        raise InvalidOptionError(
            f"limit={limit!r} is not a number from 1 to {PAGE}; page.next() has more.", field="limit"
        )
    if after and before:
        raise InvalidOptionError("after and before are two different pages; give one of them.", field="before")
    return ListRuns(
        **structs.asdict(asked),
        limit=limit,
        after=name_of(after, "after") if after else "",
        before=name_of(before, "before") if before else "",
    )


def _bulk_filter(filters: dict[str, Any], whose: str, *, others: tuple[str, ...] = ()) -> RunFilter:
    """As `read_filter`, except that an empty value is refused: what was to say which runs must not come to mean all."""
    for name, value in filters.items():
        if isinstance(value, str | list | tuple | set | frozenset) and not value:
            raise InvalidOptionError(
                f"{name}={value!r} of {whose} names nothing, so runs of any {name} would match. Leave it out for that.",
                field=name,
            )
    return read_filter(filters, whose, others=others)


runs = Runs()
