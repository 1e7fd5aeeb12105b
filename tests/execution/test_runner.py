from __future__ import annotations

import asyncio
import contextvars
import os
import signal as signals
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest

from kernelkit.authoring.cancelsignal import CancelSignal
from kernelkit.authoring.ctx import ctx
from kernelkit.authoring.line import Line
from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.scope import Scope, marked, no_waits
from kernelkit.authoring.tags import tags
from kernelkit.errors import AbortTaskRunError, NotInTaskError, OutOfMemoryError, UnknownTaskError
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.ends import Outcome
from kernelkit.execution.runner import run_async_attempt, run_sync_attempt, stop_body
from kernelkit.wire.messages import AddTags, ChangeMetadata, Failed, Stopped, Succeeded
from tests.execution.attempts import Attempt, loaded, start_of


def run(function: Any, payload: object = None, attempt: Attempt | None = None) -> Outcome:  # a task function
    attempt = attempt or Attempt(start_of(payload))
    if asyncio.iscoroutinefunction(function):
        return asyncio.run(run_async_attempt(loaded(function), attempt.scope))
    return run_sync_attempt(loaded(function), attempt.scope)


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_an_async_body_gets_its_payload_and_its_output_is_kept() -> None:
    async def double(n: int, times: int = 2) -> int:
        await asyncio.sleep(0)
        return n * times

    outcome = run(double, {"n": "21"})

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == "42"
    assert outcome.output.size == 2
    assert outcome.finished_at >= outcome.started_at > 0


def test_a_plain_body_runs_on_this_thread() -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    outcome = run(where)

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == "true"


def test_a_payload_that_does_not_fit_fails_without_calling_the_body_or_trying_again() -> None:
    called = []

    def body(n: int) -> None:
        called.append(n)

    outcome = failure(run(body, {"n": "many"}))

    assert outcome.error.name == "PayloadValidationError"
    assert not outcome.retry
    assert not called


def test_an_error_carries_words_traceback_and_frames_that_begin_with_the_body() -> None:
    def inner() -> None:
        raise ValueError("no such row")

    async def body() -> None:
        inner()

    outcome = failure(run(body))

    assert outcome.retry
    assert (outcome.error.name, outcome.error.message, outcome.error.code) == ("ValueError", "no such row", "")
    assert "kernelkit/execution/runner.py" not in outcome.error.traceback
    assert [frame.source.strip() for frame in outcome.error.frames] == ["inner()", 'raise ValueError("no such row")']
    assert all(frame.own for frame in outcome.error.frames)
    assert outcome.error.frames[0].before.strip() == "async def body() -> None:"


@pytest.mark.parametrize("leave", [lambda: sys.exit(3), lambda: exit(3)])
def test_sys_exit_is_a_failed_attempt_in_plain_words(leave: Any) -> None:  # how a body may leave
    async def body() -> None:
        leave()

    def plain() -> None:
        leave()

    for each in (body, plain):
        outcome = failure(run(each))
        assert outcome.error.message == "the task called sys.exit(3)"
        assert outcome.retry


def test_every_way_to_leave_a_body_is_an_ordinary_outcome() -> None:
    class Odd(BaseException):
        def __str__(self) -> str:
            raise RuntimeError

    for raised in (KeyboardInterrupt(), GeneratorExit(), Odd(), asyncio.CancelledError()):

        async def body(raised: Any = raised) -> None:
            raise raised

        async def attempt(body: Any = body) -> Outcome:
            one = Attempt()
            return await run_async_attempt(loaded(_without_parameters(body)), one.scope)

        assert failure(asyncio.run(attempt())).error.name == type(raised).__name__


def _without_parameters(body: Any) -> Any:
    async def bare() -> None:
        await body()

    return bare


def test_a_cancellation_of_the_bodys_own_making_is_told_apart() -> None:
    async def body() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    outcome = failure(run(body))

    assert outcome.error.name == "CancelledError"
    assert "nobody asked the run to stop" in outcome.error.message


