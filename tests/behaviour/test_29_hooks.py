"""Hooks, by the paragraphs of the specification's section 29 and what was decided about them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring.hooks import Hooked, forgotten_after
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage, until

TWICE = kk.Retry(max_attempts=2, min_timeout=0.05, max_timeout=0.1, randomize=False)


@pytest.fixture(autouse=True)
def _no_hooks_for_other_tests() -> Iterator[None]:
    with forgotten_after():
        yield


def note(what: str) -> None:
    """Write down that something happened, in the run's metadata."""
    kk.metadata.append("order", what)


def order(run: kk.RunHandle[Any]) -> list[str]:
    noted: list[str] = run.refresh().metadata.get("order", [])
    return noted


def errors_in_log(stage: Stage, run: kk.RunHandle[Any], count: int) -> list[str]:
    """First lines of what was written at the level error, once there are `count`."""

    def found() -> list[str]:
        return [line.text.splitlines()[0] for line in run.logs().lines if line.level == "error" and " " in line.text]

    stage.until(lambda: sum("failed" in text or "longer" in text for text in found()) >= count)
    return [text for text in found() if "failed" in text or "longer" in text]


def with_every_hook(task: Hooked, who: str) -> None:
    """Register one hook of each kind that ends well or badly, each noting its name; every second one is async."""

    @task.middleware(f"{who} around")
    async def around(next: Any) -> None:
        note(f"{who} middleware >")
        await next()
        note(f"{who} middleware <")

    @task.init(f"{who} init")
    def init() -> dict[str, str]:
        note(f"{who} init")
        return {who: "was here"}

    @task.on_start(f"{who} start")
    async def start() -> None:
        note(f"{who} on_start")

    @task.on_start_attempt(f"{who} attempt")
    def attempt(ctx: kk.Context) -> None:
        note(f"{who} on_start_attempt {ctx.attempt.number}")

    @task.on_success(f"{who} success")
    async def success(output: Any) -> None:
        note(f"{who} on_success {output}")

    @task.on_failure(f"{who} failure")
    def failure(error: BaseException) -> None:
        note(f"{who} on_failure {error}")

    @task.on_complete(f"{who} complete")
    async def complete(result: kk.Result[Any]) -> None:
        note(f"{who} on_complete {result.ok}")

    @task.catch_error(f"{who} catch")
    def catch(error: BaseException) -> None:
        note(f"{who} catch_error {error}")

    @task.cleanup(f"{who} cleanup")
    async def cleanup() -> None:
        note(f"{who} cleanup")


async def async_body(fails: int = 0) -> int:
    note("body")
    if kk.ctx.attempt.number <= fails:
        raise ValueError(f"number {kk.ctx.attempt.number}")
    return 7


def plain_body(fails: int = 0) -> int:
    note("body")
    if kk.ctx.attempt.number <= fails:
        raise ValueError(f"number {kk.ctx.attempt.number}")
    return asyncio.run(asyncio.sleep(0, 7))  # a plain task has its thread to itself, hooks or not


BODIES = pytest.mark.parametrize("body", [async_body, plain_body], ids=["async", "plain"])

BEGINNING = ["all middleware >", "own middleware >", "all init", "own init", "all on_start", "own on_start"]
FIRST = [*BEGINNING, "all on_start_attempt 1", "own on_start_attempt 1", "body"]
SECOND = [*BEGINNING[:4], "all on_start_attempt 2", "own on_start_attempt 2", "body"]
ENDING = ["all cleanup", "own cleanup", "own middleware <", "all middleware <"]
GOOD = ["all on_success 7", "own on_success 7", "all on_complete True", "own on_complete True"]


# ---- 29.1 registration -----------------------------------------------------------------------------------------------


def test_29_1_a_hook_is_a_decorator_a_keyword_or_a_call_with_a_name(stage: Stage) -> None:
    def by_keyword() -> None:
        note("keyword")

    @kk.task(on_start=by_keyword)
    async def several() -> None: ...

    @several.on_start
    def by_decorator() -> None:
        note("decorator")

    def by_call() -> None:
        note("call")

    several.on_start("called", by_call)
    run = several.trigger()
    stage.finish()

    assert order(run) == ["keyword", "decorator", "call"]


