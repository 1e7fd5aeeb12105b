"""One attempt of a task that has hooks, in order.

    middleware, global ones outermost              around everything below
      init, on_start (first attempt), on_start_attempt
      the body                                     on_cancel beside it, when the run is canceled
      on_success, on_complete                      or catch_error and, if there is no further attempt,
                                                   on_failure, on_complete
      cleanup

Global hooks go before the task's own, but after them for catch_error. What a newcomer would get wrong: `next()` does
not raise when the body failed, so what stands behind it in a middleware runs either way. An error of a middleware or of
cleanup is the attempt's, unless the attempt has failed already; then it goes to the log, as those of on_success,
on_failure and on_complete do.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from kernelkit import jsonvalues
from kernelkit.authoring.durable import WaitInfo
from kernelkit.authoring.hooks import Hook, Kind
from kernelkit.authoring.result import Result
from kernelkit.authoring.scope import Scope, marked, no_waits, unrepeated
from kernelkit.clock import to_datetime
from kernelkit.errors import KernelKitError, NeverAwaitedError
from kernelkit.execution.body import Arguments, BodyInterrupted, Ended
from kernelkit.execution.calls import Calls, LoopCalls, ThreadCalls
from kernelkit.execution.ends import Outcome, as_error, encoded, failed, flush, refusal_of, stopped, succeeded
from kernelkit.execution.middleware import Next
from kernelkit.execution.on_cancel import OnCancel
from kernelkit.execution.verdict import judge
from kernelkit.execution.waiting import left_behind
from kernelkit.models.error import Error
from kernelkit.models.run import Run, RunStatus
from kernelkit.models.value import Value
from kernelkit.wire.messages import Failed

if TYPE_CHECKING:
    from kernelkit.execution.runner import Loaded


async def run_hooked(loaded: Loaded, scope: Scope, arguments: Arguments) -> Outcome:
    """Run an `async def` task and its hooks on this loop."""
    return await Lifecycle(loaded, scope, arguments, LoopCalls(scope)).run()


def run_hooked_plain(loaded: Loaded, scope: Scope, arguments: Arguments) -> Outcome:
    """Run a `def` task and its hooks on this thread."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        calls = ThreadCalls(scope, runner.get_loop())
        outcome = calls.drive(Lifecycle(loaded, scope, arguments, calls).run())
        if scope.rest is not None:  # some of it may have begun on this loop, which ends here
            with contextlib.suppress(BodyInterrupted):  # the attempt is being stopped, and has ended what it could
                calls.drive(scope.rest.finish())
        return outcome


