"""What is sent to a run, by section 36.4 of the specification and what was decided about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import lose_workers, result, waits

pytestmark = pytest.mark.timeout(120)

news = kk.streams.input("news", str)


@dataclass
class Order:
    item: str
    count: int = 1


orders = kk.streams.input("orders", Order)


@kk.task
async def cook() -> list[str]:
    first = await orders.wait(timeout="1h").unwrap()
    second = await orders.wait().unwrap()
    return [f"{each.count} {each.item}" for each in (first, second)]


@kk.task
def plain_cook() -> list[str]:
    return [orders.wait().result().unwrap().item, orders.wait().unwrap().result().item]


@pytest.mark.parametrize("task", [cook, plain_cook], ids=["async", "plain"])
def test_36_4_a_run_waits_suspended_for_what_is_sent_to_it(stage: Stage, task: kk.Task[..., list[str]]) -> None:
    run = task.trigger()
    waits(stage, run)
    assert "stream orders" in str(run.refresh().waiting_for[0])

    orders.send(run, Order("tea"))
    stage.until(lambda: bool(run.refresh().waiting_for))
    orders.send(run.id, Order("soup", 2))

    assert result(stage, run) in (["1 tea", "2 soup"], ["tea", "soup"])


def test_36_4_what_is_sent_early_waits_for_the_run(stage: Stage) -> None:
    run = cook.options(delay="1s").trigger()
    orders.send(run, Order("cake"))
    orders.send(run, Order("jam"))
    if stage.is_virtual:
        stage.engine.advance(seconds=2)

    assert run.result(timeout=30).unwrap() == ["1 cake", "1 jam"]


@kk.task
async def impatient() -> list[Any]:
    first = await orders.wait(timeout=6)
    assert first.error is not None
    second = await orders.wait().unwrap()
    return [first.ok, first.error.name, second.item]


def test_36_4_a_wait_has_a_timeout_and_takes_nothing_then() -> None:
    with engine() as eng:
        run = impatient.trigger()
        eng.advance(seconds=7)
        assert run.status == "WAITING"
        orders.send(run, Order("late tea"))
        eng.drain()

        assert run.result().unwrap() == [False, "WaitTimeoutError", "late tea"]


@kk.task
async def both_at_once() -> list[str]:
    first, second = await asyncio.gather(news.wait().unwrap(), news.wait().unwrap())
    return [first, second]


def test_36_4_parallel_waits_get_one_value_each(stage: Stage) -> None:
    run = both_at_once.trigger()
    stage.until(lambda: len(run.refresh().waiting_for) == 2)

    news.send(run, "a")
    news.send(run, "b")

    assert result(stage, run) == ["a", "b"]


def test_36_4_values_survive_the_worker(stage: Stage) -> None:
    run = cook.trigger()
    waits(stage, run)
    orders.send(run, Order("bread"))
    stage.until(lambda: run.refresh().status == "WAITING" and not run.refresh().attempts[-1].finished_at)

    lose_workers(stage)
    stage.until(lambda: run.refresh().attempts[-1].worker == "")
    orders.send(run, Order("wine", 3))

    assert result(stage, run) == ["1 bread", "3 wine"]
    assert len(run.refresh().attempts) == 1


@kk.task
async def keeps_listening() -> list[Any]:
    nothing = await news.peek()
    kk.metadata.set("ready", True).flush()
    first = await news.once()
    waiting = await news.peek()
    second = await news.once(timeout=30).unwrap()
    heard: list[str] = []
    done = asyncio.Event()

    def hear(value: str) -> None:
        heard.append(value)
        if value == "end":
            done.set()

    with news.on(hear):
        await done.wait()
    return [nothing, first.output, waiting, second, heard]


@kk.task
def keeps_listening_plainly() -> list[Any]:
    import threading

    kk.metadata.set("ready", True).flush()
    first = news.once().result()
    second = news.once(timeout=30).unwrap().result()
    heard: list[str] = []
    done = threading.Event()

    def hear(value: str) -> None:
        heard.append(value)
        if value == "end":
            done.set()

    with news.on(hear):
        assert done.wait(30)
    return [None, first.output, second, second, heard]


@pytest.mark.parametrize("task", [keeps_listening, keeps_listening_plainly], ids=["async", "plain"])
def test_36_4_once_and_on_keep_the_run_executing(stage: Stage, task: kk.Task[..., list[Any]]) -> None:
    run = task.trigger()

    def is_ready() -> bool:
        now = run.refresh()
        assert all(attempt.error is None for attempt in now.attempts), now.attempts
        return bool(now.metadata.get("ready"))

    stage.until(is_ready)
    assert run.status == "EXECUTING"

    for value in ("a", "b", "end"):
        news.send(run, value)

    first, second, third, fourth, heard = result(stage, run)
    assert (first, second, fourth, heard) == (None, "a", "b", ["a", "b", "end"])
    assert third in (None, "b")


@kk.task
async def brief() -> None: ...


def test_36_4_nothing_is_sent_to_a_run_that_is_over(stage: Stage) -> None:
    run = brief.trigger()
    result(stage, run)

    with pytest.raises(kk.RunOverError):
        news.send(run, "late")
    with pytest.raises(kk.InvalidOptionError, match="neither a run nor the id of one"):
        news.send("self", "to whom?")
    with pytest.raises(kk.StreamFullError, match="1,000,000"):
        news.send(run, "x" * 1_000_001)
    with pytest.raises(kk.NotInTaskError):
        news.wait()


@kk.task
async def sender(other: str) -> None:
    orders.send(other, Order("from a run"))
    orders.send(other, Order("again"))


def test_36_4_runs_send_to_each_other(stage: Stage) -> None:
    run = cook.trigger()
    waits(stage, run)

    result(stage, sender.trigger(other=run.id))

    assert result(stage, run) == ["1 from a run", "1 again"]


def test_36_4_hooks_are_told_of_the_stream(stage: Stage) -> None:
    @kk.task
    async def hooked() -> Any:
        return await news.wait().unwrap()

    @hooked.on_wait
    def note(wait: Any) -> None:
        kk.metadata.set("waits", [wait.type, wait.stream])

    run = hooked.trigger()
    waits(stage, run)
    news.send(run, "done")

    assert result(stage, run) == "done"
    assert run.metadata["waits"] == ["stream", "news"]
