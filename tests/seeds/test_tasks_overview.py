"""The page "Tasks: overview", example by example: options of a task, its hooks, and their order."""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage

Json = dict[str, Any]


def lines(run: kk.RunHandle[Any]) -> list[str]:
    return [line.text for line in run.logs().lines if line.level in ("stdout", "info")]


def ended(stage: Stage, run: kk.RunHandle[Any], said: list[str]) -> None:
    """The run is over and its log is these lines; a line may come a moment after the end."""
    stage.finish()
    stage.until(lambda: lines(run) == said)


def test_hello_world_is_triggered_by_its_object_and_has_an_id_at_once(stage: Stage) -> None:
    @kk.task
    async def hello_world(message: str) -> None:
        sys.stdout.write(f"{message}\n")

    handle = hello_world.trigger(message="Hello world!")

    assert handle.id.startswith("run_")
    stage.finish()
    if not stage.is_virtual:  # there it is this process's own output
        stage.until(lambda: lines(handle) == ["Hello world!"])
    assert handle.status == "COMPLETED"
    assert handle.result(timeout=30).output is None


def test_a_task_is_triggered_from_another_and_from_elsewhere_by_its_id(stage: Stage) -> None:
    @kk.task
    async def greeted(message: str) -> str:
        return f"{message}!"

    @kk.task
    async def greeter() -> str:
        return greeted.trigger(message="from a task").id

    by_id = kk.tasks.trigger("greeted", {"message": "from outside"})
    parent = greeter.trigger()
    stage.finish()

    assert by_id.result(timeout=30).output == "from outside!"
    child = kk.runs.retrieve(parent.result(timeout=30).unwrap())
    assert (child.output, child.parent_id, child.depth) == ("from a task!", parent.id, 1)


def test_retry_options_say_when_the_next_attempts_begin() -> None:
    with engine() as eng:

        @kk.task(
            retry=kk.Retry(max_attempts=10, factor=1.8, min_timeout=0.5, max_timeout=30, randomize=False),
        )
        async def task_with_retries(payload: Any, ctx: kk.Context) -> int:
            raise ConnectionError(f"attempt {ctx.attempt.number}")

        run = task_with_retries.trigger({"any": "thing"})
        eng.advance(hours=1)
        failed = run.refresh()

    assert failed.status == "FAILED"
    assert [each.status for each in failed.attempts] == ["FAILED"] * 10
    begun = [each.started_at for each in failed.attempts]
    pauses = [(after - before).total_seconds() for before, after in itertools.pairwise(begun) if after and before]
    assert pauses == pytest.approx([min(30, round(0.5 * 1.8**n, 3)) for n in range(9)], abs=0.001)
    assert failed.error is not None and failed.error.message == "attempt 10"


def test_by_default_there_are_three_attempts() -> None:
    with engine() as eng:

        @kk.task
        async def unlucky() -> None:
            raise ValueError("always")

        run = unlucky.trigger()
        eng.advance(hours=1)
        assert [each.number for each in run.refresh().attempts] == [1, 2, 3]


def test_queue_options_let_one_run_at_a_time_through(stage: Stage) -> None:
    @kk.task(concurrency_limit=1)
    async def one_at_a_time(n: int) -> int:
        await asyncio.sleep(0.05)
        return n

    batch = one_at_a_time.batch_trigger([{"n": n} for n in range(4)])
    stage.finish()

    assert [result.output for result in batch.result(timeout=30)] == [0, 1, 2, 3]
    spans = sorted(
        (run.attempts[0].started_at, run.attempts[0].finished_at) for run in (r.refresh() for r in batch.runs)
    )
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end is not None and start is not None and end <= start


def test_max_duration_ends_a_run_that_goes_on_too_long() -> None:
    with engine() as eng:

        @kk.task(max_duration=300)
        async def long_task() -> None:
            await asyncio.sleep(3600)

        run = long_task.trigger()
        eng.advance(seconds=299)
        assert run.status == "EXECUTING"
        eng.advance(seconds=10)
        assert run.status == "TIMED_OUT"
        assert len(run.refresh().attempts) == 1


def test_global_hooks_run_for_every_task(stage: Stage) -> None:
    @kk.tasks.on_start
    def started(ctx: kk.Context, payload: Any, task: str) -> None:
        kk.logger.info(f"Run started {ctx.run.id} {task}")

    @kk.tasks.on_success
    async def finished(ctx: kk.Context, output: Any) -> None:
        kk.logger.info(f"Run finished {ctx.run.id} {output}")

    @kk.tasks.on_failure
    def failed(ctx: kk.Context, error: BaseException) -> None:
        kk.logger.info(f"Run failed {ctx.run.id} {error}")

    @kk.task
    async def good_one() -> int:
        return 1

    @kk.task(retries=1)
    def bad_one() -> None:
        raise ValueError("no")

    good, bad = good_one.trigger(), bad_one.trigger()

    ended(stage, good, [f"Run started {good.id} good-one", f"Run finished {good.id} 1"])
    ended(stage, bad, [f"Run started {bad.id} bad-one", f"Run failed {bad.id} no"])


