"""`kk.runs.subscribe(…)`: snapshots of runs as they change, for `for` and `async for`.

The engine pushes changes to the client's thread; they wait here, at most a bounded number of them, until they are asked
for. How the runs are at the beginning, and again after a lost connection, is listed by page; a snapshot is handed out
only where it says something new. What a newcomer would get wrong: nothing the client's thread holds may refer to the
`Subscription` itself, or a dropped one would never end.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from typing import Self

from msgspec.structs import asdict, replace

from kernelkit.authoring.caller import Caller
from kernelkit.errors import KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.wire.messages import ListRuns, Retrieve, RunChanged, RunPage, RunReply

KEPT = 256  # snapshots of one run that nobody has asked for yet; the oldest go first
LISTED = 100  # runs a page

Fingerprint = tuple[object, ...]


def fingerprint(run: Run) -> Fingerprint:
    """What of a run makes it worth another snapshot."""
    return (run.status, run.tags, run.metadata_json, run.attempt_number, run.retry_at, run.delay_until)


class Feed:
    """What has come in and was not taken yet; any thread may put, one takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Future[None] | None = None
        self.problem: Exception | None = None
        self.is_over = False
        self.must_list = False
        self.runs: deque[Run] = deque(maxlen=KEPT)  # of one run, in order
        self.latest: dict[str, Run] = {}  # of many, the last snapshot of each

    def put(self, run: Run, *, only_latest: bool = False) -> None:
        with self._lock:
            if self.is_over:
                return
            if only_latest:
                self.latest.pop(run.id, None)
                self.latest[run.id] = run
            else:
                self.runs.append(run)
        self._ring()

    def end(self, problem: Exception | None = None) -> None:
        """Nothing more will come; what is here can still be taken."""
        if not self.is_over:
            self.problem, self.is_over = problem, True
        self._ring()

    def close(self) -> None:
        """Nothing more is wanted."""
        with self._lock:
            self.runs.clear()
            self.latest.clear()
            self.must_list = False
            self.is_over = True
        self._ring()

    def list_again(self) -> None:
        """Changes may have been missed."""
        self.must_list = not self.is_over
        self._ring()

    def take(self) -> Run | None:
        with self._lock:
            if self.runs:
                return self.runs.popleft()
            if self.latest:
                return self.latest.pop(next(iter(self.latest)))
            return None

    def take_of(self, run_id: str) -> Run | None:
        with self._lock:
            return self.latest.pop(run_id, None)

    def wait(self) -> Future[None]:
        """Resolved as soon as there is something to look at."""
        with self._lock:
            wake: Future[None] = Future()
            if self.runs or self.latest or self.is_over or self.must_list:
                wake.set_result(None)
            else:
                self._wake = wake
            return wake

    def _ring(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            try:
                wake.set_result(None)
            except InvalidStateError:
                pass  # whoever waited was cancelled

    # ---- as the client's thread calls it ---------------------------------------------------------------------------

    def changed(self, run: Run) -> None:
        self.put(run, only_latest=True)

    def reconnected(self) -> None:
        self.list_again()

    def failed(self, problem: Exception) -> None:
        self.end(problem)


class Subscription:
    """An endless or ending row of `Run` snapshots; use it with `for`, `async for`, `next()` and `with`.

    for run in kk.runs.subscribe(handle):
        print(run.status, run.metadata)

    Interrupting or dropping it leaves the runs alone.
    """

    def __init__(
        self, caller: Caller, feed: Feed, stop: Callable[[], None], asked: RunFilter | None, what: str
    ) -> None:
        """Use `kk.runs.subscribe`."""
        self._caller = caller
        self._feed = feed
        self._asked = asked
        self._what = what
        self._told: dict[str, Fingerprint] = {}
        self._listed: Iterator[Run] | None = None
        self._payload: str | None = None
        self._stop = weakref.finalize(self, stop)
        self._stop.atexit = False

    # ---- taking ----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Run:
        while True:
            run = self._next_here() if self._listed is None and not self._feed.must_list else self._next_listed()
            if run is not None:
                return run
            if self._is_at_end():
                raise StopIteration
            if self._listed is None:
                self._feed.wait().result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Run:
        while True:
            if self._listed is None and not self._feed.must_list:
                run = self._next_here()
            else:
                run = await asyncio.to_thread(self._next_listed)
            if run is not None:
                return run
            if self._is_at_end():
                raise StopAsyncIteration
            if self._listed is None:
                await asyncio.wrap_future(self._feed.wait())

    def _next_here(self) -> Run | None:
        """The next snapshot that came in and says something new."""
        while (run := self._feed.take()) is not None:
            if self._is_news(run):
                return self._with_payload(run)
        return None

    def _next_listed(self) -> Run | None:
        """The next run of the list that says something new; None when the list is through."""
        if self._listed is None:
            self._feed.must_list = False
            self._listed = self._list()
        for run in self._listed:
            newest = self._feed.take_of(run.id) or run  # a change that came since the page was asked for is the newer
            if self._is_news(newest):
                return newest
        self._listed = None
        return None

    def _list(self) -> Iterator[Run]:
        assert self._asked is not None, "single runs are not listed"
        asked, after = self._asked, ""
        while True:
            page = self._caller.call(ListRuns(**asdict(asked), limit=LISTED, after=after))
            assert isinstance(page, RunPage)
            self._asked = asked = replace(asked, created_from=page.created_from, period_s=0.0)
            yield from page.runs
            if not page.has_more:
                return
            after = page.runs[-1].id

    def _is_news(self, run: Run) -> bool:
        seen = fingerprint(run)
        if self._told.get(run.id) == seen:
            return False
        self._told[run.id] = seen
        return True

    def _with_payload(self, run: Run) -> Run:
        """Large payloads are left out of what is pushed; that of a single run is known from its first snapshot."""
        if self._asked is None and run.payload_json is None:
            return replace(run, payload_json=self._payload)
        if self._asked is None:
            self._payload = run.payload_json
        return run

    def _is_at_end(self) -> bool:
        if not self._feed.is_over or self._feed.runs or self._feed.latest:
            return False
        self._stop()
        if self._feed.problem is not None:
            problem, self._feed.problem = self._feed.problem, None
            raise problem
        return True

    # ---- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Hear no more; whoever waits for the next snapshot is released. A second call does nothing."""
        self._listed = None
        self._feed.close()
        self._stop()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Subscription to {self._what}{', ended' if self._feed.is_over else ''}>"


def of_run(caller: Caller, run_id: str) -> Subscription:
    """Of one run, until it is final; raises `UnknownRunError`."""
    feed = Feed()
    reply = caller.call(Retrieve(run_id))
    assert isinstance(reply, RunReply)
    feed.put(reply.run)
    if reply.run.is_completed:
        feed.end()
        return Subscription(caller, feed, _nothing, None, run_id)

    def changed(change: RunChanged) -> None:
        if not change.run.is_completed:  # the end comes from below, with an output of any size
            feed.put(change.run)

    end = caller.outcome(run_id)
    stop_watching = caller.watch(run_id, changed)

    def stop() -> None:
        end.cancel()
        stop_watching()

    def ended(end: Future[Run]) -> None:
        if end.cancelled():
            feed.end()
        elif (problem := end.exception()) is not None:
            feed.end(problem if isinstance(problem, Exception) else KernelKitError(str(problem)))
        else:
            feed.put(end.result())
            feed.end()

    end.add_done_callback(ended)
    return Subscription(caller, feed, stop, None, run_id)


def of_filter(caller: Caller, asked: RunFilter, what: str) -> Subscription:
    """Of all runs that match, for ever."""
    feed = Feed()
    stop = caller.subscribe(asked, feed)
    feed.must_list = True
    return Subscription(caller, feed, stop, asked, what)


def _nothing() -> None:
    return None