def test_29_1_the_same_name_again_replaces_in_the_same_place(stage: Stage) -> None:
    @kk.task
    async def replaced() -> None: ...

    for text in ("first", "second"):

        @replaced.on_start("one")
        def one(text: str = text) -> None:
            note(f"one {text}")

        @replaced.on_start("two")
        def two(text: str = text) -> None:
            note(f"two {text}")

    run = replaced.trigger()
    stage.finish()

    assert order(run) == ["one second", "two second"]


def test_29_1_a_hook_registered_after_a_trigger_belongs_to_the_next_and_makes_a_version(stage: Stage) -> None:
    @kk.task
    async def grows() -> None: ...

    before = grows.trigger()
    stage.finish()
    earlier = grows.version

    @kk.tasks.on_start
    def later() -> None:
        note("later")

    after = grows.trigger()
    stage.finish()

    assert (order(before), order(after)) == ([], ["later"])
    assert grows.version != earlier


def test_29_1_a_hook_takes_its_globals_along(stage: Stage) -> None:
    factor = 3

    @kk.task
    async def tripled() -> int:
        return 1

    @tripled.on_success
    def triple(output: int) -> None:
        note(str(output * factor))

    run = tripled.trigger()
    stage.finish()

    assert order(run) == ["3"]


# ---- 29.2 order ------------------------------------------------------------------------------------------------------


@BODIES
def test_29_2_order_of_one_attempt(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"ordered-{body.__name__}", retry=None)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger()
    stage.finish()

    assert run.status == "COMPLETED"
    assert order(run) == [*FIRST, *GOOD, *ENDING]


@BODIES
def test_29_2_order_of_a_retry_and_its_good_end(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"again-{body.__name__}", retry=TWICE)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger(fails=1)
    stage.finish()

    assert run.result(timeout=20).output == 7
    asked = ["own catch_error number 1", "all catch_error number 1"]
    assert order(run) == [*FIRST, *asked, *ENDING, *SECOND, *GOOD, *ENDING]


@BODIES
def test_29_2_order_of_a_run_that_fails_for_good(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"fails-{body.__name__}", retry=TWICE)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger(fails=2)
    stage.finish()

    assert run.status == "FAILED"
    asked = ["own catch_error number {}", "all catch_error number {}"]
    told = ["all on_failure number 2", "own on_failure number 2", "all on_complete False", "own on_complete False"]
    assert order(run) == [
        *FIRST,
        *(text.format(1) for text in asked),
        *ENDING,
        *SECOND,
        *(text.format(2) for text in asked),
        *told,
        *ENDING,
    ]


def test_29_2_a_payload_that_does_not_fit_calls_no_hook(stage: Stage) -> None:
    @kk.task(id="strict")
    async def strict(n: int) -> None: ...

    with_every_hook(strict, "own")
    strict.register()
    run = kk.tasks.trigger("strict", {"n": "many"})
    stage.finish()

    assert (run.status, order(run)) == ("FAILED", [])


# ---- 29.3 what hooks are given ---------------------------------------------------------------------------------------


def test_29_3_a_hook_gets_what_it_names(stage: Stage) -> None:
    @kk.task(id="gives")
    async def gives(n: int, init: dict[str, int]) -> dict[str, int]:
        return {"sum": n + init["one"] + init["two"]}

    @gives.init
    def first() -> dict[str, int]:
        return {"one": 1}

    @gives.init
    async def second(payload: dict[str, int]) -> dict[str, int]:
        return {"two": payload["n"]}

    @gives.on_success
    def told(output: Any, task: str, payload: Any, signal: kk.CancelSignal, init: Any, ctx: kk.Context) -> None:
        note(f"{task} {payload} {output} {init} {signal.is_set()} {ctx.run.id == kk.ctx.run.id}")

    @gives.on_complete
    def everything(**given: Any) -> None:
        note(f"{sorted(given)} {given['result'].output} {given['result'].error}")

    run = gives.trigger(n=20)
    stage.finish()

    assert order(run) == [
        "gives {'n': 20} {'sum': 41} {'one': 1, 'two': 20} False True",
        "['ctx', 'init', 'payload', 'result', 'signal', 'task'] {'sum': 41} None",
    ]


