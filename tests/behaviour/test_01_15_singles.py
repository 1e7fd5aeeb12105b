"""Paragraphs of §1 to §15 that one test each is enough for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.ids import make_id
from kernelkit.models.value import Value
from kernelkit.testing import VirtualEngine, engine
from kernelkit.wire.messages import Trigger, TriggerItem
from tests.behaviour.conftest import Stage

START = datetime(2030, 1, 1, tzinfo=UTC)
ONE_BY_ONE = kk.Queue("one-by-one", concurrency_limit=1)


@pytest.mark.parametrize(
    ("units", "seconds"),
    [
        ({"seconds": 90}, 90),
        ({"minutes": 1.5}, 90),
        ({"hours": 2}, 7_200),
        ({"days": 1}, 86_400),
        ({"weeks": 1}, 604_800),
        ({"hours": 1, "minutes": 30}, 5_400),
    ],
)
def test_1_3_a_wait_takes_numbers_of_units(units: dict[str, float], seconds: int) -> None:
    @kk.task
    async def waits() -> None:
        await kk.wait.for_(**units)  # type: ignore[arg-type]  # units of a table

    with engine(now=START) as eng:
        run = waits.trigger()
        eng.advance(days=8)

        assert run.refresh().finished_at == START + timedelta(seconds=seconds)


def test_2_5_an_init_module_is_loaded_before_any_task_executes(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_text(
        "import kernelkit as kk\n\n\n@kk.tasks.on_start\ndef mark(ctx):\n    kk.metadata.set('by_init', ctx.task.id)\n"
    )

    @kk.task(id="begun-after-init")
    def begins() -> dict[str, Any]:
        return dict(kk.metadata.current())

    with engine(home=tmp_path / ".kernelkit", real_time=True, workers=1):
        result = begins.trigger().result(timeout=30)

    assert result.output == {"by_init": "begun-after-init"}


def test_3_10_retries_stay_with_the_version_of_the_first_attempt() -> None:
    with engine() as eng:

        @kk.task(id="versioned", retry=kk.Retry(max_attempts=2, min_timeout=3_600, max_timeout=3_600))
        async def old(ctx: kk.Context) -> str:
            if ctx.attempt.number == 1:
                raise ValueError("again")
            return "old"

        run = old.trigger()
        eng.drain()

        @kk.task(id="versioned", replace=True)
        async def new() -> str:
            return "new"

        new.register()
        eng.advance(hours=3)

        view = run.refresh()
        assert (view.output, view.version, len(view.attempts)) == ("old", old.version, 2)
        assert new.version != old.version


@pytest.mark.parametrize(
    ("task_has", "trigger_has", "expected"),
    [(None, None, None), (60, None, 60.0), (60, "2m", 120.0), (60, kk.NO_TIMEOUT, None), (None, 30, 30.0)],
)
def test_5_6_the_context_tells_the_limit_that_holds(task_has: Any, trigger_has: Any, expected: float | None) -> None:
    @kk.task(**({} if task_has is None else {"max_duration": task_has}))
    async def limited(ctx: kk.Context) -> float | None:
        return ctx.run.max_duration

    with engine() as eng:
        run = (limited if trigger_has is None else limited.options(max_duration=trigger_has)).trigger()
        eng.drain()

        assert run.result(timeout=5).output == expected
        assert run.refresh().max_duration == expected


def test_8_2_a_resumed_run_goes_before_newer_ones() -> None:
    @kk.task(queue=ONE_BY_ONE)
    async def works(waits: bool = False) -> None:
        if waits:
            await kk.wait.for_(minutes=10)
        await asyncio.sleep(10)

    with engine() as eng:
        runs = {"waiting": works.trigger(waits=True)}
        eng.advance(seconds=1)
        for later, name in enumerate(("first", "second", "third")):
            runs[name] = works.options(delay=594 + later / 10).trigger()
        runs["urgent"] = works.options(delay=599, priority=1_000).trigger()
        eng.advance(hours=1)
        ended = {name: run.refresh().finished_at for name, run in runs.items()}

    # the first is at work when the wait is over; only who is of higher priority goes before the resumed one
    assert sorted(ended, key=lambda name: str(ended[name])) == ["first", "urgent", "waiting", "second", "third"]


def test_10_5_what_changes_nothing_is_no_news(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def idle() -> None:
        kk.metadata.set("text", "a").flush()
        kk.metadata.remove("text", "a")  # no list
        kk.metadata.set("text", "a")
        kk.metadata.delete("nothing")

    run = idle.trigger()
    with kk.runs.subscribe(run) as subscription:
        kk_engine.advance(minutes=1)
        seen = [each.metadata for each in subscription]

    assert run.refresh().metadata == {"text": "a"}
    assert [each for each in seen if each] == [{"text": "a"}] * len([each for each in seen if each])


def test_11_2_a_large_payload_and_output_travel_like_small_ones(stage: Stage) -> None:
    @kk.task
    async def turns(rows: list[str]) -> list[str]:
        return rows[::-1]

    rows = [f"{number:06}" * 10 for number in range(30_000)]  # about 2 MB
    run = turns.trigger(rows=rows)
    stage.finish()

    assert run.result(timeout=30).output == rows[::-1]
    view = run.refresh()
    assert (view.payload, view.output) == ({"rows": rows}, rows[::-1])
    assert view.payload_size > 1_800_000


def test_11_4_only_a_completed_run_has_an_output(stage: Stage) -> None:
    @kk.task(retry=None)
    async def ends(how: str) -> str:
        if how == "fails":
            raise ValueError("no")
        return how

    good, bad = ends.trigger(how="well"), ends.trigger(how="fails")
    stage.finish()
    for run in (good, bad):
        run.result(timeout=20)

    assert (good.refresh().output, good.refresh().payload) == ("well", {"how": "well"})
    assert (bad.refresh().output, bad.refresh().payload) == (None, {"how": "fails"})


@dataclass
class Flat:
    name: str
    size: int = 3


class Typed(TypedDict):
    name: str
    size: int


class Modelled(BaseModel):
    name: str
    size: int = 3


@pytest.mark.parametrize("schema", [Flat, Typed, Modelled, dict[str, Any]])
def test_12_1_a_payload_may_be_described_in_every_usual_way(schema: Any, kk_engine: VirtualEngine) -> None:
    async def takes(payload: Any) -> str:
        return type(payload).__name__

    takes.__annotations__["payload"] = schema
    task = kk.task(id=f"takes-{getattr(schema, '__name__', 'any').lower()}")(takes)

    result = task.trigger({"name": "a", "size": "7"}).result(timeout=5)

    assert result.output == {Flat: "Flat", Modelled: "Modelled"}.get(schema, "dict")
    if schema != dict[str, Any]:
        with pytest.raises(kk.PayloadValidationError, match="name"):
            task.trigger({"size": 1})


def test_12_5_the_schema_is_published_with_the_task(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def published(url: str, width: int = 512) -> None: ...

    published.register()

    schema = json.loads(published.json_schema)
    properties = schema["properties"]
    assert (properties["url"]["type"], properties["width"]["default"]) == ("string", 512)
    assert schema["required"] == ["url"]
    spec = kk.tasks.list()[0].spec
    assert spec.json_schema is not None and "width" in str(spec.json_schema)


def test_13_1_durable_waits_belong_inside_runs(kk_engine: VirtualEngine) -> None:
    with pytest.raises(kk.NotInTaskError, match=r"kk\.wait\.for_"):
        kk.wait.for_(minutes=1)
    with pytest.raises(kk.NotInTaskError, match=r"kk\.wait\.for_token"):
        kk.wait.for_token("any")
    with pytest.raises(kk.NotInTaskError, match=r"kk\.step"):
        kk.step("name", print)


def test_13_3_a_run_is_followed_to_its_end_without_polling(stage: Stage) -> None:
    @kk.task(retry=None)
    async def quick(fails: bool) -> int:
        if fails:
            raise ValueError("no")
        return 1

    assert quick.trigger(fails=False).result(timeout=20).output == 1
    assert str(quick.trigger(fails=True).result(timeout=20).error) == "ValueError: no"


def test_13_5_children_take_after_their_parent(stage: Stage) -> None:
    @kk.task
    async def leaf() -> None: ...

    @kk.task
    async def branch() -> list[str]:
        alone = leaf.trigger()
        waited = await leaf.trigger_and_wait()
        return [alone.id, waited.id]

    for is_test in (False, True):
        run = branch.options(test=is_test).trigger()
        stage.finish()
        children = [kk.runs.retrieve(run_id) for run_id in run.result(timeout=20).output]
        assert [(child.parent_id, child.is_test) for child in children] == [(run.id, is_test)] * 2
        assert {child.version for child in children} == {leaf.version}


def test_15_3_any_iterable_is_a_batch(stage: Stage) -> None:
    @kk.task
    async def squared(x: int) -> int:
        return x * x

    def items() -> Iterator[dict[str, int]]:
        for number in range(4):
            yield {"x": number}

    batch = squared.batch_trigger(items())
    stage.finish()

    assert [each.output for each in batch.result(timeout=20)] == [0, 1, 4, 9]


def test_15_4_a_batch_that_is_sent_twice_is_one(stage: Stage) -> None:
    @kk.task
    async def counted(x: int) -> int:
        return x

    counted.register()
    items = tuple(
        TriggerItem(make_id("run"), "counted", Value(text=f'{{"x": {number}}}', size=8)) for number in range(3)
    )
    batch_id = make_id("batch")

    replies = [callers.current().call(Trigger(items, batch_id)) for _ in range(2)]
    stage.finish()

    assert replies[0] == replies[1]
    assert [each.output for each in kk.batch.retrieve(batch_id).result(timeout=20)] == [0, 1, 2]
    assert kk.runs.list(task="counted").total == 3


def test_15_11_a_batch_that_cannot_be_sent_names_its_items(stage: Stage) -> None:
    @kk.task
    async def strict(x: int) -> int:
        return x

    with pytest.raises(kk.PayloadValidationError, match=r"2 of the 3 items[\s\S]*Item 1") as refused:
        strict.batch_trigger([{"x": 1}, {"x": "one"}, {"y": 2}])

    assert "none was triggered" in str(refused.value)
    assert kk.runs.list(task="strict").total == 0


def test_15_9_a_batch_is_there_whole_or_not_at_all(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def late(x: int) -> int:
        return x

    with pytest.raises(RuntimeError, match="no third"):
        late.batch_trigger(_breaks_off())
    kk_engine.advance(hours=1)

    assert kk.runs.list(task="late").total == 0


def _breaks_off() -> Iterator[dict[str, int]]:
    yield {"x": 1}
    yield {"x": 2}
    raise RuntimeError("no third")
