"""Batches (§15): every item is accounted for, results come in their order, and a batch is found again by its id."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.models.value import MAX_PAYLOAD_BYTES
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage


def test_15_1_results_come_in_the_order_of_the_items(stage: Stage) -> None:
    @kk.task
    async def halves(n: int) -> float:
        return 1 / n

    batch = halves.batch_trigger([{"n": 4}, {"n": 0}, {"n": 2}])
    stage.finish()
    results = batch.result(timeout=30)

    assert [result.ok for result in results] == [True, False, True]
    assert [results[0].output, results[2].output] == [0.25, 0.5]
    assert results[1].error is not None
    assert results[1].error.name == "ZeroDivisionError"
    assert [result.id for result in results] == [run.id for run in batch.runs]
    assert (batch.status, batch.counts, batch.errors) == ("COMPLETED", {"COMPLETED": 2, "FAILED": 1}, ())


def test_15_2_a_batch_has_at_most_1000_items_and_takes_any_iterable_of_them(stage: Stage) -> None:
    @kk.task
    async def counted(n: int) -> int:
        return n

    with pytest.raises(kk.InvalidOptionError, match=r"at most 1,000 items; this one has 1,001\. Send it in several"):
        counted.batch_trigger({"n": n} for n in range(1_001))
    with pytest.raises(kk.InvalidOptionError, match="takes a list of items, not one dict"):
        counted.batch_trigger({"n": 1})
    with pytest.raises(kk.InvalidOptionError, match="takes a list of items, not one str"):
        kk.tasks.batch_trigger("counted", "abc")

    batch = counted.batch_trigger({"n": n} for n in range(1_000))

    assert len(batch) == 1_000
    assert [result.output for result in _finished(stage, batch)] == list(range(1_000))


def test_15_2_an_item_that_is_too_large_fails_alone(stage: Stage) -> None:
    @kk.task
    async def sized(text: str) -> int:
        return len(text)

    batch = sized.batch_trigger([{"text": "a"}, {"text": "x" * MAX_PAYLOAD_BYTES}, {"text": "ccc"}])
    results = _finished(stage, batch)

    assert [result.output for result in results] == [1, None, 3]
    [problem] = batch.errors
    assert (problem.index, problem.task_id, problem.error.name) == (1, "sized", "PayloadTooLargeError")
    assert results[1].status == "SYSTEM_FAILURE"
    assert results[1].error is not None
    assert results[1].error.code == "payload_too_large"
    assert kk.runs.retrieve(problem.run_id).status == "SYSTEM_FAILURE"
    assert batch.status == "COMPLETED"


def test_15_2_a_batch_of_which_nothing_can_be_sent_is_refused_at_the_call(stage: Stage) -> None:
    @kk.task
    async def sized_too(text: str) -> int:
        return len(text)

    big = {"text": "x" * MAX_PAYLOAD_BYTES}
    with pytest.raises(kk.PayloadTooLargeError, match=r"(?s)2 of the 2 items.*none was triggered.*Item 0: .*Item 1: "):
        sized_too.batch_trigger([big, big])

    assert kk.runs.list(task="sized-too").total == 0


def test_12_2_items_that_do_not_fit_are_refused_together_and_nothing_is_stored(stage: Stage) -> None:
    @kk.task
    async def strict(n: int) -> int:
        return n

    with pytest.raises(kk.PayloadValidationError, match=r"(?s)2 of the 3 items.*Item 0: .*Item 2: ") as caught:
        strict.batch_trigger([{"n": "one"}, {"n": 2}, {"m": 3}])

    assert (caught.value.index, list(caught.value.items)) == (0, ["0", "2"])
    assert kk.runs.list(task="strict").total == 0


def test_15_7_an_item_the_engine_refuses_is_told_and_the_others_go_on(stage: Stage) -> None:
    @kk.task
    async def welcome(name: str) -> str:
        return f"hello {name}"

    batch = kk.batch.trigger(
        [
            (welcome, {"name": "ann"}),
            ("nobody-knows-this", {"name": "bob"}),
            (welcome, kk.Item({"name": "cid"}, queue="no-such-queue")),
            ("welcome", kk.Item({"name": "dee"}, tags=["late"])),
        ]
    )
    results = _finished(stage, batch)

    assert [result.output for result in results] == ["hello ann", None, None, "hello dee"]
    assert [(each.index, each.error.name) for each in batch.errors] == [
        (1, "UnknownTaskError"),
        (2, "UnknownQueueError"),
    ]
    assert [result.status for result in results[1:3]] == ["SYSTEM_FAILURE", "SYSTEM_FAILURE"]
    assert batch.runs[3].tags == ("late",)


def test_15_7_a_batch_of_an_unknown_task_is_refused(stage: Stage) -> None:
    with pytest.raises(kk.UnknownTaskError, match="There is no task 'nobody-at-all'"):
        kk.tasks.batch_trigger("nobody-at-all", [{"a": 1}, {"a": 2}])


def test_15_8_status_goes_from_pending_to_completed(stage: Stage) -> None:
    @kk.task
    async def slow(n: int) -> int:
        await asyncio.sleep(0.2)
        return n

    batch = slow.options(delay="5m").batch_trigger([{"n": 1}, {"n": 2}])
    assert (batch.status, batch.counts) == ("PENDING", {"DELAYED": 2})

    for run in batch.runs:
        run.reschedule(delay=0)
    assert [result.output for result in _finished(stage, batch)] == [1, 2]
    assert batch.status == "COMPLETED"


def test_15_8_a_batch_is_found_again_by_its_id_with_results_and_errors(stage: Stage) -> None:
    @kk.task
    async def kept(n: int) -> int:
        return n

    batch = kk.batch.trigger([(kept, {"n": 1}), ("unknown-here", None), (kept, {"n": 3})])
    _finished(stage, batch)
    again = kk.batch.retrieve(batch.id)

    assert [run.id for run in again.runs] == [run.id for run in batch.runs]
    assert again.errors == batch.errors
    assert [result.output for result in again.result(timeout=30)] == [1, None, 3]
    copy = pickle.loads(pickle.dumps(again))
    assert (copy.id, copy.errors, copy.runs) == (again.id, again.errors, again.runs)
    with pytest.raises(kk.UnknownRunError, match="There is no batch 'batch_nope'"):
        kk.batch.retrieve("batch_nope")


def test_15_10_an_empty_batch_is_complete(stage: Stage) -> None:
    @kk.task
    async def never(n: int) -> int:
        return n

    for batch in (never.batch_trigger([]), kk.tasks.batch_trigger("never", []), kk.batch.trigger([])):
        assert (batch.result(), batch.status, batch.counts, batch.errors) == ([], "COMPLETED", {}, ())


def test_15_13_awaiting_a_batch_gives_its_results(stage: Stage) -> None:
    @kk.task
    async def doubled(n: int) -> int:
        return 2 * n

    batch = doubled.batch_trigger([{"n": n} for n in range(5)])
    stage.finish()

    async def story() -> list[kk.Result[int]]:
        return await batch

    assert [result.output for result in asyncio.run(story())] == [0, 2, 4, 6, 8]


def test_14_every_option_may_be_an_items_own(stage: Stage) -> None:
    @kk.task
    async def own(n: int) -> int:
        return n

    batch = own.options(tags=["all"], priority=5, test=True, delay="1h", metadata={"who": "all"}).batch_trigger(
        [
            {"n": 0},
            kk.Item(
                {"n": 1},
                tags=["own"],
                priority=0,
                test=False,
                delay="2h",
                metadata={"who": "own"},
                queue=kk.Queue("own-queue", concurrency_limit=1),
                concurrency_key="ann",
                ttl="5m",
                max_attempts=1,
                max_duration="1m",
            ),
        ]
    )

    first, second = batch.refresh()
    assert (first.tags, first.priority, first.is_test, first.metadata) == (("all",), 5, True, {"who": "all"})
    assert (second.tags, second.priority, second.is_test, second.metadata) == (("own",), 0, False, {"who": "own"})
    assert (second.queue, second.concurrency_key, second.ttl) == ("own-queue", "ann", 300)
    assert (second.max_attempts, second.max_duration) == (1, 60)
    assert first.delay_until is not None
    assert second.delay_until is not None
    assert (second.delay_until - first.delay_until).total_seconds() == 3_600
    batch.cancel()
    assert batch.counts == {"CANCELED": 2}


def test_15_8_a_batch_survives_its_engine(tmp_path: Path) -> None:
    @kk.task
    async def survives(n: int) -> int:
        return n

    with engine(home=tmp_path) as eng:
        batch = kk.batch.trigger([(survives, {"n": 1}), ("unknown-there", None), (survives, {"n": 2})])
        eng.drain()
    with engine(home=tmp_path):
        again = kk.batch.retrieve(batch.id)

        assert (again.status, again.counts) == ("COMPLETED", {"COMPLETED": 2, "SYSTEM_FAILURE": 1})
        assert again.errors == batch.errors
        assert [result.output for result in again.result(timeout=30)] == [1, None, 2]


def _finished(stage: Stage, batch: kk.BatchHandle[Any]) -> list[kk.Result[Any]]:
    stage.finish()
    return batch.result(timeout=30)