def test_a_cancellation_from_outside_passes() -> None:
    async def body() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(run_async_attempt(loaded(body), Attempt().scope))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_aborting_forbids_further_attempts() -> None:
    def body() -> None:
        raise AbortTaskRunError("the account is closed")

    outcome = failure(run(body))

    assert not outcome.retry
    assert (outcome.error.name, outcome.error.code) == ("AbortTaskRunError", "abort_task_run")


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("too much")])
def test_running_out_of_memory_is_marked(error: BaseException) -> None:
    def body() -> None:
        raise error

    outcome = failure(run(body))

    assert outcome.out_of_memory
    assert outcome.error.message


def test_an_output_that_is_no_json_names_what_it_holds_and_is_not_tried_again() -> None:
    def body() -> object:
        return {"handle": threading.Lock()}

    outcome = failure(run(body))

    assert outcome.error.name == "OutputNotSerializableError"
    assert "_thread.lock" in outcome.error.message
    assert not outcome.retry


def test_an_output_over_the_limit_is_refused() -> None:
    def body() -> str:
        return "x" * 10_485_760

    outcome = failure(run(body))

    assert outcome.error.name == "OutputTooLargeError"
    assert not outcome.retry


def test_ctx_and_signal_are_handed_in_and_found_below_the_body() -> None:
    def below() -> tuple[Any, ...]:
        assert ctx.batch is not None
        return (ctx.run.id, ctx.task.id, ctx.attempt.number, ctx.run.attempt.number, ctx.queue.name, ctx.batch.id)

    def body(ctx: Any, signal: CancelSignal) -> tuple[Any, ...]:
        assert not signal.is_set()
        assert ctx.run.created_at.tzinfo is not None
        return below()

    outcome = run(body, attempt=Attempt(start_of(attempt=2, batch_id="batch_1")))

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == '["run_1","a-task",2,2,"task/a-task","batch_1"]'


def test_outside_a_run_the_context_explains_itself() -> None:
    with pytest.raises(NotInTaskError, match=r"kk\.ctx\.run"):
        _ = ctx.run
    assert "outside a run" in repr(ctx)


def test_two_attempts_at_once_each_see_their_own_run() -> None:
    async def body() -> str:
        before = ctx.run.id
        await asyncio.sleep(0.001)
        assert before == ctx.run.id == await asyncio.to_thread(lambda: ctx.run.id)
        return str(ctx.run.id)

    async def main() -> list[Outcome]:
        attempts = [Attempt(start_of(run_id=f"run_{n}")) for n in range(5)]
        return await asyncio.gather(*(run_async_attempt(loaded(body), each.scope) for each in attempts))

    texts = [outcome.output.text for outcome in asyncio.run(main()) if isinstance(outcome, Succeeded)]
    assert texts == [f'"run_{n}"' for n in range(5)]


def test_metadata_leaves_before_the_end() -> None:
    attempt = Attempt()

    def body() -> None:
        metadata.set("a", 1).increment("a")
        tags.add("one")

    outcome = run(body, attempt=attempt)

    assert isinstance(outcome, Succeeded)
    assert [type(report) for report in attempt.reports] == [AddTags, ChangeMetadata]


def test_stopping_a_body_without_signal_cancels_it_at_once() -> None:
    seen: list[str] = []

    async def body() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cleaned")
            await asyncio.sleep(0)
            seen.append("and awaited")

    async def main() -> Outcome:
        attempt = Attempt()
        task = asyncio.create_task(run_async_attempt(loaded(body), attempt.scope))
        await asyncio.sleep(0)
        await stop_body(task, attempt.scope, "Canceled by user", signal_s=30)
        return await task

    assert isinstance(asyncio.run(main()), Stopped)
    assert seen == ["cleaned", "and awaited"]


def test_a_body_with_signal_may_end_by_itself() -> None:
    seen: list[str | None] = []

    async def body(signal: CancelSignal) -> str:
        await signal.wait()
        seen.append(signal.reason)
        return "done"

    async def main() -> Outcome:
        attempt = Attempt()
        task = asyncio.create_task(run_async_attempt(loaded(body), attempt.scope))
        await asyncio.sleep(0)
        await stop_body(task, attempt.scope, "Canceled by user", signal_s=30)
        return await task

    assert isinstance(asyncio.run(main()), Stopped)
    assert seen == ["Canceled by user"]


