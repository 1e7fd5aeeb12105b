"""Messages about tasks: what one is, said when it is defined, and which there are."""

from __future__ import annotations

import msgspec

from kernelkit.models.task import TaskSpec
from kernelkit.wire.messages.message import Message


class DefineTask(Message, frozen=True):
    """→ `Defined`."""

    spec: TaskSpec
    replace: bool = False


class Defined(Message, frozen=True):
    task_id: str
    version: str
    is_new: bool
    notice: str = ""  # e.g. that the id was taken over from another notebook


class ListTasks(Message, frozen=True):
    """→ `TaskList`."""


class TaskInfo(msgspec.Struct, frozen=True):
    spec: TaskSpec
    version: str
    versions: tuple[str, ...]


class TaskList(Message, frozen=True):
    tasks: tuple[TaskInfo, ...]
