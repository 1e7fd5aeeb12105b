"""Handles of runs that were triggered: like futures, but the run does not depend on them.

A handle has its run's id at once and may be awaited, asked, dropped, or made again in another process; interrupting a
wait leaves the run alone. What a newcomer would get wrong: a property such as `.status` asks the engine each time,
until the run is final; from then on everything is answered from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.artifacts import Artifacts, artifacts_of
from kernelkit.authoring.asked import Asked
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.durable import runs_wait, waited, waited_sync
from kernelkit.authoring.ends import blocking, lacks_output
from kernelkit.authoring.logs import RunLogs, logs_request
from kernelkit.authoring.replaying import SAME, replay_run
from kernelkit.authoring.result import Result
from kernelkit.authoring.runcalls import cancel_run, reschedule_run, retrieve_run, retry_run_now
from kernelkit.authoring.scope import scope
from kernelkit.authoring.signature import Signature
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.durations import Duration
from kernelkit.models.error import Error
from kernelkit.models.run import Run, RunStatus

T = TypeVar("T")

PAGE = 100


class RunHandle(display.Shown, Generic[T]):
    """A run that was triggered.

    run = resize.trigger(url="https://…")
    run.id, run.status
    result = await run            # in a notebook cell or an async function
    result = run.result(timeout="5m")
    run.cancel()
    """

    __slots__ = ("_asked", "_caller", "_id", "_is_cached", "_name", "_run", "_signature", "task_id")

    def __init__(
        self,
        run_id: str,
        task_id: str,
        *,
        caller: Caller | None = None,
        signature: Signature | None = None,
        run: Run | None = None,
        is_cached: bool = False,
    ) -> None:
        self._id = self._name = run_id
        self._is_cached = is_cached
        self._asked: Asked | None = None
        self.task_id = task_id
        self._caller = caller
        self._signature = signature
        self._run = run if run is not None and run.is_completed else None

    # ---- which run ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id.

        Inside a run, a trigger with an idempotency key or a debounce may be answered with an earlier run: a plain
        function waits here until that is known; an async one has a name for the run until then, by which the engine
        knows it as well (`await run.stored()` waits).
        """
        self._adopt()
        return self._id

    @property
    def is_cached(self) -> bool:
        """Whether the trigger's idempotency key belonged to an earlier run, which this is."""
        if not self._adopt():
            assert self._asked is not None
            raise self._asked.refuse("is_cached")
        return self._is_cached

    async def stored(self) -> Self:
        """Return the handle once the engine has the trigger on disk; outside a run it always has."""
        if self._asked is not None:
            await self._asked.answered()
            self._adopt()
        return self

    def answered_later(self, asked: str) -> None:
        """The trigger was made inside a run, under this name: which run it means will be known."""
        around = scope.get()
        if around is not None:
            self._asked = Asked(around, asked, around.carried.pop(asked, None) if around.carried else None)

    def _adopt(self) -> bool:
        """Take the earlier run for this handle's, if one answered the trigger; False while that is not known."""
        if self._asked is None:
            return True
        if not self._asked.wait():
            return False
        match = self._asked.match
        self._asked = None
        if match is not None:
            self._id, self._is_cached = match.run_id, match.is_cached
        return True

    # ---- waiting ---------------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, Result[T]]:
        return self._wait().__await__()

    async def _wait(self) -> Result[T]:
        await self.stored()
        if self._run is None and self._caller_now().inside_run:
            self._run = (await waited(runs_wait((self.id,), "task", self._name, shown=self.task_id)))[0]
        if self._run is None:
            run = await asyncio.wrap_future(self._end())
            if lacks_output(run):
                run = await asyncio.to_thread(self._retrieve)
            self._run = run
        return self._result(self._run)

    def result(self, timeout: Duration | None = None) -> Result[T]:
        """Wait until the run is final and return its `Result`, however it ended.

        Raises the built-in `TimeoutError` after `timeout`; that and an interrupt leave the run alone.
        """
        if self._run is None and self._caller_now().inside_run:
            asked = runs_wait((self.id,), "task", self._name, shown=self.task_id, timeout=timeout)
            self._run = waited_sync(asked)[0]
        if self._run is None:
            self._keep(blocking(self._end(), timeout, f"Run {self.id} of {self.task_id}"))
        return self._result(self._final())

    def _end(self) -> Future[Run]:
        return self._caller_now().outcome(self.id)

    def _result(self, run: Run) -> Result[T]:
        return Result(run, None if self._signature is None else self._signature.revive_output)

    def _keep(self, run: Run) -> Run:
        if run.is_completed:
            self._run = self._retrieve() if lacks_output(run) else run
        return run

    def _final(self) -> Run:
        assert self._run is not None
        return self._run

    def _retrieve(self) -> Run:
        return retrieve_run(self._caller_now(), self.id)

    # ---- asking ----------------------------------------------------------------------------------------------------

    def refresh(self) -> Run:
        """The run as it is now, payload, output and relations included."""
        run = retrieve_run(self._caller_now(), self.id, related=True)
        if run.is_completed:
            self._run = run
        return run

    def _now(self) -> Run:
        return self._run or self._keep(self._retrieve())

    @property
    def status(self) -> RunStatus:
        """One of the thirteen statuses, as it is now."""
        return self._now().status

    @property
    def is_completed(self) -> bool:
        """True once the run is final, however it ended."""
        return self._now().is_completed

    @property
    def output(self) -> T | None:
        """What the task returned, or None while there is nothing."""
        run = self._now()
        return self._result(run).output if run.is_completed else None

    @property
    def error(self) -> Error | None:
        """What went wrong, or None."""
        run = self._now()
        return self._result(run).error if run.is_completed else run.error

    @property
    def metadata(self) -> dict[str, Any]:  # any JSON object
        """The run's metadata as it is now."""
        return self._now().metadata

    @property
    def tags(self) -> tuple[str, ...]:
        return self._now().tags

    def logs(self, limit: int = 1000, *, level: str | Iterable[str] = (), search: str | None = None) -> RunLogs:
        """The last `limit` captured lines; at the end of a cell, a log viewer.

        `level` is one of debug, info, warn, error, stdout and stderr, or several of which any matches; `search` a text
        that occurs in the line, in any case of letters. Raises `InvalidOptionError`.

            [line.text for line in run.logs(level=["warn", "error"])]
        """
        return RunLogs(self._caller_now(), logs_request(self.id, limit, level, search))

    @property
    def artifacts(self) -> Artifacts:
        """The files kept with the run, as they are now: of a notebook job the executed notebook and a page of it."""
        return artifacts_of(self._caller_now().home, self.id)

    def tree(self) -> RunTree:
        """The run and all runs below it; it displays itself, and `.runs` are their snapshots."""
        return RunTree(self._caller_now(), self.id)

    def timeline(self, *, tree: bool = False) -> RunTimeline:
        """When the run was queued, executed, waited and backed off; with `tree` the runs below it as well.

        It displays itself, and `.spans` is the same as data.
        """
        return self.tree().timeline() if tree else RunTimeline(self._caller_now(), self.id)

    def cancel(self, reason: str = "Canceled by user") -> Run:
        """Cancel the run and the runs below it; returns it as it is then. A run that has ended stays as it is."""
        return self._keep(cancel_run(self._caller_now(), self.id, reason))

    def replay(self, payload: Any = SAME, **options: Any) -> RunHandle[T]:
        """Make a new run with this one's payload, tags, first metadata, concurrency key, machine, queue and test flag.

        Another `payload` and any option of a trigger take their place; attempts, delay, time to live and keys are not
        copied. It runs the task's latest code. Raises `PayloadValidationError` and its like, and `UnknownTaskError`.

            run.replay()
            run.replay({"url": "b.png"}, tags=["again"])
        """
        caller = self._caller_now()
        run = replay_run(caller, self.id, payload, options, self.task_id, self._signature)
        return RunHandle(run.id, run.task_id, caller=caller, signature=self._signature)

    def reschedule(self, *, delay: Duration | datetime) -> Run:
        """Have a delayed run start after another delay, counted from now, or at a moment; returns it as it is then.

        Raises `InvalidOptionError` when it is not delayed (any more).
        """
        return self._keep(reschedule_run(self._caller_now(), self.id, delay))

    def retry_now(self) -> Run:
        """Have the next attempt of a run that is between two attempts without the rest of its backoff; returns it as it
        is then. Its queue, its limits and the number of its attempts stay as they are.

            run.retry_now()         # the service that failed it is back

        Raises `InvalidOptionError` when it does not wait for another attempt.
        """
        return self._keep(retry_run_now(self._caller_now(), self.id))

    # ---- the rest --------------------------------------------------------------------------------------------------

    def _caller_now(self) -> Caller:
        if self._caller is None:
            self._caller = callers.current()
        return self._caller

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self._name)  # which does not change when the id becomes known

    def __reduce__(self) -> tuple[Any, ...]:
        return (RunHandle, (self.id, self.task_id))

    def __repr__(self) -> str:
        known = f": {self._run.status}" if self._run is not None else ""
        return f"<RunHandle {self._id} of {self.task_id}{known}>"
