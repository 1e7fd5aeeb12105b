from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.until_done import wait_until_done
from kernelkit.errors import CompleteTaskWithOutput, InvalidOptionError, NotInTaskError
from kernelkit.execution.body import BodyInterrupted
from kernelkit.execution.runner import run_async_attempt, stop_body
from kernelkit.wire.messages import ChangeMetadata, Failed, Stopped, Succeeded
from tests.execution.attempts import Attempt, loaded
from tests.execution.test_runner import run


def test_30_1_a_body_may_end_with_success_from_anywhere_below_it() -> None:
    def deep(n: int) -> None:
        raise CompleteTaskWithOutput({"n": n})

    def plain() -> int:
        deep(1)
        return 0

    async def awaiting() -> int:
        await asyncio.sleep(0)
        deep(2)
        return 0

    for function, output in ((plain, '{"n":1}'), (awaiting, '{"n":2}')):
        outcome = run(function)
        assert isinstance(outcome, Succeeded)
        assert outcome.output.text == output


def test_an_output_that_json_cannot_carry_fails_here_as_well() -> None:
    def wrong() -> None:
        raise CompleteTaskWithOutput(object())

    outcome = run(wrong)

    assert isinstance(outcome, Failed)
    assert outcome.error.name == "OutputNotSerializableError"
    assert not outcome.retry


def test_34_4_the_run_ends_only_after_what_it_was_given() -> None:
    order: list[str] = []
    attempt = Attempt()

    async def later(name: str) -> None:
        await asyncio.sleep(0.01)
        order.append(name)
        metadata.set(name, True)
        if name == "first":
            wait_until_done(later("second"))

    async def awaiting() -> str:
        wait_until_done(later("first"))
        order.append("body")
        return "x"

    outcome = run(awaiting, attempt=attempt)

    assert isinstance(outcome, Succeeded)
    assert outcome.output.text == '"x"'
    assert order == ["body", "first", "second"]
    assert [op.key for body in attempt.reports if isinstance(body, ChangeMetadata) for op in body.ops] == [
        "first",
        "second",
    ]


def test_34_4_a_plain_body_may_give_a_coroutine_or_a_future_of_a_pool() -> None:
    order: list[str] = []
    released = threading.Event()

    async def later() -> None:
        order.append("coroutine")
        released.set()

    def work() -> None:
        released.wait(5)
        order.append("thread")

    def plain() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: None)
        wait_until_done(future)
        wait_until_done(asyncio_free(work))
        wait_until_done(later())
        order.append("body")

    def asyncio_free(fn: Any) -> concurrent.futures.Future[None]:
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        threading.Thread(target=lambda: future.set_result(fn())).start()
        return future

    assert isinstance(run(plain), Succeeded)
    assert order == ["body", "coroutine", "thread"]


def test_what_fails_afterwards_is_logged_and_the_result_stands() -> None:
    attempt = Attempt()

    async def fails() -> None:
        raise ValueError("no space for statistics")

    async def awaiting() -> int:
        wait_until_done(fails())
        return 1

    outcome = run(awaiting, attempt=attempt)

    assert isinstance(outcome, Succeeded)
    [(level, text)] = attempt.lines
    assert level == "error"
    assert "ValueError: no space for statistics" in text


def test_it_is_waited_for_also_when_the_body_fails() -> None:
    done = []

    async def later() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    async def awaiting() -> None:
        wait_until_done(later())
        raise KeyError("body")

    outcome = run(awaiting)

    assert isinstance(outcome, Failed)
    assert outcome.error.name == "KeyError"
    assert done == [1]


@pytest.mark.parametrize("in_body", [True, False])
def test_a_cancel_reaches_it_in_the_body_and_after(in_body: bool) -> None:
    attempt = Attempt()
    told: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def story() -> object:
        body_over, begun = asyncio.Event(), asyncio.Event()

        async def awaiting() -> None:
            wait_until_done(endless())
            begun.set()
            if in_body:
                await asyncio.sleep(60)
            body_over.set()

        task = asyncio.create_task(run_async_attempt(loaded(awaiting), attempt.scope))
        await (begun if in_body else body_over).wait()
        await asyncio.sleep(0)
        await stop_body(task, attempt.scope, "Canceled by user", signal_s=0)
        return await task

    assert isinstance(asyncio.run(story()), Stopped)
    assert told == ["cancelled"]


def test_an_interrupt_reaches_it_after_a_plain_body() -> None:
    attempt = Attempt()

    async def interrupted() -> None:
        attempt.scope.stop_reason = "Canceled by user"
        raise BodyInterrupted

    def plain() -> None:
        wait_until_done(interrupted())

    assert isinstance(run(plain, attempt=attempt), Stopped)


def test_what_cannot_be_awaited_is_refused() -> None:
    async def f() -> None: ...

    async def awaiting() -> None:
        with pytest.raises(InvalidOptionError, match=r"f\(\)\), not kk"):
            wait_until_done(f)  # type: ignore[arg-type]  # the point of the test

    assert isinstance(run(awaiting), Succeeded)
    with pytest.raises(NotInTaskError, match="wait_until_done"):
        wait_until_done(concurrent.futures.Future())
