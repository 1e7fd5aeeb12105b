"""`@kk.task`: makes a `Task` of a function, and says which options there are.

The overloads are what an editor shows and what a type checker holds a call to; what they name is checked in
`options.py` and `hooks.py`, the same for `%%task` cells and `kk.schedules.task`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from kernelkit.authoring.defaults import with_defaults
from kernelkit.authoring.hooks import taken_from
from kernelkit.authoring.options import NoTimeout, Queue, Retry, task_options
from kernelkit.authoring.task import Task, announce
from kernelkit.durations import Duration
from kernelkit.models.schedule import CatchUp, Overlap
from kernelkit.models.task import Isolation, LogLevel

P = ParamSpec("P")
T = TypeVar("T")


class Decorator(Protocol):
    """`@kk.task(…)`: a function in, a `Task` out."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Task[P, T]: ...


@overload
def task(function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T]: ...
@overload
def task(function: Callable[P, T], /) -> Task[P, T]: ...
@overload
def task(
    *,
    id: str | None = None,
    description: str | None = None,
    queue: str | Queue | None = None,
    concurrency_limit: int | None = None,
    rate_limit: str | None = None,
    retry: Retry | None = ...,
    retries: int | None = None,
    tags: str | Iterable[str] = (),
    isolation: Isolation | None = None,
    machine: str | None = ...,
    cron: str | None = None,
    timezone: str | None = None,
    catch_up: CatchUp | None = None,
    max_catch_up: int | None = None,
    overlap: Overlap | None = None,
    log_level: LogLevel | None = None,
    replace: bool = False,
    ttl: Duration | None = None,
    max_duration: Duration | NoTimeout | None = None,
    init: Callable[..., Any] | None = None,
    middleware: Callable[..., Any] | None = None,
    on_start: Callable[..., Any] | None = None,
    on_start_attempt: Callable[..., Any] | None = None,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
    on_complete: Callable[..., Any] | None = None,
    on_wait: Callable[..., Any] | None = None,
    on_resume: Callable[..., Any] | None = None,
    on_cancel: Callable[..., Any] | None = None,
    catch_error: Callable[..., Any] | None = None,
    cleanup: Callable[..., Any] | None = None,
) -> Decorator: ...


def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function.

        @kk.task
        async def ping() -> str:
            return "pong"

        @kk.task(queue="images", retry=kk.Retry(max_attempts=5))
        def resize(url: str, width: int = 512) -> dict: ...

    Options: `id` (else the function's name with `_` as `-`), `description`, `queue` (a name or `kk.Queue`),
    `concurrency_limit` and `rate_limit` (of that queue: 5, and "100/m"), `retry` (a `kk.Retry`; None means one
    attempt), `retries` (how many attempts), `tags` (of runs that give none), `isolation` ("process" or "shared"),
    `machine` (a preset such as "large-1x": a process of its own with so much memory and so many threads; None for no
    cap), `log_level` (the lowest of `kk.logger` that is kept), `replace` (take the id over), `ttl` (how long a run may
    wait for its first start),
    `max_duration` (how long an attempt may take; `kk.NO_TIMEOUT`), and a function for each kind of hook (`on_start`,
    `catch_error`, …), as with the decorators of the task. What is left out comes from `kk.configure` and from
    `[tool.kernelkit]` in pyproject.toml. `cron`, `timezone`, `catch_up`, `max_catch_up` and `overlap` start the task by
    the clock: see `kk.schedules.task`.
    Raises `InvalidOptionError` for others, and `TaskDefinitionError` for a function that cannot be a task.
    """
    if function is not None:
        return _define(function, options)
    task_options("_", with_defaults({"id": "checked-at-once", **taken_from(options)[0]}))
    return lambda function: _define(function, options)


def _define(function: Callable[..., Any], options: Mapping[str, Any]) -> Task[..., Any]:
    made: Task[..., Any] = Task(function, options)
    announce(made)
    return made
