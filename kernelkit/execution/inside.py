"""The `Caller` for code inside a run: its calls are reports of the attempt.

A trigger returns at once with the ids its caller made; the engine stores it, in order, before the attempt's end can
be. What a newcomer would get wrong: a refusal therefore comes later, at the run's next call, or as its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NoReturn

from msgspec.structs import replace

from kernelkit.authoring.caller import Heard
from kernelkit.authoring.scope import Scope, current_scope, unrepeated
from kernelkit.config import Home
from kernelkit.errors import KernelKitError
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.models.task import Owner
from kernelkit.models.wait import Token
from kernelkit.wire.messages import (
    AbortBulk,
    BatchPart,
    BatchSeal,
    Cancel,
    ChildTrigger,
    CompleteToken,
    DeleteSchedule,
    Done,
    GetBulk,
    GetLogs,
    GetSchedule,
    GetSpans,
    GetStatus,
    ListQueues,
    ListRuns,
    ListSchedules,
    ListStreams,
    ListTasks,
    ListTokens,
    MakeToken,
    OverrideQueue,
    PauseQueue,
    ReadStream,
    Replay,
    ReplyBody,
    RequestBody,
    Reschedule,
    ResetKey,
    Retrieve,
    RetrieveBatch,
    RetrieveQueue,
    RetrieveToken,
    RetryNow,
    RunChanged,
    RunSchedule,
    SaveSchedule,
    Sql,
    StartBulk,
    SummarizeRuns,
    SwitchSchedule,
    TokenReply,
    Trigger,
    Triggered,
    TriggerItem,
)

_READS = (
    GetBulk
    | GetLogs
    | GetSchedule
    | GetSpans
    | GetStatus
    | ListQueues
    | ListRuns
    | ListSchedules
    | ListStreams
    | ListTasks
    | ListTokens
    | ReadStream
    | Retrieve
    | RetrieveBatch
    | RetrieveQueue
    | RetrieveToken
    | Sql
    | SummarizeRuns
)
"""What changes nothing, and is asked as a client asks it."""
_SETS = (
    AbortBulk
    | Cancel
    | DeleteSchedule
    | OverrideQueue
    | PauseQueue
    | Reschedule
    | RetryNow
    | SaveSchedule
    | SwitchSchedule
)
"""What may be asked again without harm, as it is when a resumed body comes to it once more."""
_ONCE = Replay | RunSchedule | StartBulk
"""What makes something new each time: inside a step, whose result is kept."""


class InsideCaller:
    """One for a whole process: it finds the attempt it speaks for through the context."""

    inside_run = True

    def __init__(self, home: Home, owner: Owner) -> None:
        self._home = home
        self._owner = owner
        self._parts: dict[str, list[TriggerItem]] = {}

    @property
    def home(self) -> Home:
        return self._home

    @property
    def owner(self) -> Owner:
        return self._owner

    def call(self, body: RequestBody) -> ReplyBody:
        """Report what the attempt around this code does, or ask the engine for it; the rest is refused with words."""
        match body:
            case Trigger(items=items, batch_id=batch_id):
                return _trigger(items, batch_id)
            case BatchPart(batch_id=batch_id, items=items):
                self._parts.setdefault(batch_id, []).extend(items)
                return Done()
            case BatchSeal(batch_id=batch_id):
                return _trigger(tuple(self._parts.pop(batch_id, ())), batch_id)
            case ResetKey(task_id=task_id, hash=hash):
                scope = current_scope("kk.idempotency_keys.reset")
                scope.send(replace(body, asked="", op=scope.op("reset", task_id, hash)))
                return Done()
            case MakeToken():
                return _make_token(body)
            case CompleteToken():
                return _complete_token(body)
            case _ if isinstance(body, _READS | _SETS | _ONCE):
                scope = current_scope("Asking the engine in a worker")
                if isinstance(body, _ONCE) and not unrepeated.get():
                    _only_in_a_step(body)
                return scope.waits.ask_sync(body)
            case _:
                _refuse(f"{type(body).__name__} is")

    def submit(self, body: RequestBody) -> Future[ReplyBody]:
        scope = current_scope("Asking the engine in a worker")
        if not isinstance(body, _READS) or scope.line.ask is None:
            _refuse(f"{type(body).__name__} is")
        return scope.line.ask(body)

    def outcome(self, run_id: str) -> Future[Run]:
        raise AssertionError("handles wait durably inside a run")

    def outcomes(self, run_ids: Sequence[str]) -> Future[list[Run]]:
        raise AssertionError("handles wait durably inside a run")

    def watch(self, run_id: str, changed: Callable[[RunChanged], None]) -> Callable[[], None]:
        current_scope("Watching a run")
        _refuse(f"Watching the run {run_id} is")

    def subscribe(self, where: RunFilter, heard: Heard) -> Callable[[], None]:
        current_scope("Subscribing to runs")
        _refuse("Subscribing to runs is")


def _trigger(items: tuple[TriggerItem, ...], batch_id: str) -> Triggered:
    scope = current_scope("Triggering a task in a worker")
    # Ids are new at each call, so they are no part of what makes two calls the same.
    told = "\n".join(
        f"{each.task_id} {each.payload.text} {each.tags} {each.max_attempts} {each.key and each.key.hash}"
        for each in items
    )
    name = "batch" if batch_id else items[0].task_id if items else ""
    op = scope.op("trigger", name, told)
    known = _recall(scope, op, f"a trigger of {name}")
    if known is not None:
        batch, *made = known.split(",")
        return Triggered(run_ids=tuple(made), batch_id=batch)
    number = scope.send(ChildTrigger(items=items, op=op, batch_id=batch_id))
    for each in items:
        if each.key is not None or each.debounce is not None:
            if scope.carried is None:
                scope.carried = {}
            scope.carried[each.run_id] = number
    return Triggered(run_ids=tuple(each.run_id for each in items))


def _make_token(body: MakeToken) -> TokenReply:
    scope = current_scope("Making a token in a worker")
    told = f"{body.tags} {body.timeout_s} {body.timeout_at} {body.key}"  # what it asks is only words
    op = scope.op("token", "", told)
    known = _recall(scope, op, "kk.tokens.create(…)")
    if known is None:
        scope.send(replace(body, op=op))
    return TokenReply(Token(known or body.token_id, scope.now(), tags=body.tags))


def _complete_token(body: CompleteToken) -> TokenReply:
    scope = current_scope("Completing a token in a worker")
    op = scope.op("complete", body.token, body.value.text or "")
    if _recall(scope, op, f"kk.tokens.complete({body.token!r}, …)") is None:
        scope.send(replace(body, op=op))
    return TokenReply(Token(body.token, scope.now()))


def _recall(scope: Scope, op: str, told: str) -> str | None:
    return None if scope.start.replay is None else scope.waits.recall(op, told)


def _only_in_a_step(body: RequestBody) -> NoReturn:
    raise KernelKitError(
        f"{type(body).__name__} inside a run makes something new each time, and a run that is resumed calls it again. "
        'Put it into a step, whose result is kept: await kk.step("again", again), where `again` calls it and returns '
        "the id."
    )


def _refuse(what: str) -> NoReturn:
    raise KernelKitError(
        f"{what} not available inside a running task yet. Trigger other tasks from it, let it end, and look at their "
        "runs from the notebook."
    )
