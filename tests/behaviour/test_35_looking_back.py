"""`kk.runs.list` and `retrieve`: the same answers for runs that go on and runs that are over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import kernelkit as kk
from tests.behaviour.conftest import Stage


def ids(page: kk.Page) -> list[str]:
    return [run.id for run in page]


def test_35_1_lists_are_newest_first_and_go_by_the_page_both_ways(stage: Stage) -> None:
    @kk.task(id="paged-35")
    async def paged(n: int) -> None: ...

    batch = paged.batch_trigger([{"n": n} for n in range(7)])
    stage.finish()
    newest_first = [run.id for run in batch.runs][::-1]

    first = kk.runs.list(task=paged, limit=3)
    second = first.next()
    assert second is not None
    third = second.next()
    assert third is not None

    assert [ids(page) for page in (first, second, third)] == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    assert third.next() is None
    assert first.previous() is None
    back = third.previous()
    assert back is not None and ids(back) == ids(second)
    again = back.previous()
    assert again is not None and ids(again) == ids(first)
    assert (again.has_previous, again.has_more, again.total) == (False, True, 7)


def test_35_1_all_pages_are_gone_through_as_they_are_needed(stage: Stage) -> None:
    @kk.task(id="all-35")
    async def counted(n: int) -> None: ...

    batch = counted.batch_trigger([{"n": n} for n in range(7)])
    stage.finish()

    page = kk.runs.list(batch=batch, limit=2)

    assert [len(one) for one in page.pages()] == [2, 2, 2, 1]
    assert [run.payload["n"] for run in page.all()] == [6, 5, 4, 3, 2, 1, 0]
    assert len(page) == 2


def test_35_1_pages_can_be_gone_through_in_async_code(stage: Stage) -> None:
    @kk.task(id="all-async-35")
    async def counted_async(n: int) -> None: ...

    batch = counted_async.batch_trigger([{"n": n} for n in range(5)])
    stage.finish()

    async def numbers() -> list[int]:
        return [run.payload["n"] async for run in kk.runs.list(batch=batch, limit=2).all()]

    assert asyncio.run(numbers()) == [4, 3, 2, 1, 0]


def test_35_1_every_filter_holds_for_live_runs_and_for_those_in_history(stage: Stage) -> None:
    @kk.task(id="filtered-35")
    async def filtered(fails: bool = False) -> None:
        if fails:
            raise kk.AbortTaskRunError("as asked")

    @kk.task(id="parent-35")
    async def parent() -> None:
        filtered.options(tags=["child"]).trigger()

    failed = filtered.options(tags=["red", "big"], test=True, queue=kk.Queue("q35", concurrency_limit=9)).trigger(
        fails=True
    )
    mother = parent.trigger()
    stage.finish()
    later = filtered.options(tags=["red"], delay="2h").trigger()

    assert ids(kk.runs.list(task="filtered-35", status="failed")) == [failed.id]
    assert ids(kk.runs.list(task=filtered, status=["failed", "delayed"])) == [later.id, failed.id]
    assert ids(kk.runs.list(task=filtered, tag="red")) == [later.id, failed.id]
    assert ids(kk.runs.list(task=filtered, tag=["big", "nobody's"])) == [failed.id]
    assert ids(kk.runs.list(queue="q35")) == [failed.id]
    assert ids(kk.runs.list(task=filtered, is_test=True)) == [failed.id]
    assert failed.id not in ids(kk.runs.list(task=filtered, is_test=False))
    assert len(kk.runs.list(parent=mother, tag="child")) == 1
    assert [run.task_id for run in kk.runs.list(root=mother)] == ["filtered-35", "parent-35"]
    assert len(kk.runs.list(task=["filtered-35", "parent-35"], version=mother.refresh().version or "")) == 3
    assert ids(kk.runs.list(task="parent-35", period="1d")) == [mother.id]
    born = later.refresh().created_at
    assert ids(kk.runs.list(task=filtered, created_from=born)) == [later.id]
    assert later.id not in ids(kk.runs.list(task=filtered, created_to=born))
    assert ids(kk.runs.list(task=filtered, created_from=born + timedelta(days=1))) == []
    assert ids(kk.runs.list(schedule="none", machine="micro")) == []
    later.cancel()


def test_35_2_what_cannot_match_is_refused_with_the_nearest_name(stage: Stage) -> None:
    for given, words in (
        ({"status": "failedd"}, "Did you mean FAILED"),
        ({"statuss": "failed"}, "Did you mean 'status'"),
        ({"machine": "large1x"}, "Did you mean large-1x"),
        ({"created_from": datetime(2027, 1, 1)}, "has no time zone"),
        ({"limit": 0}, "not a number from 1 to 100"),
        ({"limit": 101}, "not a number from 1 to 100"),
        ({"after": "run_a", "before": "run_b"}, "two different pages"),
        ({"period": "1h", "created_from": datetime(2027, 1, 1, tzinfo=UTC)}, "both say when"),
    ):
        with pytest.raises(kk.InvalidOptionError, match=words):
            kk.runs.list(**given)


def test_35_4_a_retrieved_run_names_the_runs_around_it(stage: Stage) -> None:
    @kk.task(id="leaf-35")
    async def leaf() -> None: ...

    @kk.task(id="middle-35")
    async def middle() -> None:
        leaf.trigger()

    @kk.task(id="top-35")
    async def top() -> None:
        middle.trigger()
        middle.trigger()

    run = top.trigger()
    stage.finish()

    for _ in range(2):  # just over, and in history
        first = kk.runs.retrieve(run.id)
        assert first.related is not None
        assert (first.related.parent, first.related.root) == (None, None)
        assert [(ref.task_id, ref.status) for ref in first.related.children] == [("middle-35", "COMPLETED")] * 2
        below = kk.runs.retrieve(first.related.children[0].id)
        assert below.related is not None and below.related.parent is not None and below.related.root is not None
        assert (below.related.parent.id, below.related.root.id) == (run.id, run.id)
        lowest = kk.runs.retrieve(below.related.children[0].id)
        assert lowest.related is not None and lowest.related.parent is not None and lowest.related.root is not None
        assert (lowest.related.parent.id, lowest.related.root.id) == (below.id, run.id)
        kk.runs.list(limit=1)  # has what is over written to history


def test_35_4_an_unknown_run_is_refused(stage: Stage) -> None:
    with pytest.raises(kk.UnknownRunError, match="run_nothere"):
        kk.runs.retrieve("run_nothere")