def test_29_3_an_error_hook_gets_the_exception_itself(stage: Stage) -> None:
    @kk.task(retry=None)
    def fails() -> None:
        error = OSError("disk on fire")
        error.errno = 5
        raise error

    @fails.on_failure
    def told(error: OSError) -> None:
        note(f"{type(error).__name__} {error.errno}")

    @fails.on_complete
    def result(result: kk.Result[Any]) -> None:
        assert result.error is not None
        note(f"{result.error.name} {result.error.message} {result.status}")

    run = fails.trigger()
    stage.finish()

    assert order(run) == ["OSError 5", "OSError disk on fire FAILED"]


# ---- 29.5 errors of hooks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["init", "on_start", "on_start_attempt", "middleware"])
def test_29_5_an_error_before_the_body_is_the_attempts(stage: Stage, kind: str) -> None:
    @kk.task(id=f"breaks-{kind}", retry=TWICE)
    async def breaks() -> str:
        note("body")
        return "fine"

    async def broken(ctx: kk.Context, next: Any = None) -> None:
        if ctx.attempt.number == 1:
            raise ValueError(f"no {kind}")
        if next is not None:
            await next()

    getattr(breaks, kind)(broken)

    @breaks.catch_error
    def asked(error: BaseException) -> None:
        note(f"catch_error {error}")

    @breaks.cleanup
    def clean() -> None:
        note("cleanup")

    run = breaks.trigger()
    stage.finish()

    first, second = run.refresh().attempts
    assert first.error is not None
    assert (first.status, first.error.message) == ("FAILED", f"no {kind}")
    if kind == "on_start":  # it runs on the first attempt only
        assert second.status == "COMPLETED"
    assert order(run) == [f"catch_error no {kind}", "cleanup", "body", "cleanup"]


@BODIES
def test_29_5_errors_after_the_end_are_written_to_the_log_and_no_more(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"ignores-{body.__name__}", retry=None)(body)

    @task.on_success("loud")
    def loud() -> None:
        raise ValueError("cannot notify")

    @task.on_success("quiet")
    def quiet() -> None:
        note("the next hook")

    @task.on_complete("louder")
    async def louder() -> None:
        raise OSError("nor this")

    @task.on_failure("loudest")
    async def loudest() -> None:
        raise OSError("nor that")

    good, bad = task.trigger(), task.trigger(fails=1)
    stage.finish()

    assert (good.status, bad.status) == ("COMPLETED", "FAILED")
    assert order(good) == ["body", "the next hook"]
    ignored = "failed, and the run does not mind"
    assert errors_in_log(stage, good, 2) == [
        f"on_success 'loud' {ignored}: ValueError: cannot notify",
        f"on_complete 'louder' {ignored}: OSError: nor this",
    ]
    assert errors_in_log(stage, bad, 2)[0] == f"on_failure 'loudest' {ignored}: OSError: nor that"


def test_29_5_an_error_of_cleanup_fails_an_attempt_that_had_gone_well(stage: Stage) -> None:
    @kk.task(retry=TWICE)
    async def leaks() -> str:
        return "done"

    @leaks.cleanup
    def clean(ctx: kk.Context) -> None:
        note("cleanup")
        if ctx.attempt.number == 1:
            raise OSError("still open")

    run = leaks.trigger()
    stage.finish()

    assert [attempt.status for attempt in run.refresh().attempts] == ["FAILED", "COMPLETED"]
    assert order(run) == ["cleanup", "cleanup"]


# ---- 29.6 middleware -------------------------------------------------------------------------------------------------


@BODIES
def test_29_6_an_error_after_next_fails_an_attempt_that_had_gone_well(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"late-{body.__name__}", retry=TWICE)(body)

    @task.middleware
    async def late(next: Any, ctx: kk.Context) -> None:
        await next()
        if ctx.attempt.number == 1:
            raise OSError("cannot commit")

    @task.on_success
    def success() -> None:
        note("on_success")

    @task.catch_error
    def asked(error: BaseException) -> None:
        note(f"catch_error {error}")

    run = task.trigger()
    stage.finish()

    assert run.status == "COMPLETED"
    assert order(run) == ["body", "on_success", "catch_error cannot commit", "body", "on_success"]


