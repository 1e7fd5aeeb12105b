from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from kernelkit.authoring import retry as room
from kernelkit.authoring.retry import retry
from kernelkit.authoring.scope import scope
from kernelkit.errors import AbortTaskRunError, CompleteTaskWithOutput, InvalidOptionError
from tests.execution.attempts import Attempt


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which take no time."""
    waited: list[float] = []

    async def pause(seconds: float, error: BaseException | None) -> None:
        waited.append(seconds)

    def pause_sync(seconds: float, error: BaseException | None) -> None:
        waited.append(seconds)

    monkeypatch.setattr(room, "pause", pause)
    monkeypatch.setattr(room, "pause_sync", pause_sync)
    return waited


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(f"failure {self.calls}")
        return "answer"


async def awaited(trying: Any) -> Any:
    return await trying


@pytest.mark.parametrize("way", ["await", "result"])
def test_31_1_three_tries_are_the_default(pauses: list[float], way: str) -> None:
    for failures, calls in ((0, 1), (2, 3), (5, 3)):
        flaky = Flaky(failures)
        trying = retry.on_throw(flaky, randomize=False)

        def ask(trying: Any = trying) -> Any:
            return trying.result() if way == "result" else asyncio.run(awaited(trying))

        if failures < 3:
            assert ask() == "answer"
        else:
            with pytest.raises(OSError, match="failure 3"):
                ask()
        assert flaky.calls == calls
    assert pauses == [1.0, 2.0, 1.0, 2.0]


def test_nothing_happens_before_it_is_awaited() -> None:
    flaky = Flaky(0)

    trying = retry.on_throw(flaky)

    assert flaky.calls == 0
    assert "Flaky" in repr(trying) and ".result()" in repr(trying)


def test_the_function_may_be_async_and_ask_for_its_number(pauses: list[float]) -> None:
    seen = []

    async def numbered(attempt: int, max_attempts: int = 0, other: str = "own") -> str:
        seen.append((attempt, max_attempts, other))
        if attempt < 3:
            raise ValueError
        return "well"

    assert asyncio.run(awaited(retry.on_throw(numbered, max_attempts=4))) == "well"
    assert retry.on_throw(numbered, max_attempts=4).result() == "well"
    assert seen == [(1, 4, "own"), (2, 4, "own"), (3, 4, "own")] * 2


@pytest.mark.parametrize("error", [AbortTaskRunError("no more"), CompleteTaskWithOutput(1)])
def test_31_1_errors_that_steer_the_run_pass_at_once(pauses: list[float], error: Exception) -> None:
    calls = []

    def steers() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        retry.on_throw(steers).result()
    with pytest.raises(type(error)):
        asyncio.run(awaited(retry.on_throw(steers)))
    assert len(calls) == 2
    assert pauses == []


def test_a_cancellation_is_no_failure(pauses: list[float]) -> None:
    calls = []

    async def cancelled() -> None:
        calls.append(1)
        raise asyncio.CancelledError

    async def body() -> None:
        with pytest.raises(asyncio.CancelledError):
            await retry.on_throw(cancelled)

    asyncio.run(body())
    assert calls == [1]


def test_waits_are_those_of_kk_retry(pauses: list[float]) -> None:
    with pytest.raises(OSError):
        retry.on_throw(Flaky(9), max_attempts=5, factor=3, min_timeout=0.5, max_timeout="5s", randomize=False).result()

    assert pauses == [0.5, 1.5, 4.5, 5.0]


def test_each_try_is_told_in_the_log(pauses: list[float]) -> None:
    attempt = Attempt()
    token = scope.set(attempt.scope)
    try:
        retry.on_throw(Flaky(1), randomize=False).result()
    finally:
        scope.reset(token)

    assert attempt.lines == [
        ("warn", "retry.on_throw: try 1 of 3 failed with OSError: failure 1; the next in 1 s"),
    ]


@pytest.mark.parametrize("wrong", [None, "f", Flaky(0)()])
def test_what_is_no_function_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidOptionError, match="takes a function"):
        retry.on_throw(wrong)


def test_a_function_that_needs_arguments_is_refused_with_the_way_to_give_them() -> None:
    with pytest.raises(InvalidOptionError, match=r"lambda: f\(x\)"):
        retry.on_throw(lambda row: row)
    with pytest.raises(InvalidOptionError, match="max_attempts"):
        retry.on_throw(Flaky(0), max_attempts=0)


@pytest.fixture
def stopped() -> Iterator[Attempt]:
    """An attempt that takes `signal`, and was asked to stop."""
    attempt = Attempt()
    attempt.scope.takes_signal = True
    attempt.scope.stop_reason = "Canceled by user"
    attempt.scope.signal.set("Canceled by user")
    token = scope.set(attempt.scope)
    yield attempt
    scope.reset(token)


def test_a_run_that_is_to_stop_tries_no_more(stopped: Attempt) -> None:
    plain, awaitable = Flaky(9), Flaky(9)

    with pytest.raises(OSError, match="failure 1"):
        retry.on_throw(plain, min_timeout=30).result()
    with pytest.raises(OSError, match="failure 1"):
        asyncio.run(awaited(retry.on_throw(awaitable, min_timeout=30)))

    assert (plain.calls, awaitable.calls) == (1, 1)
