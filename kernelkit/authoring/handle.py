"""Handles of runs that were triggered: like futures, but the run does not depend on them.

A handle has its run's id at once and may be awaited, asked, dropped, or made again in another process; interrupting a
wait leaves the run alone. What a newcomer would get wrong: a property such as `.status` asks the engine each time,
until the run is final; from then on everything is answered from here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from kernelkit import ids
from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.artifacts import Artifacts, artifacts_of
from kernelkit.authoring.asked import Asked
from kernelkit.authoring.bulk import start_bulk
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.durable import DurableWait, runs_wait, waited, waited_sync
from kernelkit.authoring.logs import RunLogs, logs_request
from kernelkit.authoring.replaying import SAME, replay_run
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import delay_of
from kernelkit.authoring.scope import scope
from kernelkit.authoring.signature import Signature
from kernelkit.authoring.timeline import RunTimeline
from kernelkit.authoring.tree import RunTree
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidDurationError
from kernelkit.models.batch import BatchError
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run, RunStatus
from kernelkit.rules.limits import check_reason
from kernelkit.wire.messages import (
    BatchReply,
    Cancel,
    Reschedule,
    Retrieve,
    RetrieveBatch,
    RetryNow,
    RunReply,
)

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
            if _lacks_output(run):
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
            self._keep(_blocking(self._end(), timeout, f"Run {self.id} of {self.task_id}"))
        return self._result(self._final())

    def _end(self) -> Future[Run]:
        return self._caller_now().outcome(self.id)

    def _result(self, run: Run) -> Result[T]:
        return Result(run, None if self._signature is None else self._signature.revive_output)

    def _keep(self, run: Run) -> Run:
        if run.is_completed:
            self._run = self._retrieve() if _lacks_output(run) else run
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


class BatchHandle(display.Shown, Generic[T]):
    """Runs that were triggered together, in the order of their items.

    batch = resize.batch_trigger([{"url": a}, {"url": b}])
    results = await batch         # a list of Results, in order
    batch.counts                  # {'COMPLETED': 1, 'EXECUTING': 1}
    batch.errors                  # items that could not be triggered: index, task_id, error
    """

    __slots__ = ("_caller", "errors", "id", "runs")

    def __init__(
        self,
        batch_id: str,
        runs: Sequence[RunHandle[T]],
        *,
        errors: Sequence[BatchError] = (),
        caller: Caller | None = None,
    ) -> None:
        self.id = batch_id
        self.runs: tuple[RunHandle[T], ...] = tuple(runs)
        """One for each item, in their order, but for the items of which no run was made."""
        self.errors: tuple[BatchError, ...] = tuple(errors)
        """The items that could not be triggered. Most became a run that has failed; `run_id` is "" for the others."""
        self._caller = caller

    def __await__(self) -> Generator[Any, None, list[Result[T]]]:
        return self._wait().__await__()

    async def _wait(self) -> list[Result[T]]:
        waiting = self._waiting()
        if waiting and self._caller_now().inside_run:
            _keep_ended(waiting, await waited(self._durably(waiting)))
        elif waiting:
            _keep_all(waiting, await asyncio.wrap_future(self._ends(waiting)))
        return self._in_place([await run for run in self.runs])

    def result(self, timeout: Duration | None = None) -> list[Result[T]]:
        """Wait until every run is final: a `Result` for each item, in their order.

        Raises the built-in `TimeoutError`, which leaves the runs alone.
        """
        waiting = self._waiting()
        if waiting and self._caller_now().inside_run:
            _keep_ended(waiting, waited_sync(self._durably(waiting, timeout)))
        elif waiting:
            _keep_all(waiting, _blocking(self._ends(waiting), timeout, f"Batch {self.id}"))
        return self._in_place([run.result() for run in self.runs])

    def _in_place(self, results: list[Result[T]]) -> list[Result[T]]:
        """With a failed result in the place of each item of which no run was made."""
        for problem in self._without_run():
            results.insert(problem.index, Result(_never_made(problem)))
        return results

    def _without_run(self) -> list[BatchError]:
        return [problem for problem in self.errors if not problem.run_id]

    def _durably(self, waiting: list[RunHandle[T]], timeout: Duration | None = None) -> DurableWait[list[Run]]:
        names = ",".join([run._name for run in waiting])
        return runs_wait(tuple(run.id for run in waiting), "batch", names, batch_id=self.id, timeout=timeout)

    def _waiting(self) -> list[RunHandle[T]]:
        return [run for run in self.runs if run._run is None]

    def _ends(self, waiting: list[RunHandle[T]]) -> Future[list[Run]]:
        """One future for all, so that a thousand runs wake a waiting loop once."""
        return self._caller_now().outcomes([run.id for run in waiting])

    def refresh(self) -> list[Run]:
        """The runs as they are now, in order, without large payloads and outputs."""
        if all(run._run is not None for run in self.runs):
            return [run._final() for run in self.runs]
        return list(retrieve_batch(self._caller_now(), self.id).runs)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs have which status now."""
        return dict(Counter(str(run.status) for run in self.refresh()))

    @property
    def status(self) -> str:
        """`PENDING` before the first run starts, `PROCESSING`, then `COMPLETED` once every run is final, whether it
        succeeded or not; `PARTIAL_FAILED` if of some items no run was made, `ABORTED` if of none."""
        runs = self.refresh()
        if all(run.is_completed for run in runs):
            missing = self._without_run()
            return "COMPLETED" if not missing else "PARTIAL_FAILED" if self.runs else "ABORTED"
        return "PROCESSING" if any(run.attempt_number or run.is_completed for run in runs) else "PENDING"

    def cancel(self, reason: str = "Canceled by user") -> None:
        """Cancel every run of the batch that has not ended; returns when that is done."""
        if self._waiting():
            start_bulk(self._caller_now(), "CANCEL", RunFilter(batch=(self.id,)), reason).result()

    def _caller_now(self) -> Caller:
        if self._caller is None:
            self._caller = callers.current()
        return self._caller

    def __len__(self) -> int:
        return len(self.runs)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_batch_again, (self.id, self.runs, self.errors))

    def __repr__(self) -> str:
        refused = f", {len(self.errors)} not triggered" if self.errors else ""
        return f"<BatchHandle {self.id}: {len(self.runs)} runs{refused}>"