@BODIES
def test_29_6_next_does_not_raise_when_the_body_failed(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"closes-{body.__name__}", retry=None)(body)

    @task.middleware
    async def closes(next: Any) -> None:
        await next()
        note("closed")

    run = task.trigger(fails=1)
    stage.finish()

    assert (run.status, order(run)) == ("FAILED", ["body", "closed"])
    error = run.result(timeout=20).error
    assert error is not None
    assert [frame.function for frame in error.frames] == [body.__name__]


@pytest.mark.parametrize(
    ("name", "words"),
    [("never", "returned without `await next()`"), ("forgets", "without awaiting it"), ("twice", "a second time")],
)
def test_29_6_a_middleware_that_misuses_next_is_told_so(stage: Stage, name: str, words: str) -> None:
    @kk.task(id=f"misused-{name}", retry=None)
    async def misused() -> None:
        note("body")

    async def never(next: Any) -> None: ...

    async def forgets(next: Any) -> None:
        next()

    async def twice(next: Any) -> None:
        await next()
        await next()

    misused.middleware("mine", {"never": never, "forgets": forgets, "twice": twice}[name])
    run = misused.trigger()
    stage.finish()

    error = run.result(timeout=20).error
    assert error is not None
    assert words in error.message
    assert order(run) == (["body"] if name == "twice" else [])


def test_29_6_a_plain_middleware_wraps_a_plain_task(stage: Stage) -> None:
    @kk.task
    def plain() -> int:
        note("body")
        return asyncio.run(asyncio.sleep(0, 1))

    @plain.middleware("outer")
    def outer(next: Any) -> None:
        note("outer >")
        next()
        note("outer <")

    @plain.middleware("middle")
    async def middle(next: Any) -> None:
        note("middle >")
        await next()
        note("middle <")

    @plain.middleware("inner")
    def inner(next: Any) -> Any:
        note("inner >")
        return next()

    run = plain.trigger()
    stage.finish()

    assert run.status == "COMPLETED"
    assert order(run) == ["outer >", "middle >", "inner >", "body", "middle <", "outer <"]


# ---- 29.7 catch_error ------------------------------------------------------------------------------------------------


def caught(stage: Stage, id: str, answer: Any, *, attempts: int = 3, raises: Any = ValueError) -> kk.RunHandle[Any]:
    """A run that always fails, and whose error hook answers what `answer` returns."""

    @kk.task(id=id, retry=kk.Retry(max_attempts=attempts, min_timeout=0.05, max_timeout=0.1))
    async def fails() -> None:
        raise raises("the task's own")

    @fails.catch_error("mine")
    def mine(error: BaseException, retry: kk.Retry, retry_at: datetime | None, retry_in: float | None) -> Any:
        note(f"asked {kk.ctx.attempt.number}")
        return answer(error)

    @fails.on_failure
    def failure(error: BaseException) -> None:
        note(f"on_failure {type(error).__name__} {error}")

    @fails.on_complete
    async def complete(result: kk.Result[Any]) -> None:
        note(f"on_complete {result.ok}")

    run = fails.trigger()
    stage.finish()
    assert run.refresh().is_completed
    return run


OVER = ["on_failure ValueError the task's own", "on_complete False"]


def test_29_7_skip_retrying_ends_the_run(stage: Stage) -> None:
    run = caught(stage, "skips", lambda error: kk.OnError(skip_retrying=True))

    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 1)
    assert order(run) == ["asked 1", *OVER]


