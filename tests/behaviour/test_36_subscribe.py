"""`kk.runs.subscribe`: the current state first, then every change, in sync and in async code."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage


def statuses(runs: list[kk.Run]) -> list[str]:
    return [str(run.status) for run in runs]


def test_36_1_a_run_is_told_from_now_to_its_end(stage: Stage) -> None:
    @kk.task(id="told-36")
    async def told() -> str:
        kk.metadata.set("half", True)
        kk.tags.add("inside")
        return "x" * 2_000

    run = told.options(delay="1s").trigger()
    subscription = kk.runs.subscribe(run)
    first = next(subscription)
    stage.finish()
    rest = list(subscription)

    assert (first.id, first.status) == (run.id, "DELAYED")
    assert rest[-1].status == "COMPLETED"
    assert rest[-1].output == "x" * 2_000
    assert (rest[-1].metadata, rest[-1].tags) == ({"half": True}, ("inside",))
    order = ["DELAYED", "QUEUED", "DEQUEUED", "EXECUTING", "COMPLETED"]
    places = [order.index(status) for status in statuses(rest)]
    assert places == sorted(places)
    with pytest.raises(StopIteration):
        next(subscription)


def test_36_1_of_a_finished_run_there_is_one_snapshot(stage: Stage) -> None:
    @kk.task(id="over-36")
    async def over(text: str) -> str:
        return text

    run = over.trigger(text="y" * 3_000)
    stage.finish()

    (only,) = kk.runs.subscribe(run.id)
    assert (only.status, only.output, only.payload) == ("COMPLETED", "y" * 3_000, {"text": "y" * 3_000})


def test_36_1_a_canceled_run_ends_it(stage: Stage) -> None:
    @kk.task(id="canceled-36")
    async def sleeper() -> None: ...

    run = sleeper.options(delay="1h").trigger()
    with kk.runs.subscribe(run) as subscription:
        run.cancel("enough")
        seen = list(subscription)

    assert statuses(seen)[-1] == "CANCELED"


def test_36_1_in_async_code(stage: Stage) -> None:
    @kk.task(id="async-36")
    async def quick() -> int:
        return 7

    async def follow() -> list[kk.Run]:
        run = quick.options(delay="1s").trigger()
        subscription = kk.runs.subscribe(run)
        finishing = asyncio.create_task(asyncio.to_thread(stage.finish))
        seen = [snapshot async for snapshot in subscription]
        await finishing
        return seen

    seen = asyncio.run(follow())

    assert (seen[0].status, seen[-1].status, seen[-1].output) == ("DELAYED", "COMPLETED", 7)


def test_36_1_by_tag_all_tags_must_match_and_it_goes_on(stage: Stage) -> None:
    @kk.task(id="tagged-36")
    async def tagged() -> None: ...

    before = tagged.options(tags=["red36", "big36"]).trigger()
    tagged.options(tags=["red36"]).trigger()
    stage.finish()

    with kk.runs.subscribe(tag=["red36", "big36"]) as subscription:
        first = next(subscription)
        assert (first.id, first.status) == (before.id, "COMPLETED")
        after = tagged.options(tags=["big36", "red36"], delay="1s").trigger()
        waiting = next(subscription)
        assert (waiting.id, waiting.status) == (after.id, "DELAYED")
        stage.finish()
        seen = [waiting]
        while not seen[-1].is_completed:
            seen.append(next(subscription))
        assert {run.id for run in seen} == {after.id}


def test_36_1_by_batch_every_run_is_seen_to_its_end(stage: Stage) -> None:
    @kk.task(id="batched-36")
    async def batched(n: int) -> int:
        return n

    batch = batched.batch_trigger([{"n": n} for n in range(120)])
    ended: dict[str, int] = {}
    with kk.runs.subscribe(batch=batch) as subscription:
        first = next(subscription)
        stage.finish()
        for run in itertools.chain([first], subscription):
            if run.is_completed:
                assert run.id not in ended, "a final state is told once"
                ended[run.id] = run.output
            if len(ended) == 120:
                break

    assert sorted(ended.values()) == list(range(120))


def test_36_1_closing_releases_whoever_waits(stage: Stage) -> None:
    @kk.task(id="closed-36")
    async def closed() -> None: ...

    run = closed.options(delay="1h").trigger()
    subscription = kk.runs.subscribe(run)
    seen: list[kk.Run] = []
    waiter = threading.Thread(target=lambda: seen.extend(subscription))
    waiter.start()
    subscription.close()
    waiter.join(20)

    assert not waiter.is_alive()
    assert len(seen) <= 1
    run.cancel()


def test_36_1_a_dropped_iterator_leaves_no_watch_behind(stage: Stage) -> None:
    if not stage.is_virtual:
        pytest.skip("looks into the engine, which is in another process")

    @kk.task(id="dropped-36")
    async def dropped() -> None: ...

    run = dropped.options(delay="1h", tags=["dropped36"]).trigger()
    notices = stage.engine.caller.requests._notices  # type: ignore[union-attr]  # the virtual one
    for _ in kk.runs.subscribe(run):
        stage.engine.drain()
        assert run.id in notices._watchers
        break
    for _ in kk.runs.subscribe(tag="dropped36"):
        assert notices.subscriptions
        break
    gc.collect()
    stage.engine.drain()

    assert run.id not in notices._watchers
    assert not notices.subscriptions
    run.cancel()


def test_36_1_what_it_does_not_know_is_refused(stage: Stage) -> None:
    with pytest.raises(kk.UnknownRunError):
        kk.runs.subscribe("run_nothere")
    with pytest.raises(kk.InvalidOptionError, match="one of: a run"):
        kk.runs.subscribe()
    with pytest.raises(kk.InvalidOptionError, match="one of: a run"):
        kk.runs.subscribe("run_1", tag="x")
    with pytest.raises(kk.InvalidOptionError, match="is no tag"):
        kk.runs.subscribe(tag=["x", " "])
    with pytest.raises(kk.InvalidOptionError, match="period is for"):
        kk.runs.subscribe(batch="batch_1", period="1h")