def test_middleware_and_locals_share_a_database_between_hooks_and_body(stage: Stage) -> None:
    db_local: kk.Local[Json] = kk.locals.create("db")

    @kk.tasks.middleware("db")
    async def db(ctx: kk.Context, payload: Any, next: Any, task: str) -> None:
        connection = kk.locals.set(db_local, {"is_open": False})
        connection["is_open"] = True
        kk.logger.info("Connecting to the database")
        await next()
        connection["is_open"] = False
        kk.logger.info("Disconnecting from the database")

    @kk.task
    async def my_task() -> bool:
        kk.logger.info("body")
        return bool(kk.locals.get_or_raise(db_local)["is_open"])

    run = my_task.trigger()

    ended(stage, run, ["Connecting to the database", "body", "Disconnecting from the database"])
    assert run.result(timeout=30).output is True


def test_on_start_attempt_is_called_before_each_attempt_and_may_fail_it(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.05, randomize=False))
    async def task_with_on_start_attempt() -> str:
        return "ran"

    @task_with_on_start_attempt.on_start_attempt
    async def first(payload: Any, ctx: kk.Context) -> None:
        if ctx.run.attempt.number == 1:
            kk.logger.info("First attempt starting")
            raise RuntimeError("the attempt fails with this")

    run = task_with_on_start_attempt.trigger()

    ended(stage, run, ["First attempt starting"])
    assert [each.status for each in run.refresh().attempts] == ["FAILED", "COMPLETED"]
    assert run.result(timeout=30).output == "ran"


def test_on_success_is_given_the_output_and_what_it_raises_is_only_logged(stage: Stage) -> None:
    @kk.task
    async def task_with_on_success(n: int) -> int:
        return 2 * n

    @task_with_on_success.on_success
    def notify(payload: Any, output: int, ctx: kk.Context) -> None:
        raise ConnectionError(f"cannot tell anybody about {output}")

    run = task_with_on_success.trigger(n=4)
    stage.finish()

    assert run.result(timeout=30).output == 8
    stage.until(lambda: any("cannot tell anybody about 8" in line.text for line in run.logs().lines))


def test_on_complete_is_called_either_way(stage: Stage) -> None:
    @kk.task(retries=1)
    async def task_with_on_complete(n: int) -> float:
        return 10 / n

    @task_with_on_complete.on_complete
    async def tell(payload: Any, result: kk.Result[float], ctx: kk.Context) -> None:
        if result.ok:
            kk.logger.info(f"Run succeeded {result.output}")
        else:
            kk.logger.info(f"Run failed {result.error.message if result.error else None}")

    good, bad = task_with_on_complete.trigger(n=5), task_with_on_complete.trigger(n=0)

    ended(stage, good, ["Run succeeded 2.0"])
    ended(stage, bad, ["Run failed division by zero"])


def test_on_failure_is_called_once_all_attempts_are_spent(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=0.02, max_timeout=0.02, randomize=False))
    async def task_with_on_failure() -> None:
        raise ValueError(f"attempt {kk.ctx.attempt.number}")

    @task_with_on_failure.on_failure
    async def alert(payload: Any, error: BaseException, ctx: kk.Context) -> None:
        kk.logger.info(f"alert: {error}")

    run = task_with_on_failure.trigger()

    ended(stage, run, ["alert: attempt 3"])
    assert run.status == "FAILED"


def test_on_cancel_may_wait_for_the_body_which_takes_the_signal(stage: Stage) -> None:
    @kk.task
    async def cancel_example(message: str, signal: kk.CancelSignal) -> Json:
        kk.logger.info("began")
        await signal.wait()
        return {"message": message}

    @cancel_example.on_cancel
    async def canceled(run: Any) -> None:
        kk.logger.info(f"Run canceled with output {await run}")

    run = cancel_example.trigger(message="Hello, world!")
    stage.until(lambda: lines(run) == ["began"])
    run.cancel()

    ended(stage, run, ["began", "Run canceled with output {'message': 'Hello, world!'}"])
    assert run.status == "CANCELED"


def test_on_cancel_is_not_called_for_a_run_that_has_not_begun(stage: Stage) -> None:
    @kk.task
    async def later() -> None: ...

    @later.on_cancel
    def canceled() -> None:
        kk.logger.info("never")

    run = later.options(delay="1h").trigger()
    run.cancel()

    ended(stage, run, [])
    assert run.status == "CANCELED"
