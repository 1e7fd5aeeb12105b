"""`kk.batch`: runs of several tasks triggered together, and batches found again by their id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import BatchHandle, RunHandle, batch_runs
from kernelkit.authoring.reference import TaskReference
from kernelkit.authoring.run_options import NO_OPTIONS, Item
from kernelkit.authoring.task import Task
from kernelkit.authoring.triggering import Order, Pinned, numbered, send_batch
from kernelkit.errors import InvalidOptionError


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
        """Make runs of different tasks in one call, all or none: up to 1,000 pairs of a task, or its id, and a payload.

        The payload may be a `kk.Item`. Each task's globals are captured once.
        """
        caller = self._current()
        pairs = [_pair(index, item) for index, item in enumerate(items)]
        orders = numbered(pairs, _order)
        pinned: dict[int, Pinned] = {}
        for (task, _), order in zip(pairs, orders, strict=True):
            if id(task) not in pinned:
                pinned[id(task)] = task.pin(caller)
            order.pinned = pinned[id(task)]
        return send_batch(caller, orders)

    def retrieve(self, batch_id: str) -> BatchHandle[Any]:
        """The batch of that id; raises `UnknownRunError` when there is none."""
        caller = self._current()
        runs = batch_runs(caller, batch_id)
        return BatchHandle(
            batch_id, [RunHandle[Any](run.id, run.task_id, caller=caller) for run in runs], caller=caller
        )

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


batch = Batch()
