"""Heartbeats and stalls (§25): a worker that answers nothing is given up, and a hot loop can let it answer.

The stalls need processes; how long a worker may be silent is a setting, here of two seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.testing import RealEngine, engine
from tests.behaviour.conftest import Stage, until

SOON = kk.Retry(max_attempts=2, min_timeout=0.05, max_timeout=0.05, randomize=False)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    """An engine that gives up a worker after two silent seconds."""
    with engine(home=tmp_path_factory.mktemp("impatient"), real_time=True, workers=2, stalled_after=2.5) as made:
        assert isinstance(made, RealEngine)
        with callers.use(made.caller):
            yield made


@kk.task(retry=SOON)
async def blocks_once(ctx: kk.Context) -> int:
    if ctx.attempt.number == 1:
        time.sleep(120)  # noqa: ASYNC251  # what the test is about
    return ctx.attempt.number


@kk.task(retry=None)
async def blocks() -> None:
    kk.metadata.set("began", True)
    kk.metadata.flush()
    await asyncio.sleep(0.2)  # for the loop to send it
    time.sleep(120)  # noqa: ASYNC251


def test_25_1_a_worker_that_answers_nothing_is_killed_and_its_attempt_is_made_again(impatient: RealEngine) -> None:
    result = blocks_once.trigger()
    assert result.result(timeout=60).output == 2

    lost = result.refresh().attempts[0]
    assert (lost.status, lost.error and lost.error.name) == ("CRASHED", "WorkerLostError")
    assert "had not answered for" in (lost.error.message if lost.error else "")
    assert "a body blocked its loop" in (lost.error.message if lost.error else "")


def test_25_1_without_attempts_left_the_run_is_crashed(impatient: RealEngine) -> None:
    run = blocks.trigger()

    result = run.result(timeout=60)

    assert (result.ok, run.status) == (False, "CRASHED")
    assert "had not answered for" in str(result.error)


def test_25_1_the_others_in_that_worker_lose_nothing_they_had_not_begun(impatient: RealEngine) -> None:
    @kk.task(retry=None)
    async def approved(token: str) -> bool:
        return bool((await kk.wait.for_token(token)).unwrap())

    @kk.task(retry=None)
    async def quick(ctx: kk.Context) -> int:
        return ctx.attempt.number

    # given a run that waits in the worker, and one that blocks it
    waiting = approved.trigger(token="approval")
    until(lambda: waiting.status == "WAITING")
    blocking = blocks.trigger()
    until(lambda: blocking.metadata == {"began": True})

    # when a third comes, whose only attempt is sent there as well
    late = quick.trigger()

    # then it is done by the next worker, and the waiting one goes on as soon as it may
    assert late.result(timeout=60).output == 1
    assert (len(late.refresh().attempts), waiting.status) == (1, "WAITING")
    kk.tokens.complete("approval", True)
    assert waiting.result(timeout=60).output is True
    assert len(waiting.refresh().attempts) == 1


def test_25_1_a_process_that_stands_still_is_given_up(impatient: RealEngine) -> None:
    @kk.task(retry=SOON)
    def stands_still(ctx: kk.Context) -> int:
        if ctx.attempt.number == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        return ctx.attempt.number

    run = stands_still.trigger()

    assert run.result(timeout=60).output == 2
    lost = run.refresh().attempts[0].error
    assert "its process stood still" in (lost.message if lost else "")


def test_25_1_a_plain_body_that_computes_in_c_is_not_given_up(impatient: RealEngine) -> None:
    @kk.task(retry=None)
    def computes() -> bool:
        began = time.perf_counter()
        sum(range(3_000_000))  # in C: no other thread runs meanwhile
        rounds = 3_000_000 * 5 / (time.perf_counter() - began)
        return sum(range(int(rounds))) > 0

    run = computes.trigger()

    assert run.result(timeout=90).output is True
    assert len(run.refresh().attempts) == 1


def test_25_2_yield_lets_others_have_their_turn(stage: Stage) -> None:
    @kk.task
    async def hot() -> bool:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while turns < 3:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(other())
        deadline = time.monotonic() + 30
        while not beside.done() and time.monotonic() < deadline:
            await kk.heartbeats.yield_()
        return beside.done()

    run = hot.trigger()
    stage.finish()

    assert run.result(timeout=30).output is True


def test_25_2_outside_a_run_yield_does_nothing() -> None:
    turned = False

    def turn() -> None:
        nonlocal turned
        turned = True

    async def outside() -> None:
        asyncio.get_running_loop().call_soon(turn)
        await kk.heartbeats.yield_()
        assert not turned

    asyncio.run(outside())


def test_25_2_a_hot_loop_pays_for_few_of_its_calls(stage: Stage) -> None:
    @kk.task
    async def counts() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(other())
        for _ in range(1_000):
            await kk.heartbeats.yield_()
        beside.cancel()
        return turns

    run = counts.trigger()
    stage.finish()

    assert run.result(timeout=30).output < 1_000


def test_25_3_a_canceled_body_that_is_deaf_is_ended_by_force(tmp_path: Path) -> None:
    @kk.task(retry=None)
    async def deaf() -> None:
        kk.metadata.set("began", True)
        kk.metadata.flush()
        await asyncio.sleep(0.2)  # for the loop to send it
        time.sleep(120)  # noqa: ASYNC251

    with engine(home=tmp_path, real_time=True, workers=1, cancel_grace=0.5):
        run = deaf.trigger()
        until(lambda: run.metadata == {"began": True})
        run.cancel()

        assert run.status == "CANCELED"
        until(lambda: run.refresh().finished_at is not None)
