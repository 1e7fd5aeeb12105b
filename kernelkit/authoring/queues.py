"""`kk.queues`: who may run when, looked at and changed while the project works.

A queue is named as in `queue=`; a task's own is `task/<id>`, and a `Task` or `kk.Queue` object will do as well. What is
set here is kept by the engine: it survives restarts and redefinitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.options import Queue, check_limit
from kernelkit.authoring.registration import tell_all
from kernelkit.authoring.task import Task
from kernelkit.errors import InvalidOptionError
from kernelkit.models.queue import QueueInfo
from kernelkit.rules.limits import MAX_CONCURRENCY
from kernelkit.wire.messages import (
    ListQueues,
    OverrideQueue,
    PauseQueue,
    QueueList,
    QueueReply,
    RequestBody,
    RetrieveQueue,
)


class QueueTable(display.Shown, Sequence[QueueInfo]):
    """The project's queues by name, each a `QueueInfo`; `paused` when the whole project is."""

    __slots__ = ("_queues", "paused")

    def __init__(self, queues: Sequence[QueueInfo], *, paused: bool) -> None:
        self._queues = tuple(queues)
        self.paused = paused

    @overload
    def __getitem__(self, index: int) -> QueueInfo: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[QueueInfo, ...]: ...
    def __getitem__(self, index: int | slice) -> QueueInfo | tuple[QueueInfo, ...]:
        return self._queues[index]

    def __len__(self) -> int:
        return len(self._queues)

    def __iter__(self) -> Iterator[QueueInfo]:
        return iter(self._queues)

    def __repr__(self) -> str:
        head = ["The project is paused: no run starts."] if self.paused else []
        if not self._queues:
            return "\n".join([*head, "No queues so far: every task brings one of its own."])
        width = max(len(queue.name) for queue in self._queues)
        return "\n".join([*head, *(f"{queue.name:<{width}}  {told(queue)}" for queue in self._queues)])


def told(queue: QueueInfo) -> str:
    """What a queue does, in one line.

    >>> told(QueueInfo(name="images", type="custom", queued=3, paused=True))
    '0 running, 3 queued, paused'
    """
    limit = queue.concurrency
    of = f", {limit.current} a key" if queue.key_count > 1 else f" of {limit.current}"
    parts = [f"{queue.running} running" + ("" if limit.current is None else of)]
    parts.append(f"{queue.queued:,} queued")
    if queue.paused:
        parts.append("paused")
    if limit.override is not None:
        parts.append(f"limit overridden, was {'none' if limit.base is None else limit.base}")
    if queue.rate_limit:
        parts.append(f"at most {queue.rate_limit}")
    if queue.key_count > 1:
        parts.append(f"{queue.key_count:,} keys")
    return ", ".join(parts)


class Queues(display.Shown):
    """The queues of the project.

    kk.queues.list()
    kk.queues.pause("images")
    kk.queues.set_concurrency("images", 2)
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def list(self) -> QueueTable:
        """Every queue that a task uses, that a trigger has made, or that has runs in it, by name."""
        return self._all(ListQueues())

    def retrieve(self, queue: str | Queue | Task[..., Any]) -> QueueInfo:
        """The queue as it is now; raises `UnknownQueueError` with near matches."""
        return self._one(RetrieveQueue(_name(queue)))

    def pause(self, queue: str | Queue | Task[..., Any]) -> QueueInfo:
        """Start none of its runs until `resume`; those that execute go on, and triggers still queue runs."""
        return self._one(PauseQueue(_name(queue), paused=True))

    def resume(self, queue: str | Queue | Task[..., Any]) -> QueueInfo:
        """Start its runs again, within its limits."""
        return self._one(PauseQueue(_name(queue), paused=False))

    def pause_all(self) -> QueueTable:
        """Pause the whole project: no run of any queue starts until `resume_all`."""
        return self._all(PauseQueue("", paused=True))

    def resume_all(self) -> QueueTable:
        """End `pause_all`; queues that were paused by themselves stay paused."""
        return self._all(PauseQueue("", paused=False))

    def set_concurrency(self, queue: str | Queue | Task[..., Any], limit: int) -> QueueInfo:
        """Have `limit` hold in place of the limit of its definition, until `reset_concurrency`; 0 stops the queue.

        Raises `InvalidOptionError` for a limit over that of the project.
        """
        if check_limit(limit) is None:
            raise InvalidOptionError(
                f"limit={limit!r} is not a whole number from 0 to {MAX_CONCURRENCY:,}. "
                "kk.queues.reset_concurrency(name) brings the queue's own limit back.",
                field="limit",
            )
        return self._one(OverrideQueue(_name(queue), limit))

    def reset_concurrency(self, queue: str | Queue | Task[..., Any]) -> QueueInfo:
        """Have the limit of its definition hold again; raises `InvalidOptionError` when it was not overridden."""
        return self._one(OverrideQueue(_name(queue), None))

    def _one(self, body: RequestBody) -> QueueInfo:
        reply = self._call(body)
        assert isinstance(reply, QueueReply)
        return reply.queue

    def _all(self, body: RequestBody) -> QueueTable:
        reply = self._call(body)
        assert isinstance(reply, QueueList)
        return QueueTable(reply.queues, paused=reply.paused)

    def _call(self, body: RequestBody) -> object:
        caller = self._caller or callers.current()
        tell_all(caller)
        return caller.call(body)

    def __repr__(self) -> str:
        try:
            return repr(self.list())
        except Exception as problem:  # a repr must not fail: without an engine it says so
            return f"<kk.queues: {problem}>"


def _name(queue: object) -> str:
    if isinstance(queue, str) and queue:
        return queue
    if isinstance(queue, Queue):
        return queue.name
    if isinstance(queue, Task):
        return queue.queue
    raise InvalidOptionError(
        f"{queue!r} is no queue. Give its name, such as 'images' or 'task/resize', a kk.Queue or a Task.", field="queue"
    )


queues = Queues()
