"""What goes in, what comes out, and the ways of asking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

import kernelkit as kk
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
