"""`Task`, what a function becomes under `@kk.task`.

Calling a task calls the plain function, here and now; `trigger` makes a run of it, which an engine keeps and a worker
executes. What a newcomer would get wrong: the run gets the notebook's globals as they are at the trigger, and what it
does to them stays in the worker.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, cast

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display, here
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.captures import CaptureReport
from kernelkit.authoring.defaults import with_defaults
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.hooks import Hooked, HookPoint, HookSet, Kind, taken_from
from kernelkit.authoring.options import task_options
from kernelkit.authoring.payloads import encode_payload
from kernelkit.authoring.pending import Pending, PendingResult
from kernelkit.authoring.reference import TaskReference
from kernelkit.authoring.registration import Registration, tell_all
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import NO_OPTIONS, RunOptions, run_options
from kernelkit.authoring.signature import Signature
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
from kernelkit.errors import TaskDefinitionError, UnknownTaskError
from kernelkit.models.queue import RateLimit
from kernelkit.models.schedule import FIELDS, Timing
from kernelkit.models.task import Isolation, Owner, RetryPolicy
from kernelkit.models.value import NULL

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_defined: list[Callable[[Task[..., Any]], None]] = []


class Task(display.Shown, Hooked, Generic[P, R]):
    """A function that an engine runs. Made by `@kk.task` or a `%%task` cell.

    run = resize.trigger(url="a.png", width=256)
    batch = resize.batch_trigger([{"url": "a.png"}, {"url": "b.png"}])
    resize(url="a.png")           # the plain function, in this process, without an engine

    @resize.on_failure            # its hooks: `hooks.py` names them all
    def tell(error): ...
    """

    def __init__(
        self, function: Callable[P, Any], options: Mapping[str, Any] | None = None, *, owner: Owner | None = None
    ) -> None:
        if not callable(function) or isinstance(function, type) or not hasattr(function, "__name__"):
            raise TaskDefinitionError(f"{function!r} is not a function. A task is made of `def` or `async def`.")
        self.function = function
        """The plain function."""
        others, hooks = taken_from(options or {})
        checked = task_options(function.__name__, with_defaults(others))
        self._registration = Registration(function, checked, Signature.of(function), owner)
        if checked.timing is not None:
            _refuse_needy(self.id, self.signature)
        for hook in hooks:
            self._registration.hooks.add(hook)
        functools.update_wrapper(self, function, updated=())

    # ---- facts -----------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The name under which the project knows the task."""
        return self._registration.options.id

    @property
    def version(self) -> str | None:
        """`YYYYMMDD.N` once an engine was told of the task; a new one with each change of code or options."""
        known = self._registration.latest
        return None if known is None else known.version

    @property
    def notice(self) -> str:
        """What the engine had to say about the definition, for instance that the id was taken over."""
        known = self._registration.latest
        return "" if known is None else known.notice

    @property
    def description(self) -> str:
        return self._registration.options.description

    @property
    def queue(self) -> str:
        """The queue's name; a task that names none has its own, `task/<id>`."""
        return self._registration.options.queue or f"task/{self.id}"

    @property
    def concurrency_limit(self) -> int | None:
        return self._registration.options.concurrency_limit

    @property
    def rate_limit(self) -> RateLimit | None:
        return self._registration.options.rate_limit

    @property
    def retry(self) -> RetryPolicy:
        return self._registration.options.retry

    @property
    def tags(self) -> tuple[str, ...]:
        return self._registration.options.tags

    @property
    def timing(self) -> Timing | None:
        """When it starts by the clock; None for a task that is defined without `cron`."""
        return self._registration.options.timing

    @property
    def isolation(self) -> Isolation:
        """`shared` worker processes for `async def`, a `process` of its own for `def`, unless the option says."""
        return cast(Isolation, self._registration.isolation)

    @property
    def machine(self) -> str | None:
        """The machine preset of its runs, None for no cap."""
        return self._registration.options.machine or None

    @property
    def max_duration(self) -> float | None:
        """Seconds an attempt may take, None for any."""
        return self._registration.options.max_duration or None

    @property
    def signature(self) -> Signature:
        """The payload's fields."""
        return self._registration.signature

    @property
    def json_schema(self) -> str:
        """JSON Schema of the payload, as text."""
        return self.signature.json_schema()

    @property
    def where(self) -> str:
        """The cell, or the file and line, in which it is defined."""
        return self._registration.where

    @property
    def captures(self) -> CaptureReport | None:
        """Which globals travel with the code, and which cannot; None before the task was registered or triggered."""
        return self._registration.report

    @property
    def hooks(self) -> HookSet:
        """Its hooks as they are now: those for all tasks of this process, and its own."""
        return self._registration.hook_set()

    def _point(self, kind: Kind) -> HookPoint:
        return HookPoint(kind, self._registration.hooks, self._hooks_changed)

    def _hooks_changed(self) -> None:
        announce(self)

    # ---- running ---------------------------------------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the plain function in this process; nothing is stored or retried."""
        return self.function(*args, **kwargs)

    def local(self, *args: Any, **kwargs: Any) -> R:
        """Run body and hooks here and now, in this thread, and return what the body returns; for a debugger.

            resize.local(url="a.png")

        The payload is checked and converted as in a worker. Nothing is stored, and there is one attempt: what it
        raises comes up here, after its hooks. An `async def` body gets a loop of its own, also in a notebook.
        """
        return cast(R, here.run(self, args, kwargs, NO_OPTIONS))

    def trigger(self, *args: Any, **kwargs: Any) -> RunHandle[R]:
        """Make a run; returns its handle once the engine has it on disk.

        One positional argument is the whole payload; keywords are its fields. Raises `PayloadValidationError`,
        `PayloadTooLargeError`, `TaskNotPicklableError` (a captured global cannot be sent) and
        `EngineUnavailableError`; nothing is stored then.
        """
        return self._trigger(args, kwargs, NO_OPTIONS)

    def options(self, **options: Any) -> BoundTask[R]:
        """The task with options for the runs triggered through it; docs/options.md has the table of them.

        resize.options(tags=["user_1"], max_attempts=1).trigger(url="a.png")
        """
        return BoundTask(self, run_options(**options))

    def batch_trigger(self, items: Iterable[Any]) -> BatchHandle[R]:
        """Make up to 1,000 runs in one call; each item is a payload or a `kk.Item`.

        Raises `PayloadValidationError` and its like, naming every item that does not fit the task; nothing is stored
        then. An item that is too large, or that the engine refuses, becomes a failed run: `batch.errors` has them.
        """
        return self._batch_trigger(items, NO_OPTIONS)

    def trigger_and_wait(self, *args: Any, **kwargs: Any) -> PendingResult[R]:
        """`trigger`, and the run's `Result` once it has ended: `await` it, or `.result()` in a plain task.

        Inside a task it is a durable wait. The payload is checked at the call; nothing is triggered before the await.

            thumb = await resize.trigger_and_wait(url="a.png").unwrap()
        """
        return self._trigger_and_wait(args, kwargs, NO_OPTIONS)

    def batch_trigger_and_wait(self, items: Iterable[Any]) -> Pending[list[Result[R]]]:
        """`batch_trigger`, and the `Result` of each item, in their order, once all have ended.

        results = await resize.batch_trigger_and_wait([{"url": "a.png"}, {"url": "b.png"}])
        """
        return self._batch_trigger_and_wait(items, NO_OPTIONS)

    def _trigger_and_wait(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: RunOptions) -> PendingResult[R]:
        send = self._sending(args, kwargs, options)
        return triggered_and_awaited(f"{self.id}.trigger_and_wait(…)", send)

    def _batch_trigger_and_wait(self, items: Iterable[Any], options: RunOptions) -> Pending[list[Result[R]]]:
        send = self._sending_batch(items, options)
        return batch_and_awaited(f"{self.id}.batch_trigger_and_wait(…)", send)

    def register(self) -> CaptureReport | None:
        """Tell the current engine of the task now, instead of at its first use; returns what it captures.

        Raises `DuplicateTaskError` when the id is another's.
        """
        self._registration.register(callers.current())
        return self._registration.report

    def order(self, payload: Any, options: RunOptions) -> Order:
        """One run of this task to ask for, with its payload checked."""
        return Order(self.id, encode_payload(self.id, payload, self.signature), options, self.signature)

    def empty_order(self, options: RunOptions) -> Order:
        """One run whose payload cannot be sent."""
        return Order(self.id, NULL, options, self.signature)

    def pin(self, caller: Caller) -> Pinned:
        """The task as it is now; the engine knows it, and all other tasks of this process, when this returns."""
        pinned = self._registration.pin(caller)
        tell_all(caller)
        return pinned

    def _trigger(self, args: tuple[Any, ...], kwargs: dict[str, Any], options: RunOptions) -> RunHandle[R]:
        return self._sending(args, kwargs, options)()

    def _sending(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: RunOptions
    ) -> Callable[[], RunHandle[R]]:
        """Check a run to be made; the function makes it."""
        caller = callers.current()
        order = self.order(self.signature.bind(args, kwargs), options)

        def send() -> RunHandle[R]:
            order.pinned = self.pin(caller)
            return send_one(caller, order)

        return lambda: self._once_more(caller, send)

    def _batch_trigger(self, items: Iterable[Any], options: RunOptions) -> BatchHandle[R]:
        return self._sending_batch(items, options)()

    def _sending_batch(self, items: Iterable[Any], options: RunOptions) -> Callable[[], BatchHandle[R]]:
        caller = callers.current()
        orders = numbered(
            items_of(items, options),
            lambda item: self.order(*item),
            empty=lambda item: self.empty_order(item[1]),
        )

        def send() -> BatchHandle[R]:
            pinned = self.pin(caller) if orders else LATEST
            for order in orders:
                order.pinned = pinned
            return send_batch(caller, orders)

        return lambda: self._once_more(caller, send)

    def _once_more(self, caller: Caller, send: Callable[[], T]) -> T:
        try:
            return send()
        except UnknownTaskError:
            if caller.inside_run or not self._registration.forget(caller):
                raise
        return send()  # the home was emptied since: tell the engine again

    # ---- the rest --------------------------------------------------------------------------------------------------

    def __get__(self, instance: object, owner: type | None = None) -> Task[P, R]:
        if instance is not None:
            raise TaskDefinitionError(
                f"{self.id!r} is a method, and a payload has no place for `self`. Make the task a plain function."
            )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (TaskReference, (self.id,))

    def __repr__(self) -> str:
        version = f" version {self.version}" if self.version else ""
        return f"<Task {self.id}{self.signature.text}{version}>"