class Lifecycle:
    """The hooks of one attempt, and where it stands."""

    def __init__(self, loaded: Loaded, scope: Scope, arguments: Arguments, calls: Calls) -> None:
        self._loaded = loaded
        self._scope = scope
        self._arguments = arguments
        self._calls = calls
        self._offered: dict[str, Any] = {
            "ctx": scope.context,
            "payload": _payload(loaded, arguments),
            "task": loaded.task_id,
            "signal": scope.signal,
            "init": {},
        }
        self._payload = scope.start.payload
        self._has_init = False
        self._outcome: Outcome | None = None
        self._cleaned = False
        self._on_cancel = OnCancel(loaded.hooks.of("on_cancel"), scope, calls, self._offered, self._log)

    async def run(self) -> Outcome:
        if self._loaded.hooks.of("on_wait") or self._loaded.hooks.of("on_resume"):
            self._scope.around_waits = self
        self._on_cancel.begin()
        try:
            await self._through(self._loaded.hooks.of("middleware"))
            if not self._cleaned:  # a middleware failed before the rest began
                await self._clean_up()
        finally:
            await self._on_cancel.end()
        flush(self._scope)
        if self._outcome is None or self._scope.stopping:
            return stopped(self._scope)
        return msgspec.structs.replace(self._outcome, finished_at=self._scope.now())

    # ---- the order ---------------------------------------------------------------------------------------------------

    async def _through(self, middleware: tuple[Hook, ...]) -> None:
        if self._scope.stopping:
            return
        if not middleware:
            await self._inner()
            return
        hook, rest = middleware[0], middleware[1:]
        following = Next(hook, lambda: self._through(rest), self._calls.finish)
        _, error = await self._call(hook, {"next": following}, stoppable=True)
        error = error or following.misuse()
        if error is not None:
            await self._went_wrong(hook, error)

    async def _inner(self) -> None:
        scope, told = self._scope, None
        retry, value, output = True, None, Value()
        error = await self._before()
        if error is None and not scope.stopping:
            with marked(no_waits, ""):  # a middleware around it may not wait, it may
                value, error = await self._calls.body(self._loaded.function, self._with_init())
            self._on_cancel.body.told(value, error)
            if error is None and (left := left_behind(scope)) is not None:
                error, retry = left, not isinstance(left, NeverAwaitedError)
            elif error is None:
                encoding = encoded(self._loaded.signature.encode_output, value, self._loaded.task_id)
                if isinstance(encoding, Value):
                    output = encoding
                else:
                    error, retry = encoding, False
        flush(scope)
        if error is None and scope.has_open_reports:
            await scope.settled().wait()
        if error is None and scope.refusal is not None and (refusal := refusal_of(scope)) is not None:
            error, told = refusal
        if scope.stopping:
            await self._on_cancel.end()
        elif error is None:
            await self._succeed(output, value)
        else:
            await self._fail(error, retry=retry, message=told)
        await self._clean_up()

    async def _before(self) -> BaseException | None:
        kinds: tuple[Kind, ...] = ("init", "on_start", "on_start_attempt")
        for kind in kinds:
            start = self._scope.start
            if (kind == "on_start" and start.attempt > 1) or (kind != "init" and start.replay is not None):
                continue
            for hook in self._loaded.hooks.of(kind):
                if self._scope.stopping:
                    return None
                with marked(unrepeated, "" if kind == "init" else kind):
                    value, error = await self._call(hook, stoppable=True)
                if error is None and kind == "init" and value is not None:
                    error = self._take_init(hook, value)
                if error is not None:
                    return error
        return None

    async def _succeed(self, output: Value, value: Any) -> None:  # value: what the body returned
        await self._tell("on_success", output=value)
        await self._tell("on_complete", result=self._result(output, value, None))
        self._outcome = succeeded(self._scope, output)

    async def _fail(self, error: BaseException, *, retry: bool = True, message: str | None = None) -> None:
        hooks = self._loaded.hooks.of("catch_error")
        verdict = await judge(self._scope, error, hooks, self._call, retry=retry)
        self._loaded.fill_linecache()
        words = verdict.message or (message if verdict.error is error else None)
        if verdict.is_final and not verdict.crashed:
            await self._tell("on_failure", error=verdict.error)
            await self._tell("on_complete", result=self._result(None, None, as_error(verdict.error, words)))
            self._loaded.fill_linecache()  # the hooks may have waited
        flush(self._scope)
        is_decided = verdict.is_final and self._scope.start.attempt < self._scope.start.max_attempts
        self._outcome = msgspec.structs.replace(
            failed(self._scope, verdict.error, retry=retry and not is_decided, message=words),
            retry_at=verdict.retry_at,
            crashed=verdict.crashed,
        )

    async def _clean_up(self) -> None:
        self._cleaned = True
        first: tuple[Hook, BaseException] | None = None
        for hook in self._loaded.hooks.of("cleanup"):
            _, error = await self._call(hook)
            if error is not None and first is None:
                first = (hook, error)
            elif error is not None:
                self._log(hook, error)
        if first is not None:
            await self._went_wrong(*first)

    async def _went_wrong(self, hook: Hook, error: BaseException) -> None:
        """A middleware or cleanup failed: so did the attempt, unless it has failed or was stopped before."""
        if self._scope.stopping:
            if not isinstance(error, asyncio.CancelledError | BodyInterrupted):
                self._log(hook, error)
        elif isinstance(self._outcome, Failed):
            self._log(hook, error)
        else:
            await self._fail(error)

    # ---- on_wait, on_resume: called where the body waits, and what they raise is raised there --------------------

    async def around(self, kind: Literal["on_wait", "on_resume"], info: WaitInfo) -> None:
        with marked(no_waits, "in a hook"), marked(unrepeated, kind):
            for hook in self._loaded.hooks.of(kind):
                made = hook.function(**hook.arguments({**self._offered, "wait": info}))
                if inspect.isawaitable(made):
                    await made

    def around_sync(self, kind: Literal["on_wait", "on_resume"], info: WaitInfo) -> None:
        with marked(no_waits, "in a hook"), marked(unrepeated, kind):
            for hook in self._loaded.hooks.of(kind):
                made = hook.function(**hook.arguments({**self._offered, "wait": info}))
                if inspect.isawaitable(made):
                    self._calls.finish(_awaited(made))
                    self._scope.in_body = True

    # ---- calling -----------------------------------------------------------------------------------------------------

    async def _call(self, hook: Hook, extra: Mapping[str, Any] | None = None, *, stoppable: bool = False) -> Ended:
        offered = self._offered if extra is None else {**self._offered, **extra}
        with marked(no_waits, "in a hook"):
            return await self._calls.hook(hook.function, ((), hook.arguments(offered)), stoppable=stoppable)

    async def _tell(self, kind: Kind, **extra: Any) -> None:
        """Call hooks whose errors are nobody's but the log's."""
        for hook in self._loaded.hooks.of(kind):
            if self._scope.stopping:
                return
            _, error = await self._call(hook, extra)
            if error is not None:
                self._log(hook, error)

    def _log(self, hook: Hook, error: BaseException) -> None:
        self._loaded.fill_linecache()
        told = as_error(error)
        self._scope.emit("error", f"{hook.told} failed, and the run does not mind: {told}\n{told.traceback}")

    # ---- what hooks are given ----------------------------------------------------------------------------------------

    def _take_init(self, hook: Hook, value: object) -> KernelKitError | None:
        if not self._has_init:
            self._has_init = True
            self._offered["init"] = value
            return None
        before = self._offered["init"]
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            self._offered["init"] = {**before, **value}
            return None
        return KernelKitError(
            f"{hook.told} returned a {type(value).__name__}, and an init hook before it a {type(before).__name__}. "
            "Where several init hooks return something, each returns a dict, and the dicts are merged."
        )

    def _with_init(self) -> Arguments:
        args, kwargs = self._arguments
        for name, wanted in self._loaded.signature.injections.items():
            if wanted == "init":
                kwargs[name] = self._offered["init"]
        return args, kwargs

    def _result(self, output: Value | None, value: Any, error: Error | None) -> Result[Any]:
        scope, start = self._scope, self._scope.start
        state = scope.metadata_state
        run = Run(
            id=start.run_id,
            task_id=start.task_id,
            status=RunStatus.COMPLETED if error is None else RunStatus.FAILED,
            payload_json=self._payload.text,
            payload_size=self._payload.size,
            output_json=None if output is None else output.text,
            output_size=0 if output is None else output.size,
            error=error,
            tags=start.tags,
            metadata_json=start.metadata if state is None else jsonvalues.encode(state.values, what="the metadata"),
            attempt_number=start.attempt,
            max_attempts=start.max_attempts,
            created_at=to_datetime(start.created_at),
            queue=start.queue,
            version=start.version,
            parent_id=start.parent_id,
            root_id=start.root_id,
            depth=start.depth,
            batch_id=start.batch_id,
        )
        return Result(run, lambda _: value)


async def _awaited(made: Awaitable[Any]) -> None:
    await made


def _payload(loaded: Loaded, arguments: Arguments) -> Any:  # whatever the task takes
    """What hooks see as `payload`: the one of a `payload` parameter, else the fields by name."""
    args, kwargs = arguments
    signature = loaded.signature
    positional = list(signature.fields)[: len(args)]
    fields = {**dict(zip(positional, args, strict=True)), **kwargs}
    given = {name: value for name, value in fields.items() if name not in signature.injections}
    return given["payload"] if signature.whole and "payload" in given else given
