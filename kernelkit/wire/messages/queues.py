"""Messages about queues."""

from __future__ import annotations

from kernelkit.models.queue import QueueInfo
from kernelkit.wire.messages.message import Message


class ListQueues(Message, frozen=True):
    """→ `QueueList`: every queue that a task uses, that was made by a trigger, or that has runs."""


class QueueList(Message, frozen=True):
    queues: tuple[QueueInfo, ...]
    paused: bool = False  # the whole project


class RetrieveQueue(Message, frozen=True):
    """→ `QueueReply`."""

    name: str


class PauseQueue(Message, frozen=True):
    """→ `QueueReply`; `paused` False resumes it. Where `name` is "" the whole project, → `QueueList`."""

    name: str
    paused: bool


class OverrideQueue(Message, frozen=True):
    """→ `QueueReply`. `limit` holds in place of the queue's own; None: its own again."""

    name: str
    limit: int | None


class QueueReply(Message, frozen=True):
    queue: QueueInfo