@pytest.mark.parametrize("how", ["retry_in", "retry_at", "retry"])
def test_29_7_an_answer_says_when_to_try_again(stage: Stage, how: str) -> None:
    def answer(error: BaseException) -> kk.OnError:
        if how == "retry_in":
            return kk.OnError(retry_in=0.3)
        if how == "retry_at":
            return kk.OnError(retry_at=datetime.fromisoformat(kk.metadata.current()["at"]))
        return kk.OnError(retry=kk.Retry(min_timeout=0.3, randomize=False))

    @kk.task(id=f"moment-{how}", retry=kk.Retry(max_attempts=2, min_timeout=3600, max_timeout=7200), catch_error=None)
    async def fails() -> None:
        kk.metadata.set("at", (kk.ctx.attempt.started_at + timedelta(seconds=0.3)).isoformat())
        raise ValueError("the task's own")

    fails.catch_error("mine", lambda error: answer(error))
    run = fails.trigger()
    stage.until(lambda: run.refresh().retry_at is not None)
    failed = run.refresh()
    assert failed.retry_at is not None
    assert failed.attempts[0].started_at is not None
    if stage.is_virtual:
        assert (failed.retry_at - failed.attempts[0].started_at).total_seconds() == pytest.approx(0.3, abs=0.01)
    stage.finish()

    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 2)


@BODIES
def test_29_7_the_moment_shown_is_the_moment_used(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"shown-{body.__name__}", retry=kk.Retry(max_attempts=2, min_timeout=0.2, max_timeout=0.5))(body)

    @task.catch_error
    def shown(retry: kk.Retry, retry_at: datetime | None, retry_in: float | None) -> None:
        kk.metadata.set("shown", None if retry_at is None else retry_at.isoformat())
        kk.metadata.set("policy", repr(retry))
        assert (retry_at is None) == (retry_in is None) == (kk.ctx.attempt.number == 2)
        assert retry_in is None or 0.2 <= retry_in <= 0.4

    run = task.trigger(fails=1)
    stage.until(lambda: run.refresh().retry_at is not None)
    waiting = run.refresh()
    stage.finish()

    assert waiting.retry_at is not None
    assert waiting.metadata["shown"] == waiting.retry_at.isoformat()
    assert "max_attempts=2" in waiting.metadata["policy"]
    assert run.status == "COMPLETED"


def test_29_7_an_error_in_the_answer_replaces_the_error(stage: Stage) -> None:
    run = caught(stage, "replaces", lambda error: kk.OnError(error=OSError("in plain words")))  # decision 52

    view = run.refresh()
    assert [attempt.error.message for attempt in view.attempts if attempt.error] == ["in plain words"] * 3
    assert view.error is not None
    assert "ValueError: the task's own" in view.error.traceback
    assert order(run)[-2:] == ["on_failure OSError in plain words", "on_complete False"]


def test_29_7_the_tasks_own_hook_goes_first_and_the_first_answer_decides(stage: Stage) -> None:
    @kk.tasks.catch_error("everywhere")
    def everywhere() -> kk.OnError:
        note("everywhere")
        return kk.OnError(skip_retrying=True)

    run = caught(stage, "asks-all", lambda error: None)
    answered = caught(stage, "asks-one", lambda error: kk.OnError(retry_in=0.01), attempts=2)

    assert order(run) == ["asked 1", "everywhere", *OVER]
    assert order(answered) == ["asked 1", "asked 2", *OVER]


def test_29_7_nobody_is_asked_about_an_error_that_ends_the_run(stage: Stage) -> None:
    run = caught(stage, "aborts", lambda error: kk.OnError(retry_in=1), raises=kk.AbortTaskRunError)

    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 1)
    assert order(run) == ["on_failure AbortTaskRunError the task's own", "on_complete False"]


def test_29_8_no_answer_makes_more_attempts_than_the_run_may_have(stage: Stage) -> None:
    run = caught(stage, "stubborn", lambda error: kk.OnError(retry_in=0.01), attempts=2)  # decision 18

    assert (run.status, len(run.refresh().attempts)) == ("FAILED", 2)
    assert order(run) == ["asked 1", "asked 2", *OVER]


