"""What goes in, what comes out, and the ways of asking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine
from tests.behaviour.conftest import Stage

LIMIT = 3_145_728


def test_11_1_values_survive_the_round_trip(stage: Stage) -> None:
    @kk.task
    async def echo(payload: Any) -> Any:
        return payload

    sent = {"text": "ü ☃", "list": [1, 2.5, None, True], "nan": math.nan, "inf": -math.inf, "nested": {"a": {"b": []}}}
    run = echo.trigger(sent)
    stage.finish()

    output = run.result(timeout=10).output
    assert math.isnan(output.pop("nan"))
    assert output == {key: value for key, value in sent.items() if key != "nan"}


def test_11_3_a_payload_of_exactly_the_limit_is_taken_and_one_byte_more_refused(stage: Stage) -> None:
    @kk.task
    async def size(payload: str) -> int:
        return len(payload)

    run = size.trigger("x" * (LIMIT - 2))  # two quotes
    with pytest.raises(kk.PayloadTooLargeError, match=r"3,145,729 bytes.*3,145,728"):
        size.trigger("x" * (LIMIT - 1))
    stage.finish()

    assert run.result(timeout=20).output == LIMIT - 2
    assert len(kk.runs.list(task="size")) == 1
    assert len(kk.runs.retrieve(run.id).payload) == LIMIT - 2


def test_11_5_an_output_that_is_no_json_fails_without_a_retry(stage: Stage) -> None:
    @kk.task
    async def odd() -> Any:
        return object()

    run = odd.trigger()
    stage.finish()

    result = run.result(timeout=10)
    assert result.error is not None
    assert result.error.name == "OutputNotSerializableError"
    assert len(run.refresh().attempts) == 1


def test_12_2_a_payload_that_does_not_fit_is_refused_at_the_call(stage: Stage) -> None:
    @kk.task
    async def typed(n: int) -> int:
        return n

    with pytest.raises(kk.PayloadValidationError, match="n"):
        typed.trigger(n="many")
    assert len(kk.runs.list(task="typed")) == 0


def test_12_4_by_id_it_is_stored_and_fails_at_its_first_parse(stage: Stage) -> None:
    @kk.task
    async def typed_by_id(n: int) -> int:
        return n

    typed_by_id.trigger(n=1)
    run = kk.tasks.trigger("typed-by-id", {"n": "many"})
    stage.finish()

    result = run.result(timeout=10)
    assert result.status == "FAILED"
    assert result.error is not None
    assert result.error.name == "PayloadValidationError"
    assert len(run.refresh().attempts) == 1


def test_13_6_an_unknown_id_is_an_error_with_near_matches(stage: Stage) -> None:
    @kk.task
    async def resize() -> None: ...

    resize.trigger()
    with pytest.raises(kk.UnknownTaskError, match="Did you mean 'resize'"):
        kk.tasks.trigger("resise", {})
    stage.finish()


@dataclass
class Thumbnail:
    url: str
    width: int


def test_api_the_return_annotation_revives_the_output(stage: Stage) -> None:
    @kk.task
    async def shrink(url: str, width: int = 64) -> Thumbnail:
        return Thumbnail(url, width)

    run = shrink.trigger(url="a.png")
    stage.finish()

    assert run.result(timeout=10).output == Thumbnail("a.png", 64)


def test_api_a_global_is_captured_at_the_moment_of_the_trigger(stage: Stage) -> None:
    settings = {"factor": 2}

    @kk.task
    async def scale(n: int) -> int:
        return n * settings["factor"]

    first = scale.trigger(n=1)
    settings["factor"] = 10
    second = scale.trigger(n=1)
    stage.finish()

    assert (first.result(timeout=10).output, second.result(timeout=10).output) == (2, 10)


def test_13_7_children_know_their_parent_root_and_depth(stage: Stage) -> None:
    @kk.task
    async def leaf() -> None: ...

    @kk.task
    async def branch() -> None:
        leaf.trigger()

    @kk.task
    async def trunk() -> None:
        branch.trigger()

    for task in (leaf, branch):
        task.register()
    run = trunk.trigger()
    stage.finish()
    stage.until(lambda: len(kk.runs.list(task="leaf", status="COMPLETED")) == 1)

    (found,) = kk.runs.list(task="leaf")
    assert (found.depth, found.root_id) == (2, run.id)
    assert run.refresh().children == 1


def test_15_a_batch_keeps_its_order_and_may_be_large(stage: Stage) -> None:
    @kk.task
    async def square(n: int) -> int:
        return n * n

    batch = square.batch_trigger([{"n": n} for n in range(1000)])
    stage.finish()

    assert [result.output for result in batch.result(timeout=60)] == [n * n for n in range(1000)]
    assert batch.counts == {"COMPLETED": 1000}


def test_15_2_a_batch_over_the_limit_or_with_a_bad_item_makes_no_run(stage: Stage) -> None:
    @kk.task
    async def strict(n: int) -> int:
        return n

    with pytest.raises(kk.InvalidOptionError, match="1,000"):
        strict.batch_trigger([{"n": n} for n in range(1001)])
    with pytest.raises(kk.PayloadValidationError, match="Item 1"):
        strict.batch_trigger([{"n": 1}, {"n": "x"}])
    assert len(kk.runs.list(task="strict")) == 0


def test_15_a_batch_of_large_items_goes_in_parts(stage: Stage) -> None:
    @kk.task
    async def length(payload: str) -> int:
        return len(payload)

    batch = length.batch_trigger(["x" * 500_000 for _ in range(12)])
    stage.finish()

    assert [result.output for result in batch.result(timeout=60)] == [500_000] * 12


# ---- tables ------------------------------------------------------------------------------------------------------

VALUES: list[tuple[Any, Any]] = [
    (None, None),
    ("", ""),
    ({}, {}),
    (0, 0),
    (10**40, 10**40),
    (False, False),
    ((1, 2), [1, 2]),
    ({1: {3}}, {"1": [3]}),
    (datetime(2030, 1, 1, tzinfo=UTC), "2030-01-01T00:00:00Z"),
    (timedelta(hours=1), "PT1H"),
    (Decimal("1.10"), "1.10"),
    (np.float32(1.5), 1.5),
    (np.bool_(True), True),
    ({"$float": "nan"}, {"$float": "nan"}),
    (math.inf, math.inf),
]


def test_11_1_what_each_value_becomes(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def echo(payload: Any) -> Any:
        return payload

    runs = [echo.trigger(value) for value, _ in VALUES]
    kk_engine.drain()

    for run, (value, wanted) in zip(runs, VALUES, strict=True):
        assert (value, run.result(timeout=5).output) == (value, wanted)
    for value in (object(), b"\xff", "\udcff", np.zeros(2), lambda: 1, int, echo, ValueError("x")):
        with pytest.raises(kk.PayloadNotSerializableError, match="the payload of echo cannot be written as JSON"):
            echo.trigger(value)
    assert kk.runs.list().total == len(VALUES)


@pytest.mark.parametrize(("letters", "status"), [(5_242_879, "COMPLETED"), (5_242_880, "FAILED")])
def test_11_3_an_output_has_a_limit_in_bytes(kk_engine: VirtualEngine, letters: int, status: str) -> None:
    @kk.task
    async def large(payload: int) -> str:
        return "é" * payload

    run = large.trigger(letters)
    kk_engine.drain()

    ended = run.refresh()
    assert (ended.status, len(ended.attempts)) == (status, 1)
    if ended.error is not None:
        assert ended.error.name == "OutputTooLargeError"
        assert "10,485,762 bytes of JSON; at most 10,485,760" in ended.error.message


def test_12_3_the_input_is_sent_as_it_is_and_parsed_before_each_attempt(kk_engine: VirtualEngine) -> None:
    @kk.task(retry=kk.Retry(max_attempts=2, min_timeout=0.1))
    async def typed(n: int, width: int = 7) -> list[int]:
        if kk.ctx.attempt.number == 1:
            raise ValueError("once")
        return [n, width]

    run = typed.trigger(n="5")
    kk_engine.advance(minutes=1)

    assert run.result(timeout=5).output == [5, 7]
    assert run.refresh().payload == {"n": "5"}


@pytest.mark.parametrize("wrong", [None, "", 5, "two words", "-x", "x" * 129])
def test_13_a_task_is_named_by_its_id(kk_engine: VirtualEngine, wrong: Any) -> None:
    with pytest.raises(kk.InvalidOptionError, match=r"is not a task id\. It starts with"):
        kk.tasks.trigger(wrong, {})
    with pytest.raises(kk.InvalidOptionError, match=r"is not a pair of a task|is not a task id"):
        kk.batch.trigger([(wrong, {})])


def test_13_a_batch_is_retrieved_by_its_id(kk_engine: VirtualEngine) -> None:
    with pytest.raises(kk.InvalidOptionError, match="batch_id=5 is neither an id nor has one"):
        kk.batch.retrieve(5)  # type: ignore[arg-type]  # wrong on purpose