def test_a_body_deaf_to_its_signal_is_cancelled_after_its_time() -> None:
    async def body(signal: CancelSignal) -> None:
        await asyncio.sleep(60)

    async def main() -> Outcome:
        attempt = Attempt()
        task = asyncio.create_task(run_async_attempt(loaded(body), attempt.scope))
        await asyncio.sleep(0)
        await stop_body(task, attempt.scope, "Canceled by user", signal_s=0.01)
        return await task

    assert isinstance(asyncio.run(main()), Stopped)


def test_an_interrupt_ends_a_plain_body_that_swallows_exceptions() -> None:
    attempt = Attempt()

    def body() -> None:
        while True:
            try:
                time.sleep(0.01)
                attempt.scope.stop_reason = "Canceled by user"
                os.kill(os.getpid(), signals.SIGUSR1)
            except Exception:
                pass

    def interrupt(number: int, frame: FrameType | None) -> None:
        if attempt.scope.in_body:
            raise BodyInterrupted

    before = signals.signal(signals.SIGUSR1, interrupt)
    try:
        assert isinstance(run(body, attempt=attempt), Stopped)
    finally:
        signals.signal(signals.SIGUSR1, before)


def test_a_refusal_is_raised_at_the_next_call() -> None:
    attempt = Attempt(numbered=True)
    caught: list[str] = []

    def body() -> None:
        tags.add("one")
        attempt.scope.refuse(1, UnknownTaskError("No task 'x'."))
        try:
            tags.add("two")
        except UnknownTaskError as error:
            caught.append(str(error))

    assert isinstance(run(body, attempt=attempt), Succeeded)
    assert caught == ["No task 'x'."]


def test_success_waits_for_what_the_body_reported_and_a_refusal_fails_it_naming_the_line() -> None:
    attempt = Attempt(numbered=True)

    async def body() -> None:
        tags.add("one")

    async def main() -> Outcome:
        task = asyncio.create_task(run_async_attempt(loaded(body), attempt.scope))
        await asyncio.sleep(0.01)
        assert not task.done()
        attempt.scope.refuse(1, UnknownTaskError("No task 'x'."))
        return await task

    outcome = failure(asyncio.run(main()))
    assert outcome.error.name == "UnknownTaskError"
    assert "No task 'x'." in outcome.error.message
    assert "test_runner.py, line" in outcome.error.message


def test_success_follows_once_all_reports_are_settled() -> None:
    attempt = Attempt(numbered=True)

    async def body() -> None:
        tags.add("one")
        tags.add("two")

    async def main() -> Outcome:
        task = asyncio.create_task(run_async_attempt(loaded(body), attempt.scope))
        await asyncio.sleep(0)
        attempt.scope.settle(1)
        await asyncio.sleep(0.01)
        assert not task.done()
        attempt.scope.settle(2)
        return await task

    assert isinstance(asyncio.run(main()), Succeeded)


def test_long_tracebacks_and_messages_are_cut() -> None:
    def sink(depth: int) -> None:
        if not depth:
            raise ValueError("x" * 5_000 + "\0")
        sink(depth - 1)

    def body() -> None:
        sink(200)

    error = failure(run(body)).error

    assert len(error.message) == 1_000
    assert len(error.frames) == 50
    assert "frames left out" in error.traceback
    assert max(map(len, error.traceback.splitlines())) <= 1_024


def test_an_answer_that_comes_before_its_report_is_entered_is_not_lost() -> None:
    # given an engine whose answer is quicker than the call that asked
    answers: list[threading.Thread] = []

    def report(scope: Scope, body: object) -> int:
        answers.append(threading.Thread(target=scope.settle, args=(1,)))
        answers[0].start()
        answers[0].join(0.05)
        return 1

    scope = Scope(start_of(), Line(report, lambda *_: None))

    # when
    scope.post(AddTags(tags=("a",), op="tags:1"), None)
    answers[0].join()

    # then
    assert not scope.has_open_reports


def test_a_body_that_is_collected_during_another_run_leaves_that_run_its_context() -> None:
    async def never() -> None:
        with marked(no_waits, "in a hook"):
            await asyncio.sleep(0)

    gone = run_async_attempt(loaded(never), Attempt(start_of(run_id="run_gone")).scope)

    async def collects() -> str:
        contextvars.Context().run(gone.send, None)  # it waits, and is never asked again
        gone.close()  # as the collector does it, wherever it happens to be at work
        return ctx.run.id

    outcome = run(collects)

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == '"run_1"'
