"""`kk.batch`: runs of several tasks triggered together, and batches found again by their id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.pending import Pending
from kernelkit.authoring.reference import TaskReference
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import NO_OPTIONS, Item
from kernelkit.authoring.runcalls import retrieve_batch
from kernelkit.authoring.task import Task
from kernelkit.authoring.triggering import Order, Pinned, batch_and_awaited, listed, numbered, send_batch
from kernelkit.errors import InvalidOptionError
from kernelkit.rules.run_filters import name_of


class Batch:
    """Batches of the project.

    batch = kk.batch.trigger([(resize, {"url": "a.png"}), ("thumbnail", {"url": "b.png"})])
    batch = kk.batch.retrieve(batch_id)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def _current(self) -> Caller:
        return self._caller or callers.current()

    def trigger(self, items: Iterable[tuple[Task[..., Any] | str, Any]]) -> BatchHandle[Any]:
        """Make runs of different tasks in one call: up to 1,000 pairs of a task, or its id, and a payload.

        The payload may be a `kk.Item`. Each task's globals are captured once. Items that do not fit their task are
        refused here, all together; `batch.errors` tells of those that the engine refused.
        """
        return self._sending(items)()

    def trigger_and_wait(self, items: Iterable[tuple[Task[..., Any] | str, Any]]) -> Pending[list[Result[Any]]]:
        """`trigger`, and the `Result` of each item, in their order, once all have ended.

        `await` it, or call `.result()` in a plain task; nothing is triggered before.

            results = await kk.batch.trigger_and_wait([(resize, {"url": "a.png"}), ("thumbnail", {"url": "b.png"})])
        """
        return batch_and_awaited("kk.batch.trigger_and_wait(…)", self._sending(items))

    def _sending(self, items: Iterable[tuple[Task[..., Any] | str, Any]]) -> Callable[[], BatchHandle[Any]]:
        caller = self._current()
        pairs = [_pair(index, item) for index, item in enumerate(listed(items))]
        orders = numbered(pairs, _order, empty=_empty)

        def send() -> BatchHandle[Any]:
            pinned: dict[int, Pinned] = {}
            for (task, _), order in zip(pairs, orders, strict=True):
                if id(task) not in pinned:
                    pinned[id(task)] = task.pin(caller)
                order.pinned = pinned[id(task)]
            return send_batch(caller, orders)

        return send

    def retrieve(self, batch_id: str) -> BatchHandle[Any]:
        """The batch of that id; raises `UnknownRunError` when there is none."""
        caller = self._current()
        batch_id = name_of(batch_id, "batch_id")
        found = retrieve_batch(caller, batch_id)
        tasks = {run.id: run.task_id for run in found.runs}
        handles = [RunHandle[Any](i, tasks.get(i, ""), caller=caller) for i in found.batch.run_ids if i]
        return BatchHandle(batch_id, handles, errors=found.batch.errors, caller=caller)

    def __repr__(self) -> str:
        return "<kk.batch: trigger([(task, payload), …]), retrieve(id)>"


def _pair(index: int, item: object) -> tuple[Task[..., Any] | TaskReference, Any]:
    if isinstance(item, tuple) and len(item) == 2:
        task, payload = item
        if isinstance(task, str):
            return TaskReference(task), payload
        if isinstance(task, Task | TaskReference):
            return task, payload
    raise InvalidOptionError(
        f"Item {index} of the batch is not a pair of a task, or its id, and a payload, as in (resize, {{'url': …}}).",
        field="items",
    )


def _order(pair: tuple[Task[..., Any] | TaskReference, Any]) -> Order:
    task, given = pair
    payload, options = (given.payload, given.options) if isinstance(given, Item) else (given, NO_OPTIONS)
    return task.order(payload, options)


def _empty(pair: tuple[Task[..., Any] | TaskReference, Any]) -> Order:
    task, given = pair
    return task.empty_order(given.options if isinstance(given, Item) else NO_OPTIONS)


batch = Batch()
