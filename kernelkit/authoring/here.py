"""`task.local(…)`: one attempt of a task in this process, here and now, for a debugger.

`authoring` runs nothing itself. Whoever can run an attempt says so here, as callers do in `caller.py`; it is opened at
the first use, since a process that only triggers tasks has no need of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from kernelkit.authoring.scope import scope
from kernelkit.errors import KernelKitError

if TYPE_CHECKING:
    from kernelkit.authoring.run_options import RunOptions
    from kernelkit.authoring.task import Task

Run = Callable[["Task[..., Any]", tuple[Any, ...], Mapping[str, Any], "RunOptions"], Any]

_opener: Callable[[], Run] | None = None


def install(opener: Callable[[], Run]) -> None:
    """Say where attempts are run; `opener` is asked at each use."""
    global _opener
    _opener = opener


def run(task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: RunOptions) -> Any:
    """What the body of `task` returns; raises what the attempt ended with."""
    if scope.get() is not None:
        refuse(task.id)
    if _opener is None:
        raise KernelKitError("Nothing here can run a task. Use `import kernelkit as kk` and the names under kk.")
    return _opener()(task, args, kwargs, options)


def refuse(task_id: str) -> NoReturn:
    """Inside a run only the ids of other tasks are known."""
    raise KernelKitError(
        f"{task_id}.local(…) was called inside a run. It is for a notebook or a debugger; inside a task, trigger "
        f"{task_id}, or put what both need into a plain function that both call."
    )
