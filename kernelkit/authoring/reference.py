"""A task known by its id alone: what a `Task` becomes when it is shipped, and what `kk.tasks.trigger` makes.

Here no parameters are known, so payloads are not checked before they are sent; the worker checks them at the first
attempt, and the run is FAILED if they do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from kernelkit.authoring import caller as callers
from kernelkit.authoring import here
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.options import check_id
from kernelkit.authoring.payloads import encode_payload
from kernelkit.authoring.pending import Pending, PendingResult
from kernelkit.authoring.registration import tell_all
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import NO_OPTIONS, RunOptions, run_options
from kernelkit.authoring.triggering import (
    LATEST,
    Order,
    Pinned,
    batch_and_awaited,
    items_of,
    numbered,
    send_batch,
    send_one,
    triggered_and_awaited,
)
from kernelkit.errors import PayloadValidationError
from kernelkit.models.value import NULL


class TaskReference:
    """A task of the project by its id; it triggers the task's latest code.

    kk.tasks.trigger("resize", {"url": "a.png"})
    """

    __slots__ = ("_options", "id")

    def __init__(self, id: str, options: RunOptions = NO_OPTIONS) -> None:
        self.id = check_id(id)
        self._options = options

    def local(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not here: a reference knows the id of a task, not its code."""
        here.refuse(self.id)

    def trigger(self, *args: Any, **kwargs: Any) -> RunHandle[Any]:
        """Make a run; one positional argument is the whole payload, keywords are its fields.

        Raises `UnknownTaskError` with near matches.
        """
        return self._sending(args, kwargs)()

    def trigger_and_wait(self, *args: Any, **kwargs: Any) -> PendingResult[Any]:
        """`trigger`, and the run's `Result` once it has ended: `await` it, or `.result()` in a plain task."""
        return triggered_and_awaited(f"{self.id}.trigger_and_wait(…)", self._sending(args, kwargs))

    def batch_trigger_and_wait(self, items: Iterable[Any]) -> Pending[list[Result[Any]]]:
        """`batch_trigger`, and the `Result` of each item, in their order, once all have ended."""
        return batch_and_awaited(f"{self.id}.batch_trigger_and_wait(…)", self._sending_batch(items))

    def _sending(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], RunHandle[Any]]:
        if len(args) > 1 or (args and kwargs):
            raise PayloadValidationError(
                f"{self.id}: one positional argument is the whole payload, keywords are its fields. Give one.",
                errors=[],
            )
        order = self.order(args[0] if args else kwargs or None, self._options)
        return lambda: send_one(self._caller(), order)

    def batch_trigger(self, items: Iterable[Any]) -> BatchHandle[Any]:
        """Make up to 1,000 runs in one call; each item is a payload or a `kk.Item`. `batch.errors` tells of those that
        could not be triggered; if none could, that is raised."""
        return self._sending_batch(items)()

    def _sending_batch(self, items: Iterable[Any]) -> Callable[[], BatchHandle[Any]]:
        orders = numbered(
            items_of(items, self._options),
            lambda item: self.order(*item),
            empty=lambda item: self.empty_order(item[1]),
        )
        return lambda: send_batch(self._caller(), orders)

    def options(self, **options: Any) -> TaskReference:
        """The same with options for its runs: `tags`, `max_attempts`, `metadata`."""
        return TaskReference(self.id, self._options.merged(run_options(**options)))

    def order(self, payload: Any, options: RunOptions) -> Order:
        """One run of this task to ask for."""
        return Order(self.id, encode_payload(self.id, payload, None), options, None)

    def empty_order(self, options: RunOptions) -> Order:
        """One run whose payload cannot be sent."""
        return Order(self.id, NULL, options, None)

    def pin(self, caller: Caller) -> Pinned:
        """Nothing: the task's latest at the run's first start."""
        tell_all(caller)
        return LATEST

    def _caller(self) -> Caller:
        caller = callers.current()
        tell_all(caller)
        return caller

    def __reduce__(self) -> tuple[Any, ...]:
        return (TaskReference, (self.id,))

    def __repr__(self) -> str:
        return f"<TaskReference {self.id}>"
