"""The order of one attempt, without an engine: what is asked of hooks, and the report that comes of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kernelkit.authoring.locals import locals as kk_locals
from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.tags import tags
from kernelkit.authoring.until_done import wait_until_done
from kernelkit.errors import (
    CompleteTaskWithOutput,
    UnknownTaskError,
)
from kernelkit.execution.runner import run_async_attempt
from kernelkit.wire.messages import ChangeMetadata, Succeeded
from tests.execution.attempts import Attempt, loaded
from tests.execution.hooked import (
    FAILING,
    FINE,
    async_fine,
    failure,
    hooks_of,
    plain_fine,
    run,
)

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


# ---- outputs and refusals --------------------------------------------------------------------------------------------


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
