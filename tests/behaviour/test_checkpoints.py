"""Runs that go on from their checkpoints: what is repeated when a worker is gone (nothing), and steps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import doubled, lose_workers, result, tripled, waits

pytestmark = pytest.mark.timeout(120)


def test_a_run_whose_worker_is_gone_goes_on_from_its_checkpoints_and_repeats_nothing(stage: Stage) -> None:
    @kk.task
    async def survivor() -> list[Any]:
        kk.metadata.increment("begun")
        kk.tags.add("begun")
        handle = doubled.trigger(n=1)
        first = await tripled.trigger_and_wait(n=1).unwrap()
        step = await kk.step("once", _stepped)
        many = await doubled.batch_trigger_and_wait([{"n": n} for n in range(3)])
        token = kk.tokens.create(tags=["survivor"])
        kk.metadata.set("token", token.id)
        answer = await kk.wait.for_token(token).unwrap()
        kk.metadata.increment("ended")
        return [first, step, [each.output for each in many], answer, (await handle).output]

    run = survivor.trigger()
    waits(stage, run, "token")

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "")
    kk.tokens.complete(run.metadata["token"], "yes")

    assert result(stage, run) == [3, 17, [0, 2, 4], "yes", 2]
    ended = run.refresh()
    assert ended.children == 5
    assert {key: ended.metadata.get(key) for key in ("begun", "stepped", "ended")} == dict.fromkeys(
        ("begun", "stepped", "ended"), 1
    )
    assert len(ended.attempts) == 1 and ended.tags.count("begun") == 1


def test_a_plain_run_whose_worker_is_gone_goes_on_from_its_checkpoints(stage: Stage) -> None:
    @kk.task
    def plain_survivor() -> list[Any]:
        first = tripled.trigger_and_wait(n=1).unwrap().result()
        token = kk.tokens.create()
        kk.metadata.set("token", token.id)
        answer = kk.wait.for_token(token).unwrap().result()
        return [first, answer, kk.step("last", lambda: "kept").result()]

    run = plain_survivor.trigger()
    waits(stage, run, "token")

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "")
    kk.tokens.complete(run.metadata["token"], "yes")

    assert result(stage, run) == [3, "yes", "kept"]
    assert (run.refresh().children, len(run.refresh().attempts)) == (1, 1)


def test_a_body_that_goes_another_way_when_it_is_resumed_fails_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    @kk.task(retry=None)
    async def moody() -> None:
        await doubled.trigger_and_wait(n=len(os.environ["MOOD"]))
        await kk.wait.for_token("moody")

    monkeypatch.setenv("MOOD", "one")
    with engine() as eng:
        assert isinstance(eng, VirtualEngine)
        run = moody.trigger()
        eng.drain()
        assert run.status == "WAITING"
        monkeypatch.setenv("MOOD", "another")
        eng.lose_workers()
        kk.tokens.complete("moody")
        eng.drain()
        assert run.error is not None and run.error.name == "ReplayDivergedError"
        assert "wait task doubled" in run.error.message


def test_results_of_steps_hold_for_all_attempts(stage: Stage) -> None:
    @kk.task(retry=kk.Retry(max_attempts=3, min_timeout=0.01, max_timeout=0.02))
    async def charging(order: int) -> list[Any]:
        receipt = await kk.step("charge", _charge, order)
        if kk.ctx.attempt.number < 3:
            raise ConnectionError("try again")
        return [receipt, kk.ctx.attempt.number]

    run = charging.trigger(order=7)
    stage.finish()

    assert run.result(timeout=30).unwrap() == ["receipt of 7", 3]
    assert run.refresh().metadata == {"charges": 1}


def _stepped() -> int:
    kk.metadata.increment("stepped")
    return 17


async def _charge(order: int) -> str:
    kk.metadata.increment("charges")
    return f"receipt of {order}"


def test_a_process_of_its_own_is_let_go_after_a_while_and_the_run_goes_on_elsewhere() -> None:
    @kk.task
    def held() -> str:
        kk.wait.for_(hours=1).result()
        return "rested"

    with engine(hold_for=60) as eng:
        run = held.trigger()
        eng.advance(seconds=30)
        assert run.refresh().attempts[-1].worker
        eng.advance(minutes=5)
        assert (run.status, run.refresh().attempts[-1].worker) == ("WAITING", "")
        eng.advance(hours=1)
        assert run.output == "rested"


def test_waits_refuse_what_they_cannot_read() -> None:
    @kk.task(retry=None)
    async def asking(how: str) -> str:
        try:
            match how:
                case "naive":
                    kk.wait.until(datetime(2030, 1, 1))
                case "both":
                    kk.wait.for_("5m", minutes=1)
                case "token":
                    kk.wait.for_token(17)  # type: ignore[call-overload]  # the mistake
                case "timeout":
                    kk.tokens.create(timeout=timedelta(0))
        except kk.KernelKitError as error:
            return str(error)
        return "no error"

    with engine() as eng:
        runs = {how: asking.trigger(how=how) for how in ("naive", "both", "token", "timeout")}
        eng.drain()
        told = {how: str(run.output) for how, run in runs.items()}

    assert "time zone" in told["naive"]
    assert "not both" in told["both"]
    assert "17 is neither a token" in told["token"]
    assert "no time to complete" in told["timeout"]


@dataclass
class Receipt:
    number: int
    at: datetime


def test_results_of_steps_are_what_their_function_says_it_returns(stage: Stage) -> None:
    def charge(number: int) -> Receipt:
        return Receipt(number, datetime(2030, 1, 1, tzinfo=UTC))

    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.01))
    async def charges(ctx: kk.Context) -> list[object]:
        receipt = await kk.step("charge", charge, ctx.attempt.number * 0 + 7)
        if ctx.attempt.number == 1:
            kk.metadata.set("first", [type(receipt).__name__, receipt.at.year])
            raise ValueError("again")
        return [type(receipt).__name__, receipt.number, receipt.at.year]

    @kk.task(retry=None)
    def charges_plain() -> list[object]:
        receipt = kk.step("charge", charge, 8).result()
        return [type(receipt).__name__, receipt.number, receipt.at.year]

    run, plain = charges.trigger(), charges_plain.trigger()
    stage.finish()

    assert run.result(timeout=30).output == ["Receipt", 7, 2030]
    assert run.refresh().metadata == {"first": ["Receipt", 2030]}
    assert plain.result(timeout=30).output == ["Receipt", 8, 2030]