def test_29_8_abort_raised_in_catch_error_fails_the_run(stage: Stage) -> None:
    def answer(error: BaseException) -> None:
        raise kk.AbortTaskRunError("cannot retry")

    run = caught(stage, "abort-while-caught", answer)  # decision 18

    view = run.refresh()
    assert view.error is not None
    assert (view.status, view.error.name, len(view.attempts)) == ("FAILED", "AbortTaskRunError", 1)
    assert order(run) == ["asked 1", "on_failure AbortTaskRunError cannot retry", "on_complete False"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("raises", "KeyError"), ("contradicts", "contradict"), ("talks", "neither None nor a kk.OnError")],
)
def test_29_5_any_other_error_of_catch_error_crashes_the_run(stage: Stage, kind: str, words: str) -> None:
    def answer(error: BaseException) -> Any:
        if kind == "raises":
            raise KeyError("a bug in the hook")
        return kk.OnError(retry_in=1, skip_retrying=True) if kind == "contradicts" else "later"

    run = caught(stage, f"crashes-{kind}", answer)  # decision 52

    view = run.refresh()
    assert view.error is not None
    assert (view.status, len(view.attempts), order(run)) == ("CRASHED", 1, ["asked 1"])
    assert words in f"{view.error.name} {view.error.message}"
    assert "ValueError: the task's own" in view.error.message
    assert "ValueError: the task's own" in view.error.traceback


# ---- 29.10 on_cancel -------------------------------------------------------------------------------------------------


def test_29_10_on_cancel_runs_beside_the_body_and_sees_its_end(stage: Stage) -> None:
    @kk.task
    async def polite(signal: kk.CancelSignal) -> str:
        note("body")
        await signal.wait()
        await asyncio.sleep(0.05)
        note("body obeys")
        return "half of it"

    @polite.on_cancel
    async def save(run: Any) -> None:
        note("on_cancel")
        note(f"saved {await run}")

    @polite.on_complete
    def complete() -> None:
        note("on_complete")

    @polite.cleanup
    def clean() -> None:
        note("cleanup")

    run = polite.trigger()
    stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.finish()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert run.status == "CANCELED"
    assert order(run) == ["body", "on_cancel", "body obeys", "saved half of it", "cleanup"]


