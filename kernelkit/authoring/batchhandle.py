"""Handles of runs that were triggered together.

They answer for each item, in their order. What a newcomer would get wrong: of an item that was refused there may be no
run, so `runs` may be shorter than the list of results.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.bulk import start_bulk
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.durable import DurableWait, runs_wait, waited, waited_sync
from kernelkit.authoring.ends import blocking, lacks_output
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.result import Result
from kernelkit.authoring.runcalls import retrieve_batch
from kernelkit.durations import Duration
from kernelkit.models.batch import BatchError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run, RunStatus

T = TypeVar("T")


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
            _keep_all(waiting, blocking(self._ends(waiting), timeout, f"Batch {self.id}"))
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


def _keep_all(handles: list[RunHandle[T]], runs: list[Run]) -> None:
    """Note the ends; a run whose output was left out is asked for later, by its handle."""
    for handle, run in zip(handles, runs, strict=True):
        if not lacks_output(run):
            handle._run = run


def _keep_ended(handles: list[RunHandle[T]], runs: list[Run]) -> None:
    for handle, run in zip(handles, runs, strict=True):
        handle._run = run