class BoundTask(Generic[R]):
    """A task with options for its next runs, made by `task.options(…)`."""

    __slots__ = ("_options", "_task")

    def __init__(self, task: Task[..., R], options: RunOptions) -> None:
        self._task = task
        self._options = options

    def local(self, *args: Any, **kwargs: Any) -> R:
        """As `Task.local`; tags, metadata and the like are seen by the body, and nothing waits or is limited."""
        return cast(R, here.run(self._task, args, kwargs, self._options))

    def trigger(self, *args: Any, **kwargs: Any) -> RunHandle[R]:
        """As `Task.trigger`, with these options."""
        return self._task._trigger(args, kwargs, self._options)

    def batch_trigger(self, items: Iterable[Any]) -> BatchHandle[R]:
        """As `Task.batch_trigger`; options of a `kk.Item` go before these."""
        return self._task._batch_trigger(items, self._options)

    def trigger_and_wait(self, *args: Any, **kwargs: Any) -> PendingResult[R]:
        """As `Task.trigger_and_wait`, with these options."""
        return self._task._trigger_and_wait(args, kwargs, self._options)

    def batch_trigger_and_wait(self, items: Iterable[Any]) -> Pending[list[Result[R]]]:
        """As `Task.batch_trigger_and_wait`; options of a `kk.Item` go before these."""
        return self._task._batch_trigger_and_wait(items, self._options)

    def options(self, **options: Any) -> BoundTask[R]:
        """With further options, which go before these."""
        return BoundTask(self._task, self._options.merged(run_options(**options)))

    def __repr__(self) -> str:
        return f"<{self._task!r} with {self._options!r}>"


def _refuse_needy(task_id: str, signature: Signature) -> None:
    """A schedule gives the fields of `kk.ScheduledPayload`; a task that needs another would fail at every slot."""
    needed = [name for name, field in signature.fields.items() if field.default is field.empty and name not in FIELDS]
    if needed and not signature.whole:
        raise TaskDefinitionError(
            f"{task_id!r} cannot have cron=: it needs {', '.join(map(repr, needed))}, which a schedule does not give. "
            "Give each a default, or take `payload: kk.ScheduledPayload`, or no payload at all.",
            parameter=needed[0],
        )


def announce(task: Task[..., Any]) -> None:
    """Tell those who asked for it (`on_definition`) of a task, or of its new hook."""
    for told in _defined:
        told(task)


def on_definition(told: Callable[[Task[..., Any]], None]) -> Callable[[], None]:
    """Call `told` with each task that `@kk.task` makes from now on, and again when it gets a hook; returns the function
    that ends it."""
    _defined.append(told)
    return lambda: _defined.remove(told) if told in _defined else None
