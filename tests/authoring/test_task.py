"""What `@kk.task` makes, and what its triggers ask of an engine."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest

from kernelkit.authoring import caller as callers
from kernelkit.authoring.batch import batch
from kernelkit.authoring.decorator import task
from kernelkit.authoring.options import Retry
from kernelkit.authoring.reference import TaskReference
from kernelkit.authoring.run_options import Item
from kernelkit.authoring.task import Task, on_definition
from kernelkit.authoring.tasks import tasks
from kernelkit.errors import (
    InvalidOptionError,
    PayloadNotSerializableError,
    PayloadTooLargeError,
    PayloadValidationError,
    TaskDefinitionError,
    TaskNotPicklableError,
    UnknownTaskError,
)
from kernelkit.models.value import MAX_PAYLOAD_BYTES
from kernelkit.wire.messages import BatchPart, BatchSeal, DefineTask, Trigger
from tests.authoring.fake_caller import FakeCaller


def make(**options: Any) -> Task[..., Any]:
    async def resize(url: str, width: int = 512) -> dict[str, Any]:
        """Makes it smaller."""
        return {"url": url, "width": width}

    return task(**options)(resize)


def test_a_task_shows_what_it_is() -> None:
    made = make(queue="images", retry=Retry(max_attempts=5), tags=["pictures"])

    assert (made.id, made.queue, made.retry.max_attempts, made.tags) == ("resize", "images", 5, ("pictures",))
    assert made.isolation == "shared"
    assert made.version is None
    assert made.__doc__ == "Makes it smaller."
    assert repr(made) == "<Task resize(url: str, width: int = 512)>"
    assert made.where.startswith("test_task.py line ")


def test_calling_a_task_calls_the_plain_function() -> None:
    assert asyncio.run(make()("a", width=3)) == {"url": "a", "width": 3}


def test_plain_functions_get_a_process_of_their_own() -> None:
    @task
    def crunch() -> None: ...

    assert crunch.isolation == "process"
    assert crunch.queue == "task/crunch"


def test_defining_a_task_talks_to_nobody(engine: FakeCaller) -> None:
    make()

    assert engine.calls == []


def test_a_trigger_defines_the_task_then_asks_for_a_run(engine: FakeCaller) -> None:
    made = make()

    run = made.trigger(url="a", width="64")

    [spec] = engine.defined("resize")
    [trigger] = engine.sent(Trigger)
    assert isinstance(trigger, Trigger)
    [item] = trigger.items
    assert item.run_id == run.id
    assert item.payload.text == '{"url":"a","width":"64"}'
    assert item.bundle == spec.bundle
    assert (engine.home.bundles / item.bundle).exists()
    assert (engine.home.environments / f"{spec.env_id}.json").exists()
    assert made.version == "20270101.1"


def test_a_task_is_defined_once_while_nothing_changes(engine: FakeCaller) -> None:
    made = make()

    made.trigger(url="a")
    made.options(max_attempts=1, tags="x").trigger({"url": "b"})

    assert len(engine.defined("resize")) == 1
    last = engine.calls[-1]
    assert isinstance(last, Trigger)
    assert (last.items[0].max_attempts, last.items[0].tags) == (1, ("x",))


def test_a_changed_global_is_captured_at_the_trigger(engine: FakeCaller) -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "factor": 2}
    exec("def scale(n: int): return n * factor", scope)
    made = task(scope["scale"])

    made.trigger(n=1)
    scope["factor"] = 3
    made.trigger(n=1)

    first, second = engine.defined("scale")
    assert first.bundle != second.bundle
    assert first.fingerprint == second.fingerprint


def test_a_global_that_cannot_be_sent_is_named_at_the_trigger(engine: FakeCaller) -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "lines": (n for n in range(3))}
    exec("def count(): return list(lines)", scope)
    made = task(scope["count"])

    report = made.register()
    assert report is not None
    assert [problem.name for problem in report.problems] == ["lines"]
    with pytest.raises(TaskNotPicklableError, match="lines"):
        made.trigger()
    assert engine.sent(Trigger) == []


def test_each_engine_is_told(engine: FakeCaller, tmp_path: Path) -> None:
    made = make()
    made.trigger(url="a")
    other = FakeCaller(tmp_path / "other")

    with callers.use(other):
        made.trigger(url="a")

    assert set(other.tasks) >= {"resize"}


def test_an_emptied_home_is_told_again(engine: FakeCaller) -> None:
    made = make()
    made.trigger(url="a")
    engine.tasks.clear()

    made.trigger(url="a")

    assert "resize" in engine.tasks


def test_all_tasks_of_the_process_are_known_after_the_first_call(engine: FakeCaller) -> None:
    first, second = make(id="first"), make(id="second")

    first.trigger(url="a")

    assert {"first", "second"} <= set(engine.tasks)
    assert second.version is not None


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((), {"width": 3}, PayloadValidationError),
        ((), {"url": "a", "wdth": 3}, PayloadValidationError),
        (("a", 3), {}, PayloadValidationError),
        (({"url": object()},), {}, PayloadNotSerializableError),
        ((), {"url": "x" * MAX_PAYLOAD_BYTES}, PayloadTooLargeError),
    ],
)
def test_a_refused_payload_leaves_nothing_behind(
    engine: FakeCaller, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make().trigger(*args, **kwargs)

    assert engine.calls == []


def test_a_payload_may_have_just_the_limit(engine: FakeCaller) -> None:
    made = make()
    rest = MAX_PAYLOAD_BYTES - len('{"url":""}')

    made.trigger(url="x" * rest)

    with pytest.raises(PayloadTooLargeError, match="3,145,729 bytes of JSON; the limit is 3,145,728"):
        made.trigger(url="x" * (rest + 1))
    with pytest.raises(PayloadTooLargeError):
        made.trigger(url="é" * (rest // 2 + 1))


def test_a_batch_is_one_message_with_ordered_ids(engine: FakeCaller) -> None:
    made = make()

    handle = made.options(tags="all").batch_trigger(
        [{"url": "a"}, Item({"url": "b"}, max_attempts=1, tags="own"), {"url": "c"}]
    )

    [trigger] = engine.sent(Trigger)
    assert isinstance(trigger, Trigger)
    assert trigger.batch_id == handle.id
    assert [item.tags for item in trigger.items] == [("all",), ("own",), ("all",)]
    run_ids = [run.id for run in handle.runs]
    assert run_ids == sorted(run_ids) == [item.run_id for item in trigger.items]
    assert batch.retrieve(handle.id).runs == handle.runs


def test_a_large_batch_goes_in_parts(engine: FakeCaller) -> None:
    made = make()

    handle = made.batch_trigger([{"url": "x" * 300_000} for _ in range(5)])

    assert len(engine.sent(BatchPart)) == 3
    assert len(engine.sent(BatchSeal)) == 1
    assert len(handle) == 5


def test_a_batch_is_refused_as_a_whole(engine: FakeCaller) -> None:
    made = make()

    with pytest.raises(PayloadValidationError, match="Item 1 of the batch"):
        made.batch_trigger([{"url": "a"}, {"width": 1}])
    with pytest.raises(InvalidOptionError, match="at most 1,000 items; this one has 1,001"):
        made.batch_trigger([{"url": "a"}] * 1001)

    assert engine.sent(Trigger) == []


def test_an_empty_batch_is_complete(engine: FakeCaller) -> None:
    handle = make().batch_trigger([])

    assert handle.result() == []
    assert handle.status == "COMPLETED"
    assert engine.calls == []


def test_several_tasks_share_a_batch(engine: FakeCaller) -> None:
    one, two = make(id="one"), make(id="two")
    two.register()

    handle = batch.trigger([(one, {"url": "a"}), ("two", {"url": "b"}), (one, Item({"url": "c"}, tags="t"))])

    [trigger] = engine.sent(Trigger)
    assert isinstance(trigger, Trigger)
    assert [item.task_id for item in trigger.items] == ["one", "two", "one"]
    assert [bool(item.bundle) for item in trigger.items] == [True, False, True]
    assert len(handle) == 3
    with pytest.raises(InvalidOptionError, match="Item 0 of the batch is not a pair"):
        batch.trigger([{"url": "a"}])  # type: ignore[list-item]


def test_by_id_the_payload_is_sent_as_it_is(engine: FakeCaller) -> None:
    make().register()

    tasks.trigger("resize", {"wrong": 1}, tags=["t"])

    [trigger] = engine.sent(Trigger)
    assert isinstance(trigger, Trigger)
    assert trigger.items[0].payload.text == '{"wrong":1}'
    assert trigger.items[0].bundle == ""
    with pytest.raises(UnknownTaskError):
        tasks.trigger("resise", {})
    with pytest.raises(InvalidOptionError, match="'dely' is not an option"):
        tasks.trigger("resize", {}, dely=3)


def test_the_projects_tasks_are_listed(engine: FakeCaller) -> None:
    made = make(id="listed")

    assert made.id in [known.spec.id for known in tasks.list()]
    assert "listed" in repr(tasks.list())


def test_a_shipped_task_triggers_by_its_id(engine: FakeCaller) -> None:
    made = make()
    made.register()

    reference = pickle.loads(pickle.dumps(made))

    assert isinstance(reference, TaskReference)
    assert reference.trigger(url="a").task_id == "resize"


def test_inside_a_run_a_task_is_not_defined(tmp_path: Path) -> None:
    worker = FakeCaller(tmp_path, inside_run=True)
    made = make()
    with callers.use(worker), pytest.raises(UnknownTaskError):
        made.trigger(url="a")

    assert worker.sent(DefineTask) == []


def test_whoever_asks_is_told_of_definitions() -> None:
    told: list[Task[..., Any]] = []
    end = on_definition(told.append)
    made = make()
    end()
    make()

    assert told == [made]


def test_a_class_or_a_wrong_option_is_refused_at_once() -> None:
    with pytest.raises(TaskDefinitionError, match="not a function"):
        task(dict)
    with pytest.raises(InvalidOptionError, match="quue"):
        task(quue="a")  # type: ignore[call-overload]


def test_a_method_is_refused_when_it_is_reached() -> None:
    class Shop:
        @task
        def sell(self, item: str) -> None: ...

    with pytest.raises(TaskDefinitionError, match="is a method"):
        Shop().sell  # noqa: B018


def test_a_trigger_brings_the_surroundings_it_was_made_in(engine: FakeCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    # Runs got the variables of whichever process had defined the task last: bundles hash alike everywhere.
    made = make()
    made.trigger(url="a")
    monkeypatch.setenv("WHO", "two")
    made.trigger(url="b")
    batch.trigger([(made, {"url": "c"}), ("resize", {"url": "d"})])

    first, second, *rest = (call for call in engine.calls if isinstance(call, Trigger))
    (one,), (two,) = first.items, second.items
    assert one.env_id != two.env_id
    assert all((engine.home.environments / f"{item.env_id}.json").exists() for item in (one, two))
    assert [spec.env_id for spec in engine.defined("resize")] == [one.env_id, two.env_id]
    assert [item.env_id for item in rest[0].items] == [two.env_id, ""]
