"""`kk.tasks`: the tasks of a project by their ids, from any of its processes."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.batchhandle import BatchHandle
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.handle import RunHandle
from kernelkit.authoring.hooks import Hooked, HookPoint, Kind, global_registry
from kernelkit.authoring.pending import Pending, PendingResult
from kernelkit.authoring.reference import TaskReference
from kernelkit.authoring.registration import tell_all
from kernelkit.authoring.result import Result
from kernelkit.authoring.run_options import run_options
from kernelkit.wire.messages import ListTasks, TaskInfo, TaskList


class TaskTable(display.Shown, Sequence[TaskInfo]):
    """The project's tasks, each with `spec`, `version` and `versions`."""

    __slots__ = ("_tasks",)

    def __init__(self, tasks: Sequence[TaskInfo]) -> None:
        self._tasks = tuple(tasks)

    @overload
    def __getitem__(self, index: int) -> TaskInfo: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TaskInfo, ...]: ...
    def __getitem__(self, index: int | slice) -> TaskInfo | tuple[TaskInfo, ...]:
        return self._tasks[index]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[TaskInfo]:
        return iter(self._tasks)

    def __repr__(self) -> str:
        if not self._tasks:
            return "No tasks are defined in this project."
        width = max(len(task.spec.id) for task in self._tasks)
        return "\n".join(f"{task.spec.id:<{width}}  {task.version}  {task.spec.where}" for task in self._tasks)


class Tasks(Hooked):
    """The tasks of the project, and the hooks of all those that this process defines.

    kk.tasks.trigger("resize", {"url": "a.png"}, tags=["user_1"])
    kk.tasks.list()

    @kk.tasks.on_start
    def log(ctx): ...
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def _current(self) -> Caller:
        return self._caller or callers.current()

    def trigger(self, id: str, payload: Any = None, **options: Any) -> RunHandle[Any]:
        """Make a run of the task's latest code; returns its handle once the engine has it on disk.

        The payload is stored as it is and checked by the worker: one that does not fit makes a FAILED run. Raises
        `UnknownTaskError` with near matches, and `InvalidOptionError`.
        """
        with callers.use(self._current()):
            return TaskReference(id, run_options(**options)).trigger(payload)

    def batch_trigger(self, id: str, items: Iterable[Any], **options: Any) -> BatchHandle[Any]:
        """Make up to 1,000 runs in one call; each item is a payload or a `kk.Item`.

        `batch.errors` tells of items that could not be triggered; if none could, that is raised.
        """
        with callers.use(self._current()):
            return TaskReference(id, run_options(**options)).batch_trigger(items)

    def trigger_and_wait(self, id: str, payload: Any = None, **options: Any) -> PendingResult[Any]:
        """`trigger`, and the run's `Result` once it has ended: `await` it, or `.result()` in a plain task."""
        with callers.use(self._current()):
            return TaskReference(id, run_options(**options)).trigger_and_wait(payload)

    def batch_trigger_and_wait(
        self, id: str, items: Iterable[Any], **options: Any
    ) -> Pending[builtins.list[Result[Any]]]:
        """`batch_trigger`, and the `Result` of each item, in their order, once all have ended."""
        with callers.use(self._current()):
            return TaskReference(id, run_options(**options)).batch_trigger_and_wait(items)

    def list(self) -> TaskTable:
        """Every task of the project, by id, with its versions."""
        caller = self._current()
        tell_all(caller)
        reply = caller.call(ListTasks())
        assert isinstance(reply, TaskList)
        return TaskTable(sorted(reply.tasks, key=lambda task: task.spec.id))

    def _point(self, kind: Kind) -> HookPoint:
        return HookPoint(kind, global_registry())

    def __repr__(self) -> str:
        return "<kk.tasks: list(), trigger(id, payload), batch_trigger(id, items)>"


tasks = Tasks()
