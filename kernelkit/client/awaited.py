"""The verbs of a client, awaited: `client.runs.list(…)` of an `AsyncClient` is that of a `Client`, on a thread.

There is one implementation of each verb, the plain one; here they only get an `await`, with the same parameters and
result. What a newcomer would get wrong: a verb that is missing here is not forgotten by hand, a test compares the two.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from kernelkit.authoring.batch import Batch
from kernelkit.authoring.idempotency import IdempotencyKeys
from kernelkit.authoring.queues import Queues
from kernelkit.authoring.runs import Runs
from kernelkit.authoring.schedules import Schedules
from kernelkit.authoring.streams import Streams
from kernelkit.authoring.tasks import Tasks
from kernelkit.authoring.tokens import Tokens
from kernelkit.client.engine import EngineControl

P = ParamSpec("P")
T = TypeVar("T")


def awaited(verb: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same verb as a coroutine function: it waits on a thread."""

    @functools.wraps(verb)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(verb, *args, **kwargs)

    return call


class AwaitedRuns:
    """`kk.runs`, awaited."""

    def __init__(self, plain: Runs) -> None:
        self.list = awaited(plain.list)
        self.retrieve = awaited(plain.retrieve)
        self.subscribe = awaited(plain.subscribe)
        self.artifacts = awaited(plain.artifacts)
        self.tree = awaited(plain.tree)
        self.timeline = awaited(plain.timeline)
        self.cancel = awaited(plain.cancel)
        self.replay = awaited(plain.replay)
        self.reschedule = awaited(plain.reschedule)
        self.retry_now = awaited(plain.retry_now)
        self.cancel_all = awaited(plain.cancel_all)
        self.replay_all = awaited(plain.replay_all)
        self.bulk = awaited(plain.bulk)


class AwaitedTasks:
    """`kk.tasks`, awaited: the verbs. Hooks for all tasks are registered with `kk.tasks`."""

    def __init__(self, plain: Tasks) -> None:
        self.list = awaited(plain.list)
        self.trigger = awaited(plain.trigger)
        self.batch_trigger = awaited(plain.batch_trigger)


class AwaitedBatch:
    """`kk.batch`, awaited."""

    def __init__(self, plain: Batch) -> None:
        self.trigger = awaited(plain.trigger)
        self.retrieve = awaited(plain.retrieve)


class AwaitedQueues:
    """`kk.queues`, awaited."""

    def __init__(self, plain: Queues) -> None:
        self.list = awaited(plain.list)
        self.retrieve = awaited(plain.retrieve)
        self.pause = awaited(plain.pause)
        self.resume = awaited(plain.resume)
        self.pause_all = awaited(plain.pause_all)
        self.resume_all = awaited(plain.resume_all)
        self.set_concurrency = awaited(plain.set_concurrency)
        self.reset_concurrency = awaited(plain.reset_concurrency)


class AwaitedSchedules:
    """`kk.schedules`, awaited; `preview` and `timezones` need no engine, and stand there alone."""

    def __init__(self, plain: Schedules) -> None:
        self.create = awaited(plain.create)
        self.list = awaited(plain.list)
        self.retrieve = awaited(plain.retrieve)
        self.update = awaited(plain.update)
        self.activate = awaited(plain.activate)
        self.deactivate = awaited(plain.deactivate)
        self.delete = awaited(plain.delete)
        self.run_now = awaited(plain.run_now)


class AwaitedTokens:
    """`kk.tokens`, awaited."""

    def __init__(self, plain: Tokens) -> None:
        self.create = awaited(plain.create)
        self.complete = awaited(plain.complete)
        self.retrieve = awaited(plain.retrieve)
        self.list = awaited(plain.list)


class AwaitedStreams:
    """`kk.streams`, awaited; what defines a stream or is gone through one by one stands there alone."""

    def __init__(self, plain: Streams) -> None:
        self.append = awaited(plain.append)
        self.list = awaited(plain.list)


class AwaitedKeys:
    """`kk.idempotency_keys`, awaited; `create` needs no engine, and stands there alone."""

    def __init__(self, plain: IdempotencyKeys) -> None:
        self.reset = awaited(plain.reset)


class AwaitedEngine:
    """`kk.engine`, awaited."""

    def __init__(self, plain: EngineControl) -> None:
        self.status = awaited(plain.status)
        self.start = awaited(plain.start)
        self.stop = awaited(plain.stop)
        self.restart = awaited(plain.restart)
        self.logs = awaited(plain.logs)
