"""Bulk actions (§28): the same done to every run that a filter means, chunk by chunk, counted, abortable, durable."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def test_28_1_cancel_all_cancels_what_the_filter_means(stage: Stage) -> None:
    @kk.task
    async def swept(n: int) -> int:
        return n

    later = swept.options(delay="1h", tags=["swept"]).batch_trigger([{"n": n} for n in range(150)])
    spared = swept.options(delay="1h", tags=["spared"]).trigger(n=1)

    bulk = kk.runs.cancel_all(tag="swept", reason="not today")
    ended = bulk.result(timeout=30)

    assert (ended.status, ended.kind, ended.total, ended.success, ended.failure) == ("COMPLETED", "CANCEL", 150, 150, 0)
    assert bulk.counts == {"total": 150, "success": 150, "failure": 0}
    assert later.counts == {"CANCELED": 150}
    assert later.runs[0].refresh().canceled_reason == "not today"
    assert spared.status == "DELAYED"
    spared.cancel()
    assert ended.completed_at is not None
    assert ended.completed_at >= ended.created_at


def test_28_2_runs_that_have_ended_are_failures_of_a_cancel(stage: Stage) -> None:
    @kk.task
    async def ends(n: int) -> int:
        return n

    done = ends.batch_trigger([{"n": 1}, {"n": 2}])
    stage.finish()
    done.result(timeout=30)
    ends.options(delay="1h").trigger(n=3)

    ended = kk.runs.cancel_all(task=ends).result(timeout=30)

    assert (ended.total, ended.success, ended.failure) == (3, 1, 2)
    assert done.counts == {"COMPLETED": 2}


def test_28_1_replay_all_makes_each_anew(stage: Stage) -> None:
    @kk.task(retries=1)
    async def fragile(n: int, text: str = "") -> int:
        if n % 2:
            raise ValueError(n)
        return n + len(text)

    batch = fragile.options(tags=["first"]).batch_trigger([{"n": n, "text": "x" * 2_000} for n in range(6)])
    stage.finish()
    assert batch.result(timeout=30)[1].status == "FAILED"

    ended = kk.runs.replay_all(task="fragile", status="failed").result(timeout=30)
    stage.finish()

    assert (ended.kind, ended.total, ended.success, ended.failure) == ("REPLAY", 3, 3, 0)
    again = kk.runs.list(task="fragile", created_from=ended.created_at)
    stage.until(lambda: all(run.is_completed for run in kk.runs.list(task="fragile")))
    assert again.total == 3
    assert sorted(kk.runs.retrieve(run.id).payload["n"] for run in again) == [1, 3, 5]
    assert all(run.is_replay and run.tags == ("first",) and run.batch_id is None for run in again)


def test_28_1_what_is_triggered_later_is_not_meant() -> None:
    @kk.task(concurrency_limit=1)
    async def loops(n: int) -> int:
        return n

    with engine() as eng:
        loops.batch_trigger([{"n": n} for n in range(250)])
        eng.drain()
        ended = kk.runs.replay_all(task=loops).result()

        assert (ended.total, ended.success, ended.failure) == (250, 250, 0), "and its own runs are not replayed"
        assert kk.runs.list(task=loops).total == 500


def test_28_1_a_filter_is_required_and_checked(stage: Stage) -> None:
    with pytest.raises(kk.InvalidOptionError, match=r"kk\.runs\.cancel_all needs a filter"):
        kk.runs.cancel_all()
    with pytest.raises(kk.InvalidOptionError, match="'taks'"):
        kk.runs.cancel_all(taks="resize")
    with pytest.raises(kk.InvalidOptionError, match="status"):
        kk.runs.replay_all(status="broken")
    with pytest.raises(kk.InvalidOptionError, match="There is no bulk action 'bulk_nope'"):
        kk.runs.bulk("bulk_nope")


def test_28_1_nothing_that_matches_is_over_at_once(stage: Stage) -> None:
    bulk = kk.runs.cancel_all(tag="nobody-has-this")

    assert bulk.result(timeout=30).total == 0
    assert repr(bulk).startswith("<BulkHandle cancel bulk_")
    assert "COMPLETED, 0 of 0 runs done" in repr(bulk)


def test_28_2_an_action_is_found_again_awaited_and_left_alone_when_over(stage: Stage) -> None:
    @kk.task
    async def found(n: int) -> int:
        return n

    found.options(delay="1h").batch_trigger([{"n": 1}, {"n": 2}])
    bulk = kk.runs.cancel_all(task=found, period="1d")

    async def story() -> int:
        return (await bulk).success

    assert asyncio.run(story()) == 2
    again = kk.runs.bulk(bulk.id)
    assert again.counts == bulk.counts
    assert again.abort().status == "COMPLETED"
    assert (again.kind, again.status) == ("CANCEL", "COMPLETED")


def test_26_4_children_in_every_state_go_with_their_parent(stage: Stage) -> None:
    @kk.task(id="queued-child", queue=kk.Queue("one-at-a-time", concurrency_limit=1))
    async def child(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @kk.task(id=f"parent-{stage.is_virtual}")
    async def parent(grandchildren: int) -> None:
        if grandchildren:
            parent.trigger(grandchildren=grandchildren - 1)
        child.batch_trigger([{"seconds": 600}, {"seconds": 600}])
        child.options(delay="1h").trigger(seconds=1)
        kk.tasks.trigger("nobody-defines-this", None, allow_undefined=True)
        await asyncio.sleep(600)

    run = parent.trigger(grandchildren=1)
    wanted = {"EXECUTING": 3, "QUEUED": 3, "DELAYED": 2, "PENDING_VERSION": 2}
    stage.until(lambda: _below(run.id) == wanted)
    run.cancel()

    stage.until(lambda: _below(run.id) == {"CANCELED": 10})
    stage.finish()
    assert run.result(timeout=30).status == "CANCELED"


def _below(run_id: str) -> dict[str, int]:
    """How many runs from `run_id` down have which status."""
    counts: dict[str, int] = {}
    todo = [kk.runs.retrieve(run_id)]
    while todo:
        run = todo.pop()
        counts[str(run.status)] = counts.get(str(run.status), 0) + 1
        todo.extend(kk.runs.list(parent=run.id))
    return counts


def test_28_2_an_action_goes_on_with_the_next_engine(tmp_path: Path) -> None:
    @kk.task
    async def many(n: int) -> int:
        return n

    with engine(home=tmp_path):
        for _ in range(3):
            many.options(delay="1h").batch_trigger([{"n": n} for n in range(1_000)])
        bulk = kk.runs.cancel_all(task=many)
    with engine(home=tmp_path):
        ended = kk.runs.bulk(bulk.id).result(timeout=30)

        assert (ended.status, ended.total, ended.success + ended.failure) == ("COMPLETED", 3_000, 3_000)
        assert ended.failure == 0
        assert kk.runs.list(task=many, status="delayed").total == 0


def test_28_2_filters_by_time_are_those_of_the_list(stage: Stage) -> None:
    @kk.task
    async def timed(n: int) -> int:
        return n

    timed.options(delay="1h").trigger(n=1)
    before = datetime.now(UTC) - timedelta(days=3_650)

    assert kk.runs.cancel_all(task=timed, created_to=before).result(timeout=30).total == 0
    assert kk.runs.cancel_all(task=timed, created_from=before).result(timeout=30).success == 1
