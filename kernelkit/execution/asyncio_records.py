"""What asyncio knows of an attempt's tasks: which there are, whether one goes on, and whose end can make it.

What a newcomer would get wrong: none of it has a public name, so that only this room looks; and what cannot be told
apart counts as waiting for something else, which only means that an attempt keeps its slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from kernelkit.authoring.scope import Scope
from kernelkit.authoring.scope import scope as current

if TYPE_CHECKING:
    from collections.abc import Coroutine


def follow_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task that an attempt's code starts on this loop known to its scope."""
    loop.set_task_factory(cast(Any, _task))  # typeshed knows factories by their keywords


def _task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    made = asyncio.Task(coro, loop=loop, **options)
    found = current.get()
    if found is not None:
        found.follow(made)
    return made


def is_moving(task: asyncio.Task[Any]) -> bool:
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # what a task awaits has no public name
    return waiter is None or bool(waiter.done())


def wait_only_for(tasks: list[asyncio.Task[Any]], ours: set[Any]) -> bool:
    """Whether nothing but `ours` and these tasks themselves can set one of the tasks going again."""
    waiters = []
    for task in tasks:
        waiter = task._fut_waiter  # type: ignore[attr-defined]  # as above
        if waiter is None or waiter.done():
            return False
        waiters.append(waiter)
    ours = ours.union(tasks)
    return all(_comes_from(waiter, ours, tasks) for waiter in waiters)


def has_timer(loop: asyncio.AbstractEventLoop, scope: Scope) -> bool:
    """Whether code of this scope has something called at a moment."""
    for handle in getattr(loop, "_scheduled", ()):
        if not handle.cancelled() and handle._context.get(current) is scope:
            return True
    return False


def _comes_from(waiter: Any, ours: set[Any], tasks: list[asyncio.Task[Any]]) -> bool:
    """Whether only `ours` can end what is awaited: it is one of them, gathers them, or is told by them."""
    if waiter in ours:
        return True
    gathered = getattr(waiter, "_children", None)  # asyncio.gather
    if gathered is not None:
        return all(each.done() or _comes_from(each, ours, tasks) for each in gathered)
    return any(_tells(callback, waiter) for task in tasks for callback, _ in (task._callbacks or ()))


def _tells(callback: Callable[..., Any], waiter: Any) -> bool:
    """Whether a task's end is told to `waiter`: by `asyncio.TaskGroup`, `wait`, `as_completed` or `shield`."""
    if getattr(getattr(callback, "__self__", None), "_on_completed_fut", None) is waiter:
        return True
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            found = cell.cell_contents
        except ValueError:
            continue
        if found is waiter or waiter in (getattr(found, "_getters", None) or ()):
            return True
    return False