def test_29_10_a_body_without_the_signal_is_stopped_and_the_hook_still_has_its_time(stage: Stage) -> None:
    @kk.task
    async def endless() -> None:
        note("body")
        await asyncio.sleep(3600)

    @kk.tasks.on_cancel
    async def everywhere() -> None:
        await asyncio.sleep(0.2)
        note("global")

    @endless.on_cancel
    async def own(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            await run
        note("own")
        raise ValueError("ends the rest")

    @endless.on_cancel
    def rest() -> None:
        note("never")

    run = endless.trigger()
    stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.finish()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert (run.status, order(run)) == ("CANCELED", ["body", "global", "own"])
    assert "ends the rest" in errors_in_log(stage, run, 1)[0]


def test_29_10_a_plain_body_is_interrupted_and_its_hook_runs_beside_it(stage: Stage) -> None:
    @kk.task
    def spins() -> None:
        note("body")
        while True:
            time.sleep(0.01)

    @spins.on_cancel
    async def waits(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            await run
        note("async hook")

    @spins.on_cancel
    def blocks(run: Any) -> None:
        with contextlib.suppress(kk.RunCanceledError):
            run.result(timeout=10)
        note(f"plain hook beside {threading.current_thread() is not threading.main_thread()}")

    @spins.cleanup
    def clean() -> None:
        note("cleanup")

    run = spins.trigger()
    if stage.is_virtual:
        until(lambda: order(run) == ["body"])  # a spinning thread holds the virtual clock
    else:
        stage.until(lambda: order(run) == ["body"])
    run.cancel()
    stage.until(lambda: run.refresh().finished_at is not None)

    assert (run.status, order(run)) == ("CANCELED", ["body", "async hook", "plain hook beside True", "cleanup"])


def test_29_10_on_cancel_has_30_seconds() -> None:
    @kk.task
    async def endless() -> None:
        await asyncio.sleep(3600)

    @endless.on_cancel
    async def slow() -> None:
        note("begins")
        await asyncio.sleep(31)
        note("never")

    with engine() as eng:
        run = endless.trigger()
        eng.drain()
        run.cancel()
        eng.advance(seconds=29.9)
        assert run.refresh().finished_at is None
        eng.advance(seconds=0.2)
        view = run.refresh()

        assert view.finished_at is not None
        assert order(run) == ["begins"]
        assert any("on_cancel took longer than 30 s" in line.text for line in run.logs().lines)


def test_29_10_a_run_canceled_in_its_queue_calls_no_hook(stage: Stage) -> None:
    @kk.task(queue=kk.Queue("single-cancel", concurrency_limit=1))
    async def slow() -> None:
        await asyncio.sleep(0.5)

    @slow.on_cancel
    def told() -> None:
        note("on_cancel")

    first, second = slow.trigger(), slow.trigger()
    second.cancel()
    stage.finish()

    assert (first.status, second.status, order(second)) == ("COMPLETED", "CANCELED", [])


# ---- 29.9 and 29.12 --------------------------------------------------------------------------------------------------


def test_29_9_a_crash_by_memory_is_no_failure_for_hooks(stage: Stage) -> None:
    @kk.task
    async def greedy() -> None:
        raise MemoryError

    with_every_hook(greedy, "own")
    run = greedy.trigger()
    stage.finish()

    assert run.status == "CRASHED"
    assert order(run)[-3:] == ["body", "own cleanup", "own middleware <"] or order(run)[-2:] == [
        "own cleanup",
        "own middleware <",
    ]
    assert not [text for text in order(run) if "failure" in text or "catch" in text or "complete" in text]


@BODIES
def test_29_12_middleware_shares_a_connection_through_locals(stage: Stage, body: Any) -> None:
    db: kk.Local[dict[str, str]] = kk.locals.create("db")

    @kk.tasks.middleware("db")
    async def connected(next: Any, task: str) -> None:
        kk.locals.set(db, {"state": f"open for {task}"})
        await next()
        note(f"closed {kk.locals.get_or_raise(db)['state']}")

    task = kk.task(id=f"uses-db-{body.__name__}")(body)

    @task.on_start
    def uses() -> None:
        note(kk.locals.get_or_raise(db)["state"])
        note(str(kk.locals.get(kk.locals.create("other"))))

    run = task.trigger()
    stage.finish()

    state = f"open for uses-db-{body.__name__}"
    assert order(run) == [state, "None", "body", f"closed {state}"]


# ---- init.py (decision 35) -------------------------------------------------------------------------------------------

INIT = """
import kernelkit as kk

@kk.tasks.on_start
def from_init(task):
    kk.metadata.append("order", f"init.py {task}")
"""


@pytest.mark.parametrize("real_time", [False, True], ids=["virtual", "real"])
def test_29_1_init_py_beside_the_home_holds_for_every_task(tmp_path: Path, real_time: bool) -> None:
    (tmp_path / "init.py").write_text(INIT)

    @kk.tasks.on_start
    def of_this_process() -> None:
        note("this process")

    @kk.task(id="anyones")
    async def anyones() -> None: ...

    try:
        with engine(home=tmp_path, real_time=real_time) as eng:
            run = anyones.trigger()
            eng.drain()
            if real_time:
                until(lambda: run.refresh().is_completed)
            assert order(run) == ["init.py anyones", "this process"]

            if real_time:  # it is edited while the worker lives
                (tmp_path / "init.py").write_text(INIT.replace("init.py {task}", "edited {task}"))
                again = anyones.trigger()
                until(lambda: again.refresh().is_completed)
                assert order(again) == ["edited anyones", "this process"]
    finally:
        sys.modules.pop("init", None)


def test_29_1_an_init_py_that_fails_is_named_by_the_run(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_text("import no_such_module_anywhere")

    @kk.task(retry=None)
    async def unlucky() -> None: ...

    with engine(home=tmp_path) as eng:
        run = unlucky.trigger()
        eng.drain()
        error = run.refresh().error

    assert error is not None
    assert "init.py, whose hooks go with every task" in error.message
    assert "init" not in sys.modules


def test_global_hooks_of_a_test_engines_block_are_dropped_at_its_end() -> None:
    @kk.task
    async def plain() -> None: ...

    with engine():

        @kk.tasks.on_start
        def inside() -> None:
            note("inside")

    with engine() as eng:
        run = plain.trigger()
        eng.drain()
        assert order(run) == []
        assert eng.now.tzinfo is UTC
