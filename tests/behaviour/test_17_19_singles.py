"""Paragraphs of §17 to §19 that one test each is enough for: waits, tokens, and what suspended runs hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine, engine
from tests.behaviour.conftest import Stage

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_17_5_a_wait_whose_key_is_over_takes_no_time() -> None:
    @kk.task
    async def keyed() -> None:
        await kk.wait.for_(minutes=10, idempotency_key="of-17-5")

    with engine(now=START) as eng:
        first = keyed.trigger()
        eng.advance(minutes=11)
        second = keyed.trigger()
        eng.drain()

        assert first.refresh().finished_at == START + timedelta(minutes=10)
        assert second.refresh().finished_at == START + timedelta(minutes=11)


def test_18_1_a_token_is_made_inside_a_run_or_outside(stage: Stage) -> None:
    @kk.task
    async def makes() -> str:
        return kk.tokens.create(tags=["of-18-1"]).id

    outside = kk.tokens.create(tags=["of-18-1"])
    run = makes.trigger()
    stage.finish()
    inside = kk.tokens.retrieve(run.result(timeout=20).output)

    assert (outside.id[:10], inside.id[:10]) == ("waitpoint_", "waitpoint_")
    assert (outside.is_cached, outside.status, inside.status, inside.tags) == (
        False,
        "WAITING",
        "WAITING",
        ("of-18-1",),
    )
    assert {token.id for token in kk.tokens.list(tag="of-18-1")} == {outside.id, inside.id}


def test_18_2_without_a_timeout_a_token_waits_for_ever() -> None:
    with engine(now=START) as eng:
        for_ever, dated = kk.tokens.create(), kk.tokens.create(timeout=START + timedelta(hours=1))
        eng.advance(days=3_000)

        assert (for_ever.status, for_ever.timeout_at) == ("WAITING", None)
        assert (dated.status, dated.completed_at) == ("TIMED_OUT", START + timedelta(hours=1))


@pytest.mark.parametrize("tags", [[f"t{n}" for n in range(11)], ["x" * 129], [3]])
def test_18_2_a_tokens_tags_are_as_few_and_short_as_a_runs(tags: list[Any], kk_engine: VirtualEngine) -> None:
    with pytest.raises(kk.InvalidOptionError):
        kk.tokens.create(tags=tags)
    assert len(kk.tokens.list()) == 0


def test_18_7_tokens_are_looked_at_and_listed(kk_engine: VirtualEngine) -> None:
    tokens = [kk.tokens.create(tags=["invoice" if n % 2 else "order"], idempotency_key=f"k{n}") for n in range(5)]
    tokens[1].complete({"approved": True})

    told = kk.tokens.retrieve(tokens[1].id)
    assert (told.status, told.output, told.error, told.idempotency_key) == ("COMPLETED", {"approved": True}, None, "k1")
    assert told.completed_at is not None and told.created_at <= told.completed_at
    assert [each.id for each in kk.tokens.list(status="WAITING", tag="invoice")] == [tokens[3].id]
    assert [each.id for each in kk.tokens.list(idempotency_key="k2")] == [tokens[2].id]
    first = kk.tokens.list(limit=2)
    second = first.next()
    assert second is not None
    listed = [each.id for each in (*first, *second)]
    assert len(set(listed)) == 4 and set(listed) <= {each.id for each in tokens}


def held(eng: Any) -> int:
    """Slots in use in the whole project."""
    eng.drain()
    return sum(queue.running for queue in kk.queues.list())


def test_19_1_a_run_that_does_something_beside_its_wait_executes() -> None:
    @kk.task
    async def both() -> None:
        await asyncio.gather(kk.wait.for_(hours=1), asyncio.sleep(600))

    with engine() as eng:
        run = both.trigger()
        assert (held(eng), run.status) == (1, "EXECUTING")
        eng.advance(minutes=11)
        assert (held(eng), run.status) == (0, "WAITING")


@pytest.mark.parametrize("kind", ["time", "token", "task", "batch"])
def test_19_2_a_waiting_run_holds_no_slot_whatever_it_waits_for(kind: str) -> None:
    @kk.task
    async def never() -> None:
        await kk.wait.for_token("never-of-19-2")

    @kk.task(concurrency_limit=1)
    async def waits(kind: str) -> None:
        match kind:
            case "time":
                await kk.wait.for_(hours=1)
            case "token":
                await kk.wait.for_token("of-19-2")
            case "task":
                await never.trigger_and_wait()
            case "batch":
                await never.batch_trigger_and_wait([None, None])

    never.register()
    with engine(concurrency_limit=1) as eng:
        never.register()
        first, second = waits.trigger(kind=kind), waits.trigger(kind=kind)

        assert held(eng) == 0
        assert (first.status, second.status) == ("WAITING", "WAITING")


@pytest.mark.parametrize(
    ("threshold", "status"), [(0, "WAITING"), (5, "WAITING"), (30, "EXECUTING"), (60, "EXECUTING")]
)
def test_19_3_how_long_a_wait_must_be_to_suspend_is_a_setting(threshold: float, status: str) -> None:
    @kk.task
    async def waits() -> None:
        await kk.wait.for_(seconds=30)

    with engine(suspend_after=threshold) as eng:
        run = waits.trigger()
        eng.advance(seconds=1)
        assert run.status == status
        eng.advance(seconds=30)
        assert run.status == "COMPLETED"


def test_19_5_a_suspended_run_asks_for_its_slot_again() -> None:
    @kk.task(concurrency_limit=1)
    async def works(waits: bool = False) -> None:
        if waits:
            await kk.wait.for_(minutes=1)
        await asyncio.sleep(120)

    with engine(now=START) as eng:
        waiting = works.trigger(waits=True)
        eng.drain()
        other = works.trigger()
        eng.advance(seconds=61)
        assert (waiting.status, other.status) == ("QUEUED", "EXECUTING")
        assert "1 of 1 in use" in (waiting.refresh().queued_reason or "")
        eng.advance(minutes=10)

        assert other.refresh().finished_at == START + timedelta(seconds=120)
        assert waiting.refresh().finished_at == START + timedelta(seconds=240)
        assert len(waiting.refresh().attempts) == 1


def test_19_6_a_run_goes_on_when_all_that_it_waits_for_has_come() -> None:
    @kk.task
    async def gathers() -> list[Any]:
        found = await asyncio.gather(
            kk.wait.for_token("one-of-19-6").unwrap(), kk.wait.for_(hours=1), kk.wait.for_token("two-of-19-6").unwrap()
        )
        return list(found)

    with engine() as eng:
        run = gathers.trigger()
        eng.drain()
        kk.tokens.complete("two-of-19-6", 2)
        eng.advance(hours=2)
        assert (run.status, [wait.type for wait in run.refresh().waiting_for]) == ("WAITING", ["token"])
        kk.tokens.complete("one-of-19-6", 1)
        eng.drain()

        assert run.result(timeout=5).output == [1, None, 2]


def test_19_8_a_parent_waits_while_its_child_is_pushed_back() -> None:
    @kk.task
    async def pushed(n: int) -> int:
        return n

    @kk.task
    async def parent() -> int:
        often = pushed.options(debounce=kk.Debounce("of-19-8", delay="1m", mode="trailing"))
        return await often.trigger_and_wait(n=0).unwrap()

    with engine(now=START) as eng:
        run = parent.trigger()
        for number in range(1, 5):
            eng.advance(seconds=50)
            pushed.options(debounce=kk.Debounce("of-19-8", delay="1m", mode="trailing")).trigger(n=number)
            assert run.status == "WAITING"
        eng.advance(minutes=2)

        assert run.result(timeout=5).output == 4
        assert (run.refresh().finished_at or START) >= START + timedelta(seconds=260)


def test_19_9_the_coroutine_of_a_waiting_run_lives_on(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def remembers() -> list[int]:
        mine = object()
        before = id(mine)
        await kk.wait.for_(days=1)
        return [before, id(mine)]

    run = remembers.trigger()
    kk_engine.advance(days=2)

    before, after = run.result(timeout=5).output
    assert before == after
