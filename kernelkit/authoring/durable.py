"""Waits that survive the worker: how everything a task author touches asks for one.

A `DurableWait` says what is waited for and under which key; whoever runs the attempt (`execution/waiting.py`) carries
it out through the protocol `Waits`, found on the attempt's scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Generic, Literal, Protocol, TypeVar

from kernelkit.authoring.scope import Scope, current_scope
from kernelkit.clock import MICROS
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import KernelKitError, UnknownRunError
from kernelkit.models.error import Error
from kernelkit.models.run import Run, RunStatus
from kernelkit.models.wait import Wait, WaitType
from kernelkit.wire.messages import OpenWait, ReplyBody, ReportBody, RequestBody, WaitResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """What a run waits for, as the hooks `on_wait` and `on_resume` are told of it: the parameter `wait`.

    `type` is duration (with `date`), token (`token`, its id or name), task (`run_id`), batch (`batch_id`,
    `run_count`) or stream (`stream`, its name).
    """

    type: WaitType
    date: datetime | None = None
    token: str | None = None
    run_id: str | None = None
    batch_id: str | None = None
    run_count: int | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class DurableWait(Generic[T]):
    """One wait to open. `name` and `key` make its op key, so they are the same when the body is called again.

    `answer` makes of its result what the code that waits is given.
    """

    told: str  # in words, for messages
    name: str
    key: str
    info: WaitInfo
    wait: Wait
    answer: Callable[[WaitResult], T]
    new_id: str = ""
    idempotency_key: str = ""
    key_ttl: float = 0.0

    def opened(self, op: str) -> OpenWait:
        return OpenWait(op, self.wait, self.new_id, self.idempotency_key, self.key_ttl)


class Waits(Protocol):
    """The durable operations of one attempt."""

    async def wait(self, asked: DurableWait[T]) -> T:
        """Wait on the attempt's loop; the run may be suspended meanwhile."""
        ...

    def wait_sync(self, asked: DurableWait[T]) -> T:
        """The same for a plain task, on its thread."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait with the slot."""
        ...

    def sleep_sync(self, seconds: float) -> None: ...

    def recall(self, op: str, told: str) -> str | None:
        """What a call of this key came to before the attempt was resumed, or None when it was not made.

        Raises `ReplayDivergedError` when another call was made in its place."""
        ...

    async def send(self, body: ReportBody) -> None:
        """Report a change and return once it is on disk; raises its refusal."""
        ...

    def send_sync(self, body: ReportBody) -> None: ...

    @property
    def is_replaying(self) -> bool:
        """Whether the body has not come back yet to where it was when its worker was lost."""
        ...

    def results(self, results: tuple[WaitResult, ...]) -> None:
        """What the engine has to say of open waits; on any thread."""
        ...

    def stop(self) -> bool:
        """The attempt is being stopped: end the wait in which its thread stands still, if it does."""
        ...

    def left_behind(self) -> KernelKitError | None:
        """What is wrong with a body that has just returned."""
        ...

    def ask_sync(self, body: RequestBody, timeout: float | None = None) -> ReplyBody:
        """Ask the engine something that changes nothing, and block until it answers; raises `TimeoutError`."""
        ...

    def refuse_here(self, told: str, *, plain: bool) -> None:
        """Raise `NotInTaskError` in hooks, in steps and on threads that are not the attempt's."""
        ...


class AroundWaits(Protocol):
    """Whoever calls the hooks around waits; an error of one is raised where the wait stands."""

    async def around(self, kind: Literal["on_wait", "on_resume"], info: WaitInfo) -> None: ...

    def around_sync(self, kind: Literal["on_wait", "on_resume"], info: WaitInfo) -> None: ...


def waited(asked: DurableWait[T]) -> Awaitable[T]:
    """Wait for it in the attempt around this code; raises `NotInTaskError`."""
    return current_scope(asked.told).waits.wait(asked)


def waited_sync(asked: DurableWait[T]) -> T:
    """The same on the thread of a plain task."""
    return current_scope(asked.told).waits.wait_sync(asked)


def moment_in(scope: Scope, seconds: float) -> int:
    return scope.now() + round(seconds * MICROS)


def runs_wait(
    run_ids: tuple[str, ...],
    kind: Literal["task", "batch"],
    key: str,
    *,
    shown: str = "",
    batch_id: str = "",
    timeout: Duration | None = None,
) -> DurableWait[list[Run]]:
    """A wait for the ends of runs, which are its answer, in order; it raises `TimeoutError`, and `UnknownRunError` for
    one that is not kept.

    `key` tells it from others of its kind, also when the body is called again.
    """
    scope = current_scope("Waiting for a run")
    until = 0 if timeout is None else moment_in(scope, to_seconds(timeout, field="timeout"))
    if kind == "task":
        info = WaitInfo("task", run_id=run_ids[0])
    else:
        info = WaitInfo("batch", batch_id=batch_id, run_count=len(run_ids))
    wait = Wait(kind, until, runs=run_ids, batch=batch_id, shown=shown)
    return DurableWait(_told(wait), f"{kind} {shown}".rstrip(), key, info, wait, partial(_ended_runs, wait))


def _told(wait: Wait) -> str:
    if wait.type == "batch":
        return f"waiting for the batch {wait.batch}"
    return f"waiting for the run {wait.runs[0]}" + (f" of {wait.shown}" if wait.shown else "")


def _ended_runs(wait: Wait, result: WaitResult) -> list[Run]:
    if result.timed_out:
        raise TimeoutError(f"{_told(wait)} took longer than its timeout. It goes on; ask again whenever you like.")
    if result.missing and wait.type == "task":
        raise UnknownRunError(f"No run {result.missing[0]!r} is kept in this home.", run_id=result.missing[0])
    if not result.missing:
        return list(result.runs)
    found = {run.id: run for run in result.runs}
    return [found.get(run_id) or _missing(run_id) for run_id in wait.runs]


def _missing(run_id: str) -> Run:
    """What stands for a run of a batch that is not kept."""
    error = Error(name=UnknownRunError.__name__, message=f"The run {run_id} is not kept.", code=UnknownRunError.code)
    return Run(
        id=run_id, task_id="", status=RunStatus.SYSTEM_FAILURE, error=error, created_at=datetime.now(UTC), queue=""
    )