def _batch_again(batch_id: str, runs: Sequence[RunHandle[Any]], errors: Sequence[BatchError]) -> BatchHandle[Any]:
    return BatchHandle(batch_id, runs, errors=errors)


def _never_made(problem: BatchError) -> Run:
    """What stands for the run of an item of which none was made."""
    return Run(
        id="",
        task_id=problem.task_id,
        status=RunStatus.SYSTEM_FAILURE,
        error=problem.error,
        created_at=datetime.now(UTC),
        queue="",
    )


# ---- what handles and the verbs of kk.runs share -----------------------------------------------------------------


def retrieve_run(caller: Caller, run_id: str, *, related: bool = False) -> Run:
    """The run of that id, with its relations where they are asked for; raises `UnknownRunError`."""
    reply = caller.call(Retrieve(run_id, related))
    assert isinstance(reply, RunReply)
    return reply.run


def cancel_run(caller: Caller, run_id: str, reason: str) -> Run:
    """Cancel, and the run as it is then; raises `UnknownRunError`."""
    reply = caller.call(Cancel(run_id, reason=check_reason(reason)))
    assert isinstance(reply, RunReply)
    return reply.run


def reschedule_run(caller: Caller, run_id: str, delay: Duration | datetime) -> Run:
    """Move a delayed run to another moment, and the run as it is then."""
    if delay is None:
        raise InvalidDurationError("delay=None is no moment to move the run to.", field="delay")
    delay_s, delay_until = delay_of(delay)
    reply = caller.call(Reschedule(run_id, delay_s, delay_until, ids.make_id("ask")))
    assert isinstance(reply, RunReply)
    return reply.run


def retry_run_now(caller: Caller, run_id: str) -> Run:
    """End a run's backoff, and the run as it is then."""
    reply = caller.call(RetryNow(run_id, ids.make_id("ask")))
    assert isinstance(reply, RunReply)
    return reply.run


def retrieve_batch(caller: Caller, batch_id: str) -> BatchReply:
    """A batch and its runs in the order of its items; raises `UnknownRunError` when there is none of that id."""
    found = caller.call(RetrieveBatch(batch_id))
    assert isinstance(found, BatchReply)
    return found


def ids_in_order(count: int) -> list[str]:
    """Run ids that sort in the order of the list."""
    now_ms = time.time_ns() // 1_000_000
    start = int.from_bytes(os.urandom(6), "big") % (2**45 - count)
    return [ids.make_id("run", now_ms=now_ms, entropy=start + index) for index in range(count)]


def _blocking(end: Future[Any], timeout: Duration | None, what: str) -> Any:
    seconds = None if timeout is None else to_seconds(timeout, field="timeout")
    try:
        return end.result(seconds)
    except TimeoutError:
        if end.done() and not end.cancelled():
            raise
        end.cancel()
        raise TimeoutError(
            f"{what} has not ended after {seconds:g} s. It goes on; ask again whenever you like."
        ) from None
    except BaseException:
        end.cancel()
        raise


def _keep_all(handles: list[RunHandle[T]], runs: list[Run]) -> None:
    """Note the ends; a run whose output was left out is asked for later, by its handle."""
    for handle, run in zip(handles, runs, strict=True):
        if not _lacks_output(run):
            handle._run = run


def _keep_ended(handles: list[RunHandle[T]], runs: list[Run]) -> None:
    for handle, run in zip(handles, runs, strict=True):
        handle._run = run


def _lacks_output(run: Run) -> bool:
    return run.output_json is None and run.output_size > 0


def runs_of(run_ids: Iterable[str], task_id: str, caller: Caller, signature: Signature | None) -> list[RunHandle[Any]]:
    """Handles for triggered runs."""
    return [RunHandle(run_id, task_id, caller=caller, signature=signature) for run_id in run_ids]
