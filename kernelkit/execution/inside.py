"""The `Caller` for code inside a run: its calls are reports of the attempt.

A trigger returns at once with the ids its caller made; the engine stores it, in order, before the attempt's end can
be. What a newcomer would get wrong: a refusal therefore comes later, at the run's next call, or as its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NoReturn

from msgspec.structs import replace

from kernelkit.authoring.caller import Heard, gathered
from kernelkit.authoring.context import current_scope
from kernelkit.config import Home
from kernelkit.errors import KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner
from kernelkit.wire.messages import (
    BatchPart,
    BatchSeal,
    ChildTrigger,
    Done,
    ReplyBody,
    RequestBody,
    ResetKey,
    RunChanged,
    Trigger,
    Triggered,
    TriggerItem,
)


class InsideCaller:
    """One for a whole process: it finds the attempt it speaks for through the context."""

    inside_run = True

    def __init__(self, home: Home, owner: Owner) -> None:
        self._home = home
        self._owner = owner
        self._parts: dict[str, list[TriggerItem]] = {}

    @property
    def home(self) -> Home:
        return self._home

    @property
    def owner(self) -> Owner:
        return self._owner

    def call(self, body: RequestBody) -> ReplyBody:
        """Report a trigger of the attempt around this code; other requests are refused with words."""
        match body:
            case Trigger(items=items, batch_id=batch_id):
                return _trigger(items, batch_id)
            case BatchPart(batch_id=batch_id, items=items):
                self._parts.setdefault(batch_id, []).extend(items)
                return Done()
            case BatchSeal(batch_id=batch_id):
                return _trigger(tuple(self._parts.pop(batch_id, ())), batch_id)
            case ResetKey(task_id=task_id, hash=hash):
                scope = current_scope("kk.idempotency_keys.reset")
                scope.send(replace(body, asked="", op=scope.op("reset", task_id, hash)))
                return Done()
            case _:
                _refuse(f"{type(body).__name__} is")

    def outcome(self, run_id: str) -> Future[Run]:
        current_scope("Waiting for a run")
        _refuse(f"Waiting for the run {run_id} is")

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        return gathered([self.outcome(run_id) for run_id in run_ids])

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        current_scope("Watching a run")
        _refuse(f"Watching the run {run_id} is")

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        current_scope("Subscribing to runs")
        _refuse("Subscribing to runs is")


def _trigger(items: tuple[TriggerItem, ...], batch_id: str) -> Triggered:
    scope = current_scope("Triggering a task in a worker")
    # Ids are new at each call, so they are no part of what makes two calls the same.
    told = "\n".join(
        f"{each.task_id} {each.payload.text} {each.tags} {each.max_attempts} {each.key and each.key.hash}"
        for each in items
    )
    name = "batch" if batch_id else items[0].task_id if items else ""
    number = scope.send(ChildTrigger(items=items, op=scope.op("trigger", name, told), batch_id=batch_id))
    for each in items:
        if each.key is not None or each.debounce is not None:
            scope.carried[each.run_id] = number
    return Triggered(run_ids=tuple(each.run_id for each in items))


def _refuse(what: str) -> NoReturn:
    raise KernelKitError(
        f"{what} not available inside a running task yet. Trigger other tasks from it, let it end, and look at their "
        "runs from the notebook."
    )
