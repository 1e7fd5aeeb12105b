"""Hooks, by section 29 of the specification and what was decided: registration, order, what they are given."""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage, until
from tests.behaviour.hooks import (
    BODIES,
    ENDING,
    FIRST,
    GOOD,
    SECOND,
    TWICE,
    note,
    order,
    with_every_hook,
)

pytestmark = pytest.mark.usefixtures("no_hooks_left")

# ---- 29.1 registration -----------------------------------------------------------------------------------------------


def test_29_1_a_hook_is_a_decorator_a_keyword_or_a_call_with_a_name(stage: Stage) -> None:
    def by_keyword() -> None:
        note("keyword")

    @kk.task(on_start=by_keyword)
    async def several() -> None: ...

    @several.on_start
    def by_decorator() -> None:
        note("decorator")

    def by_call() -> None:
        note("call")

    several.on_start("called", by_call)
    run = several.trigger()
    stage.finish()

    assert order(run) == ["keyword", "decorator", "call"]


def test_29_1_the_same_name_again_replaces_in_the_same_place(stage: Stage) -> None:
    @kk.task
    async def replaced() -> None: ...

    for text in ("first", "second"):

        @replaced.on_start("one")
        def one(text: str = text) -> None:
            note(f"one {text}")

        @replaced.on_start("two")
        def two(text: str = text) -> None:
            note(f"two {text}")

    run = replaced.trigger()
    stage.finish()

    assert order(run) == ["one second", "two second"]


def test_29_1_a_hook_registered_after_a_trigger_belongs_to_the_next_and_makes_a_version(stage: Stage) -> None:
    @kk.task
    async def grows() -> None: ...

    before = grows.trigger()
    stage.finish()
    earlier = grows.version

    @kk.tasks.on_start
    def later() -> None:
        note("later")

    after = grows.trigger()
    stage.finish()

    assert (order(before), order(after)) == ([], ["later"])
    assert grows.version != earlier


def test_29_1_a_hook_takes_its_globals_along(stage: Stage) -> None:
    factor = 3

    @kk.task
    async def tripled() -> int:
        return 1

    @tripled.on_success
    def triple(output: int) -> None:
        note(str(output * factor))

    run = tripled.trigger()
    stage.finish()

    assert order(run) == ["3"]


# ---- 29.2 order ------------------------------------------------------------------------------------------------------


@BODIES
def test_29_2_order_of_one_attempt(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"ordered-{body.__name__}", retry=None)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger()
    stage.finish()

    assert run.status == "COMPLETED"
    assert order(run) == [*FIRST, *GOOD, *ENDING]


@BODIES
def test_29_2_order_of_a_retry_and_its_good_end(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"again-{body.__name__}", retry=TWICE)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger(fails=1)
    stage.finish()

    assert run.result(timeout=20).output == 7
    asked = ["own catch_error number 1", "all catch_error number 1"]
    assert order(run) == [*FIRST, *asked, *ENDING, *SECOND, *GOOD, *ENDING]


@BODIES
def test_29_2_order_of_a_run_that_fails_for_good(stage: Stage, body: Any) -> None:
    task = kk.task(id=f"fails-{body.__name__}", retry=TWICE)(body)
    with_every_hook(task, "own")
    with_every_hook(kk.tasks, "all")

    run = task.trigger(fails=2)
    stage.finish()

    assert run.status == "FAILED"
    asked = ["own catch_error number {}", "all catch_error number {}"]
    told = ["all on_failure number 2", "own on_failure number 2", "all on_complete False", "own on_complete False"]
    assert order(run) == [
        *FIRST,
        *(text.format(1) for text in asked),
        *ENDING,
        *SECOND,
        *(text.format(2) for text in asked),
        *told,
        *ENDING,
    ]


def test_29_2_a_payload_that_does_not_fit_calls_no_hook(stage: Stage) -> None:
    @kk.task(id="strict")
    async def strict(n: int) -> None: ...

    with_every_hook(strict, "own")
    strict.register()
    run = kk.tasks.trigger("strict", {"n": "many"})
    stage.finish()

    assert (run.status, order(run)) == ("FAILED", [])


# ---- 29.3 what hooks are given ---------------------------------------------------------------------------------------


