"""The order of one attempt, without an engine: what is asked of hooks, and the report that comes of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from kernelkit.authoring.hooks import Hook, Kind
from kernelkit.authoring.locals import locals as kk_locals
from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.onerror import OnError
from kernelkit.authoring.options import Retry
from kernelkit.authoring.tags import tags
from kernelkit.authoring.until_done import wait_until_done
from kernelkit.clock import MICROS, from_datetime
from kernelkit.errors import (
    AbortTaskRunError,
    CompleteTaskWithOutput,
    KernelKitError,
    RunCanceledError,
    UnknownTaskError,
)
from kernelkit.execution.ends import Outcome
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.execution.verdict import jitter_of
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import delay_s
from kernelkit.wire.messages import ChangeMetadata, Failed, Stopped, Succeeded
from tests.execution.attempts import Attempt, loaded, start_of

Hooks = list[tuple[Kind, Callable[..., Any]]]


def hooks_of(*given: tuple[Kind, Callable[..., Any]]) -> list[Hook]:
    return [Hook.of(kind, function, f"{kind} {place}") for place, (kind, function) in enumerate(given)]


def run(body: Any, *given: tuple[Kind, Callable[..., Any]], attempt: Attempt | None = None) -> Outcome:
    attempt = attempt or Attempt()
    task = loaded(body, *hooks_of(*given))
    if asyncio.iscoroutinefunction(body):
        return asyncio.run(run_async_attempt(task, attempt.scope))
    return run_sync_attempt(task, attempt.scope)


async def async_failing() -> None:
    raise ValueError("the body's")


def plain_failing() -> None:
    raise ValueError("the body's")


async def async_fine() -> int:
    return 1


def plain_fine() -> int:
    return 1


FINE = pytest.mark.parametrize("body", [async_fine, plain_fine], ids=["async", "plain"])
FAILING = pytest.mark.parametrize("body", [async_failing, plain_failing], ids=["async", "plain"])


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


# ---- where hooks run -------------------------------------------------------------------------------------------------


def test_the_hooks_of_a_plain_task_run_on_its_thread_and_plain_ones_without_a_loop_around_them() -> None:
    threads: list[int] = []

    def body() -> str:
        threads.append(threading.get_ident())
        return asyncio.run(asyncio.sleep(0, "ran a loop"))

    def plain_hook() -> None:
        threads.append(threading.get_ident())
        asyncio.run(asyncio.sleep(0))

    async def async_hook() -> None:
        threads.append(threading.get_ident())
        await asyncio.sleep(0)

    outcome = run(body, ("on_start", plain_hook), ("on_start", async_hook), ("cleanup", plain_hook))

    assert isinstance(outcome, Succeeded)
    assert set(threads) == {threading.get_ident()}
    assert len(threads) == 4


@FINE
def test_a_hook_may_be_a_lambda_that_returns_a_coroutine(body: Any) -> None:
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append("awaited")

    assert isinstance(run(body, ("on_start", lambda: work())), Succeeded)
    assert seen == ["awaited"]


def test_context_variables_of_a_middleware_reach_the_body_of_either_kind() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def around(next: Any) -> None:
        variable.set("set")
        await next()

    async def async_body() -> str:
        return variable.get()

    def plain_body() -> str:
        return variable.get()

    for body in (async_body, plain_body):
        outcome = run(body, ("middleware", around))
        assert isinstance(outcome, Succeeded)
        assert outcome.output.text == '"set"'


def test_a_plain_middleware_cannot_wait_for_an_async_task_and_is_told_so() -> None:
    def around(next: Any) -> None:
        next()

    error = failure(run(async_fine, ("middleware", around))).error

    assert "Make it `async def`, or let it `return next()`" in error.message


@FINE
def test_values_of_locals_are_shared_within_an_attempt_and_with_no_other(body: Any) -> None:
    place = kk_locals.create("counter")
    seen: list[Any] = []

    def begin() -> None:
        seen.append(kk_locals.get(place))
        kk_locals.set(place, 1)

    def end() -> None:
        seen.append(kk_locals.get_or_raise(place))

    for _ in range(2):
        assert isinstance(run(body, ("on_start", begin), ("on_success", end)), Succeeded)
    assert seen == [None, 1, None, 1]

    outcome = run(body, ("on_start", lambda: kk_locals.get_or_raise(kk_locals.create("nothing"))))
    assert "'nothing' has no value in this attempt" in failure(outcome).error.message


# ---- init ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "{}"),
        ([None, None], "{}"),
        ([{"a": 1}, None, {"b": 2}], '{"a":1,"b":2}'),
        ([{"a": 1}, {"a": 2}], '{"a":2}'),
        (["a connection"], '"a connection"'),
    ],
)
def test_what_init_hooks_return_is_merged(values: list[Any], expected: str) -> None:
    def body(init: Any) -> Any:
        return init

    outcome = run(body, *[("init", lambda value=value: value) for value in values])

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == expected


def test_values_of_init_hooks_that_cannot_be_merged_are_an_error() -> None:
    error = failure(run(plain_fine, ("init", lambda: "a connection"), ("init", lambda: {"a": 1}))).error

    assert "returned a dict, and an init hook before it a str" in error.message


# ---- verdicts --------------------------------------------------------------------------------------------------------


@FAILING
def test_the_delay_that_hooks_see_is_the_one_that_is_reported(body: Any) -> None:
    policy = RetryPolicy(max_attempts=5, min_timeout=2.0, factor=3.0)
    start = start_of(attempt=2, max_attempts=5, retry=policy)
    seen: list[Any] = []

    def shown(error: BaseException, retry: Any, retry_at: datetime, retry_in: float) -> None:
        seen.extend([type(error), retry.policy, retry_at, retry_in])

    attempt = Attempt(start)
    outcome = failure(run(body, ("catch_error", shown), attempt=attempt))

    kind, told, retry_at, retry_in = seen
    assert (kind, told) == (ValueError, policy)
    assert retry_in == delay_s(policy, 2, jitter_of(start.fence))
    assert 6.0 <= retry_in <= 12.0
    assert outcome.retry_at == from_datetime(retry_at)


@FAILING
def test_without_catch_error_the_engine_says_when(body: Any) -> None:
    outcome = failure(run(body, ("on_failure", lambda: None)))

    assert (outcome.retry, outcome.retry_at, outcome.crashed) == (True, None, False)


def test_on_the_last_attempt_there_is_no_moment_and_no_answer_makes_one() -> None:
    seen: list[Any] = []

    def stubborn(retry_at: Any, retry_in: Any) -> OnError:
        seen.extend([retry_at, retry_in])
        return OnError(retry_in=1)

    attempt = Attempt(start_of(attempt=3, max_attempts=3))
    outcome = failure(
        run(
            plain_failing,
            ("catch_error", stubborn),
            ("on_failure", lambda error: seen.append(str(error))),
            ("on_complete", lambda result: seen.append(result.ok)),
            attempt=attempt,
        )
    )

    assert seen == [None, None, "the body's", False]
    assert outcome.retry_at is None


def test_a_moment_in_an_answer_is_reported_as_it_is() -> None:
    moment = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

    outcome = failure(run(plain_failing, ("catch_error", lambda: OnError(retry_at=moment, error=OSError("later")))))

    assert (outcome.retry, outcome.retry_at) == (True, from_datetime(moment))
    assert (outcome.error.name, outcome.error.message) == ("OSError", "later")


def test_another_policy_in_an_answer_gives_the_wait() -> None:
    attempt = Attempt(start_of(attempt=2))
    given = Retry(min_timeout=7.0, randomize=False)
    outcome = failure(run(plain_failing, ("catch_error", lambda: OnError(retry=given)), attempt=attempt))

    assert outcome.retry_at is not None
    assert (outcome.retry_at - outcome.finished_at) / MICROS == pytest.approx(14.0, abs=1.0)


@FAILING
def test_an_error_of_catch_error_crashes_the_attempt_and_keeps_both(body: Any) -> None:
    def broken() -> None:
        raise KeyError("typo")

    told: list[str] = []
    outcome = failure(run(body, ("catch_error", broken), ("on_failure", lambda: told.append("told"))))

    assert (outcome.crashed, outcome.retry, told) == (True, False, [])
    assert outcome.error.name == "KeyError"
    assert "ValueError: the body's" in outcome.error.traceback


def test_aborting_in_catch_error_is_no_crash() -> None:
    def gives_up() -> None:
        raise AbortTaskRunError("enough")

    told: list[str] = []
    outcome = failure(
        run(plain_failing, ("catch_error", gives_up), ("on_failure", lambda error: told.append(str(error))))
    )

    assert (outcome.crashed, outcome.retry, outcome.error.message, told) == (False, False, "enough", ["enough"])


@FINE
def test_an_output_that_cannot_be_kept_fails_for_good_and_nobody_is_asked(body: Any) -> None:
    seen: list[str] = []

    async def async_body() -> object:
        return object()

    def plain_body() -> object:
        return object()

    outcome = failure(
        run(
            async_body if body is async_fine else plain_body,
            ("catch_error", lambda: seen.append("asked")),
            ("on_success", lambda: seen.append("success")),
            ("on_failure", lambda error: seen.append(type(error).__name__)),
        )
    )

    assert (outcome.retry, seen) == (False, ["OutputNotSerializableError"])


def test_a_refused_call_of_the_body_is_its_error_before_any_hook_is_told() -> None:
    attempt = Attempt(numbered=True)
    seen: list[str] = []

    async def body() -> None:
        tags.add("a")
        number = len(attempt.reports)
        asyncio.get_running_loop().call_later(0.01, attempt.scope.refuse, number, UnknownTaskError("no such task"))

    outcome = failure(
        run(
            body,
            ("on_success", lambda: seen.append("success")),
            ("catch_error", lambda error: seen.append(str(error))),
            attempt=attempt,
        )
    )

    assert seen == ["no such task"]
    assert "It was refused for the call in" in outcome.error.message


# ---- ends ------------------------------------------------------------------------------------------------------------


@FINE
def test_what_hooks_at_the_end_change_leaves_with_the_attempt(body: Any) -> None:
    attempt = Attempt()

    run(body, ("cleanup", lambda: metadata.set("cleaned", True)), attempt=attempt)

    assert [report.ops[0].key for report in attempt.reports if isinstance(report, ChangeMetadata)] == ["cleaned"]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
def test_a_body_that_completes_from_below_has_succeeded_for_its_hooks(is_async: bool) -> None:
    seen: list[Any] = []

    async def async_body() -> None:
        raise CompleteTaskWithOutput(5)

    def plain_body() -> None:
        raise CompleteTaskWithOutput(5)

    outcome = run(async_body if is_async else plain_body, ("on_success", lambda output: seen.append(output)))

    assert isinstance(outcome, Succeeded)
    assert (outcome.output.text, seen) == ("5", [5])


@FINE
def test_what_a_hook_leaves_to_be_waited_for_ends_after_cleanup_on_the_loop_it_began_on(body: Any) -> None:
    seen: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0.02)
        seen.append("later")

    async def leaves() -> None:
        wait_until_done(later())
        await asyncio.sleep(0)

    attempt = Attempt()
    outcome = run(body, ("on_start", leaves), ("cleanup", lambda: seen.append("cleanup")), attempt=attempt)

    assert isinstance(outcome, Succeeded)
    assert (seen, attempt.lines) == (["cleanup", "later"], [])


def test_every_cleanup_runs_and_the_first_error_counts() -> None:
    attempt = Attempt()
    seen: list[str] = []

    def first() -> None:
        raise OSError("first")

    def second() -> None:
        seen.append("second")
        raise OSError("second")

    outcome = failure(run(plain_fine, ("cleanup", first), ("cleanup", second), attempt=attempt))

    assert (outcome.error.message, seen) == ("first", ["second"])
    assert any("second" in text for level, text in attempt.lines if level == "error")


@FAILING
def test_errors_behind_a_failure_do_not_hide_it(body: Any) -> None:
    attempt = Attempt()

    async def around(next: Any) -> None:
        await next()
        raise OSError("of the middleware")

    def clean() -> None:
        raise OSError("of cleanup")

    outcome = failure(run(body, ("middleware", around), ("cleanup", clean), attempt=attempt))

    assert outcome.error.message == "the body's"
    assert [text.splitlines()[0].rpartition(": ")[2] for _, text in attempt.lines] == [
        "of cleanup",
        "of the middleware",
    ]


def test_no_exit_of_a_hook_gets_past_the_attempt() -> None:
    def leaves() -> None:
        raise SystemExit(3)

    for body in (async_fine, plain_fine):
        assert "sys.exit(3)" in failure(run(body, ("on_start", leaves))).error.message
        assert isinstance(run(body, ("on_success", leaves)), Succeeded)


def test_a_time_out_around_next_cleans_up() -> None:
    seen: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(30)

    async def limited(next: Any) -> None:
        async with asyncio.timeout(0.02):
            await next()

    outcome = failure(run(slow, ("middleware", limited), ("cleanup", lambda: seen.append("cleanup"))))

    assert (outcome.error.name, seen) == ("TimeoutError", ["cleanup"])


def test_a_loop_that_goes_away_takes_the_attempt_with_it() -> None:
    async def endless() -> None:
        await asyncio.sleep(30)

    async def scene() -> None:
        attempt = Attempt()
        task = asyncio.create_task(
            run_async_attempt(loaded(endless, *hooks_of(("cleanup", lambda: None))), attempt.scope)
        )
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


# ---- stopping --------------------------------------------------------------------------------------------------------


def stopped_while(kind: Kind | None, *given: tuple[Kind, Callable[..., Any]], canceled: bool = True) -> list[str]:
    """What happens when an attempt is stopped while its hook of that kind, or its body, runs."""
    seen: list[str] = []
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(f"{kind or 'body'} stopped")

    async def body() -> None:
        if kind is None:
            await hold()
        seen.append("body")

    async def on_cancel(run: Any) -> None:
        try:
            await run
        except RunCanceledError:
            seen.append("on_cancel")

    async def scene() -> None:
        hooks: Hooks = [("on_cancel", on_cancel), ("cleanup", lambda: seen.append("cleanup"))]
        hooks.append(("on_complete", lambda: seen.append("on_complete")))
        if kind is not None:
            hooks.append((kind, hold))
        attempt = Attempt()
        task = asyncio.create_task(run_async_attempt(loaded(body, *hooks_of(*hooks)), attempt.scope))
        await reached.wait()
        attempt.scope.canceled = canceled
        await stop_body(task, attempt.scope, "enough", signal_s=30.0)
        assert isinstance(await task, Stopped)

    asyncio.run(scene())
    return seen


def test_a_stopped_body_is_followed_by_on_cancel_and_cleanup_only() -> None:
    assert stopped_while(None) == ["body stopped", "on_cancel", "cleanup"]


@pytest.mark.parametrize("kind", ["init", "on_start", "on_start_attempt"])
def test_a_hook_before_the_body_is_stopped_like_the_body_which_is_not_called(kind: Kind) -> None:
    assert stopped_while(kind) == [f"{kind} stopped", "on_cancel", "cleanup"]


def test_on_cancel_is_for_canceled_runs_not_for_those_that_took_too_long() -> None:
    assert stopped_while(None, canceled=False) == ["body stopped", "cleanup"]


def test_a_plain_hook_that_would_block_the_bodys_loop_is_told_to_await() -> None:
    seen: list[str] = []

    async def body() -> None:
        await asyncio.sleep(30)

    def blocks(run: Any) -> None:
        try:
            run.result()
        except KernelKitError as error:
            seen.append(str(error))

    async def scene() -> None:
        attempt = Attempt()
        attempt.scope.takes_signal = True
        task = asyncio.create_task(run_async_attempt(loaded(body, *hooks_of(("on_cancel", blocks))), attempt.scope))
        await asyncio.sleep(0.01)
        attempt.scope.canceled = True
        attempt.scope.takes_signal = True
        await stop_body(task, attempt.scope, "enough", signal_s=0.05)
        await task

    asyncio.run(scene())

    assert seen == ["run.result() would block the loop that the task runs on. Use `await run`."]
