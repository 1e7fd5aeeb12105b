"""Hooks that have a say in how an attempt ends: errors of hooks, middleware and `catch_error` (29.5 to 29.8, 29.12)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage
from tests.behaviour.hooks import (
    BODIES,
    TWICE,
    errors_in_log,
    note,
    order,
)

pytestmark = pytest.mark.usefixtures("no_hooks_left")

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