def test_29_3_a_hook_gets_what_it_names(stage: Stage) -> None:
    @kk.task(id="gives")
    async def gives(n: int, init: dict[str, int]) -> dict[str, int]:
        return {"sum": n + init["one"] + init["two"]}

    @gives.init
    def first() -> dict[str, int]:
        return {"one": 1}

    @gives.init
    async def second(payload: dict[str, int]) -> dict[str, int]:
        return {"two": payload["n"]}

    @gives.on_success
    def told(output: Any, task: str, payload: Any, signal: kk.CancelSignal, init: Any, ctx: kk.Context) -> None:
        note(f"{task} {payload} {output} {init} {signal.is_set()} {ctx.run.id == kk.ctx.run.id}")

    @gives.on_complete
    def everything(**given: Any) -> None:
        note(f"{sorted(given)} {given['result'].output} {given['result'].error}")

    run = gives.trigger(n=20)
    stage.finish()

    assert order(run) == [
        "gives {'n': 20} {'sum': 41} {'one': 1, 'two': 20} False True",
        "['ctx', 'init', 'payload', 'result', 'signal', 'task'] {'sum': 41} None",
    ]


def test_29_3_an_error_hook_gets_the_exception_itself(stage: Stage) -> None:
    @kk.task(retry=None)
    def fails() -> None:
        error = OSError("disk on fire")
        error.errno = 5
        raise error

    @fails.on_failure
    def told(error: OSError) -> None:
        note(f"{type(error).__name__} {error.errno}")

    @fails.on_complete
    def result(result: kk.Result[Any]) -> None:
        assert result.error is not None
        note(f"{result.error.name} {result.error.message} {result.status}")

    run = fails.trigger()
    stage.finish()

    assert order(run) == ["OSError 5", "OSError disk on fire FAILED"]


# ---- 29.9 crashes ----------------------------------------------------------------------------------------------------


def test_29_9_a_crash_by_memory_is_no_failure_for_hooks(stage: Stage) -> None:
    @kk.task
    async def greedy() -> None:
        raise MemoryError

    with_every_hook(greedy, "own")
    run = greedy.trigger()
    stage.finish()

    assert run.status == "CRASHED"
    assert order(run)[-3:] == ["body", "own cleanup", "own middleware <"] or order(run)[-2:] == [
        "own cleanup",
        "own middleware <",
    ]
    assert not [text for text in order(run) if "failure" in text or "catch" in text or "complete" in text]


# ---- init.py (decision 35) -------------------------------------------------------------------------------------------

INIT = """
import kernelkit as kk

@kk.tasks.on_start
def from_init(task):
    kk.metadata.append("order", f"init.py {task}")
"""


@pytest.mark.parametrize("real_time", [False, True], ids=["virtual", "real"])
def test_29_1_init_py_beside_the_home_holds_for_every_task(tmp_path: Path, real_time: bool) -> None:
    (tmp_path / "init.py").write_text(INIT)

    @kk.tasks.on_start
    def of_this_process() -> None:
        note("this process")

    @kk.task(id="anyones")
    async def anyones() -> None: ...

    try:
        with engine(home=tmp_path, real_time=real_time) as eng:
            run = anyones.trigger()
            eng.drain()
            if real_time:
                until(lambda: run.refresh().is_completed)
            assert order(run) == ["init.py anyones", "this process"]

            if real_time:  # it is edited while the worker lives
                (tmp_path / "init.py").write_text(INIT.replace("init.py {task}", "edited {task}"))
                again = anyones.trigger()
                until(lambda: again.refresh().is_completed)
                assert order(again) == ["edited anyones", "this process"]
    finally:
        sys.modules.pop("init", None)


def test_29_1_an_init_py_that_fails_is_named_by_the_run(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_text("import no_such_module_anywhere")

    @kk.task(retry=None)
    async def unlucky() -> None: ...

    with engine(home=tmp_path) as eng:
        run = unlucky.trigger()
        eng.drain()
        error = run.refresh().error

    assert error is not None
    assert "init.py, whose hooks go with every task" in error.message
    assert "init" not in sys.modules


def test_global_hooks_of_a_test_engines_block_are_dropped_at_its_end() -> None:
    @kk.task
    async def plain() -> None: ...

    with engine():

        @kk.tasks.on_start
        def inside() -> None:
            note("inside")

    with engine() as eng:
        run = plain.trigger()
        eng.drain()
        assert order(run) == []
        assert eng.now.tzinfo is UTC
