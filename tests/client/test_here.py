"""`task.local(…)`: an attempt in this thread, as a debugger wants it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERNELKIT_HOME", str(tmp_path / ".kernelkit"))
    return tmp_path


def test_the_body_runs_in_this_thread_and_its_value_comes_back_as_it_is() -> None:
    @kk.task
    def where(n: int) -> object:
        return threading.get_ident(), {n}

    assert where.local(n="3") == (threading.get_ident(), {3})


def test_no_engine_is_started_and_nothing_is_stored(project: Path) -> None:
    @kk.task
    def one() -> int:
        return 1

    assert one.local() == 1
    assert not (project / ".kernelkit" / "engine.duckdb").exists()


def test_an_async_body_runs_inside_the_loop_of_a_notebook() -> None:
    @kk.task
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    async def cell() -> tuple[int, bool]:
        loop = asyncio.get_running_loop()
        doubled = double.local(n=4)
        await asyncio.sleep(0)
        return doubled, asyncio.get_running_loop() is loop

    assert double.local(n=2) == 4
    assert asyncio.run(cell()) == (8, True)


def test_hooks_come_in_their_order_those_of_the_project_first(project: Path) -> None:
    (project / "init.py").write_text(
        "import kernelkit as kk\n@kk.tasks.on_start\ndef first(ctx): kk.metadata.set('by', 'init.py')\n"
    )
    told: list[object] = []

    @kk.task
    async def work() -> str:
        told.append(kk.metadata.get("by"))
        return "done"

    @work.middleware
    async def around(next: Any) -> None:
        told.append("before")
        await next()
        told.append("after")

    @work.on_success
    def tell(output: str) -> None:
        told.append(output)

    assert work.local() == "done"
    assert told == ["before", "init.py", "done", "after"]


def test_what_the_body_raises_comes_up_after_its_hooks() -> None:
    told: list[BaseException] = []
    problem = ValueError("no")

    @kk.task(on_failure=lambda error: told.append(error))
    def bad() -> None:
        raise problem

    with pytest.raises(ValueError, match="no") as raised:
        bad.local()
    assert raised.value is problem
    assert told == [problem]


def test_an_error_that_catch_error_puts_in_its_place_comes_up_instead() -> None:
    @kk.task(catch_error=lambda error: kk.OnError(error=KeyError("better")))
    async def bad() -> None:
        raise ValueError("worse")

    with pytest.raises(KeyError, match="better"):
        bad.local()


def test_a_body_that_completes_early_returns_its_output() -> None:
    @kk.task
    def early() -> int:
        raise kk.CompleteTaskWithOutput(7)

    assert early.local() == 7


def test_options_are_seen_by_the_body_and_the_log_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    @kk.task
    def look(ctx: kk.Context) -> object:
        kk.tags.add("later")
        kk.metadata.increment("n", 2)
        kk.logger.info("looked", rows=3)
        return ctx.run.tags, ctx.run.is_test, kk.metadata.get("n"), ctx.attempt.number, ctx.run.max_attempts

    assert look.options(tags="user_1", test=True, metadata={"n": 1}).local() == (("user_1",), True, 3, 1, 1)
    assert capsys.readouterr().err == "info looked rows=3\n"


def test_a_payload_that_does_not_fit_is_refused_before_the_body() -> None:
    @kk.task
    def strict(n: int) -> None:
        raise AssertionError("not called")

    with pytest.raises(kk.PayloadValidationError, match="valid integer"):
        strict.local(n="three")


def test_inside_a_run_it_is_refused_with_what_to_do_instead(kk_engine: VirtualEngine) -> None:
    @kk.task
    def inner() -> None: ...

    @kk.task(retries=1)
    async def outer() -> None:
        inner.local()

    run = outer.trigger()
    kk_engine.drain()
    assert "plain function" in str(run.result(timeout=10).error)


def test_a_task_that_it_triggers_goes_to_the_engine_at_hand(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def child(n: int) -> int:
        return n + 1

    @kk.task
    def parent() -> str:
        return child.trigger(n=1).id

    run_id = parent.local()
    kk_engine.drain()
    assert kk.runs.retrieve(run_id).output == 2
