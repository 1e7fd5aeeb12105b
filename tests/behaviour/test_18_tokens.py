"""Tokens, by section 18 of the specification and what was decided: waited for, completed, asked of a person."""

from __future__ import annotations

from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import result, waits

pytestmark = pytest.mark.timeout(120)


@kk.task
async def approved(token: str, within: str | None = None) -> list[Any]:
    answer = await kk.wait.for_token(token, timeout=within)
    return [answer.ok, answer.output, answer.error and answer.error.name]


def test_18_3_whoever_waits_for_a_token_goes_on_with_what_it_was_completed_with(stage: Stage) -> None:
    token = kk.tokens.create(timeout="1h", tags=["invoice"])
    runs = [approved.trigger(token=token.id) for _ in range(3)]
    for run in runs:
        waits(stage, run, "token")

    assert token.complete({"approved": True}).status == "COMPLETED"
    assert kk.tokens.complete(token.id, {"approved": False}).output == {"approved": True}

    assert [result(stage, run) for run in runs] == [[True, {"approved": True}, None]] * 3
    assert kk.tokens.retrieve(token.id).tags == ("invoice",)
    assert token in kk.tokens.list(tag="invoice", status="completed")


def test_18_8_a_token_completed_beforehand_holds_nobody_up(stage: Stage) -> None:
    kk.tokens.complete(f"early-{stage.is_virtual}", 17)

    assert result(stage, approved.trigger(token=f"early-{stage.is_virtual}")) == [True, 17, None]


def test_18_a_name_makes_a_token_at_its_first_use(stage: Stage) -> None:
    name = f"deploy-{stage.is_virtual}"
    run = approved.trigger(token=name)
    waits(stage, run, "token")
    assert kk.tokens.retrieve(name).name == name

    kk.tokens.complete(name)

    assert result(stage, run) == [True, None, None]


def test_18_9_a_key_gives_the_token_that_has_it(stage: Stage) -> None:
    first = kk.tokens.create(idempotency_key=f"k-{stage.is_virtual}")
    again = kk.tokens.create(idempotency_key=f"k-{stage.is_virtual}")

    assert (again.id, again.is_cached, first.is_cached) == (first.id, True, False)


def test_18_4_an_unknown_token_is_refused_with_words(stage: Stage) -> None:
    with pytest.raises(kk.UnknownTokenError, match="There is no token 'waitpoint_0000"):
        kk.tokens.complete("waitpoint_000000000000000000", 1)

    @kk.task(retry=None)
    async def hopeless() -> None:
        await kk.wait.for_token("waitpoint_000000000000000000")

    run = hopeless.trigger()
    if stage.is_virtual:
        stage.engine.drain()
    error = run.result(timeout=30).error
    assert error is not None and error.name == "UnknownTokenError"


def test_18_6_tokens_and_waits_for_them_time_out() -> None:
    with engine() as eng:
        token = kk.tokens.create(timeout="2h")
        run, brief = approved.trigger(token=token.id), approved.trigger(token=token.id, within="1h")
        eng.advance(minutes=90)
        assert (run.status, brief.output) == ("WAITING", [False, None, "WaitTimeoutError"])
        eng.advance(hours=1)
        assert run.output == [False, None, "WaitTimeoutError"]
        assert token.refresh().status == "TIMED_OUT"

        @kk.task(retry=None)
        async def strict() -> None:
            await kk.wait.for_token("nobody", timeout="1h").unwrap()

        failed = strict.trigger()
        eng.advance(hours=2)
        assert failed.error is not None and failed.error.name == "WaitTimeoutError"


def test_a_token_made_and_completed_inside_runs(stage: Stage) -> None:
    @kk.task
    async def completes(token: str) -> None:
        kk.tokens.complete(token, ["from", "inside"])

    @kk.task
    async def asks() -> Any:
        token = kk.tokens.create()
        completes.trigger(token=token.id)
        return await kk.wait.for_token(token).unwrap()

    completes.register()
    assert result(stage, asks.trigger()) == ["from", "inside"]


# ---- 18: what a person is asked, beside streams ----------------------------------------------------------------------


@kk.task
async def asks_a_person() -> list[Any]:
    token = kk.tokens.create(question="Pay?", context={"amount": 12.5, "to": "Nordlicht"}, timeout="1h")
    kk.metadata.set("token", token.id)
    answer = await kk.wait.for_token(token).unwrap()
    return [answer]


def test_18_a_token_has_a_question_its_context_and_who_answered(stage: Stage) -> None:
    run = asks_a_person.trigger()
    waits(stage, run, "token")
    token = kk.tokens.retrieve(run.metadata["token"])
    assert (token.question, token.context) == ("Pay?", {"amount": 12.5, "to": "Nordlicht"})
    assert token.completed_by is None
    waiting = run.refresh().waiting_for[0]
    assert waiting.until == token.timeout_at, "a token's own timeout is told as well"

    token.complete({"approved": True})

    assert result(stage, run) == [{"approved": True}]
    assert token.refresh().completed_by


def test_18_a_run_that_answers_is_named(stage: Stage) -> None:
    @kk.task
    async def answers(token: str) -> None:
        kk.tokens.complete(token, "by a run")

    token = kk.tokens.create()
    run = answers.trigger(token=token.id)
    result(stage, run)

    assert (token.refresh().output, token.completed_by) == ("by a run", run.id)


def test_18_a_question_has_limits(stage: Stage) -> None:
    with pytest.raises(kk.InvalidOptionError, match="1,001 characters; at most 1,000"):
        kk.tokens.create(question="x" * 1_001)
    with pytest.raises(kk.InvalidOptionError, match="at most 4,096 are kept"):
        kk.tokens.create(context={"x": "y" * 5_000})
    with pytest.raises(kk.InvalidOptionError, match="no named fields"):
        kk.tokens.create(context=[1])  # type: ignore[call-overload]  # what people type
