"""Real worker processes, with the test as their engine."""

# Bodies print, block and poll files on purpose: they are what a worker has to live with.
# ruff: noqa: T201, ASYNC110, ASYNC220, ASYNC240

from __future__ import annotations

import asyncio
import linecache
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kernelkit.authoring.ctx import ctx
from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.tags import tags
from kernelkit.config import Home
from kernelkit.errors import InvalidOptionError, to_wire
from kernelkit.execution import keeper, link
from kernelkit.wire import messages as m
from kernelkit.wire.discovery import mark_down
from tests.execution.fake_engine import FakeEngine
from tests.execution.played import BOTH, failure, output, play


@BOTH
def test_a_worker_runs_bodies_in_its_own_process_one_after_the_other(home: Home, kind: str) -> None:
    async def body(n: int) -> list[Any]:
        await asyncio.sleep(0)
        return [n, os.getpid(), ctx.run.id]

    def plain(n: int) -> list[Any]:
        return [n, os.getpid(), ctx.run.id]

    async def story(engine: FakeEngine) -> None:
        for function in (body, plain, body):
            start = engine.start(function, {"n": 7})
            end = await engine.ended(start)
            assert output(end) == f'[7,{engine.worker.pid},"{start.run_id}"]'
            assert isinstance(engine.bodies(start)[0], m.Started)
            assert isinstance(end, m.Succeeded)
            assert (end.peak_memory is not None) == (kind == "process")

    play(home, kind, story)


def test_many_attempts_share_a_worker_at_once(home: Home) -> None:
    async def body(n: int) -> int:
        loop: Any = asyncio.get_running_loop()
        loop.begun = getattr(loop, "begun", 0) + 1
        while loop.begun < 50:  # none ends before all have begun
            await asyncio.sleep(0.001)
        print("I am", n)
        return n

    async def story(engine: FakeEngine) -> None:
        starts = [engine.start(body, {"n": n}) for n in range(50)]
        ends = [await engine.ended(start) for start in starts]
        assert [output(end) for end in ends] == [str(n) for n in range(50)]
        for n, start in enumerate(starts):
            assert engine.lines(start) == [("stdout", f"I am {n}")]

    play(home, "shared", story)


@BOTH
def test_leaving_by_sys_exit_fails_the_attempt_and_not_the_worker(home: Home, kind: str) -> None:
    async def exits() -> None:
        sys.exit(3)

    async def exits_in_a_task() -> str:
        async def below() -> None:
            sys.exit(4)

        task = asyncio.create_task(below())
        await asyncio.wait([task])
        return type(task.exception()).__name__

    def exits_plainly() -> None:
        sys.exit(3)

    async def story(engine: FakeEngine) -> None:
        for function in (exits, exits_plainly):
            assert failure(await engine.ended(engine.start(function))).error.message == "the task called sys.exit(3)"
        assert output(await engine.ended(engine.start(exits_in_a_task))) == '"SystemExit"'
        assert failure(await engine.ended(engine.start(exits))).error.name == "SystemExit"

    play(home, kind, story)


def test_leaving_by_os_exit_in_a_shared_worker_ends_no_neighbour(home: Home) -> None:
    async def neighbour() -> str:
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        return "fine"

    async def exits() -> None:
        try:
            os._exit(5)
        except Exception:
            pass

    async def exits_by_its_name_alone() -> None:
        from posix import _exit

        await asyncio.to_thread(_exit, 5)

    def exits_plainly() -> None:
        os._exit(5)

    def forks() -> int:
        pid = os.fork()
        if not pid:
            os._exit(6)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    async def story(engine: FakeEngine) -> None:
        beside = engine.start(neighbour)
        await engine.began(beside)
        for function in (exits, exits_by_its_name_alone, exits_plainly):
            error = failure(await engine.ended(engine.start(function))).error
            assert error.message.startswith("the task called os._exit(5). Other runs share its process")
        assert output(await engine.ended(engine.start(forks))) == "6"
        (home.path / "go").touch()
        assert output(await engine.ended(beside)) == '"fine"'

    play(home, "shared", story)


def test_a_crash_of_the_process_is_seen_by_whoever_waits_for_it(home: Home) -> None:
    def body() -> None:
        os._exit(7)

    async def story(engine: FakeEngine) -> None:
        engine.start(body)
        assert await engine.wait_for_exit() == 7

    play(home, "process", story)


@BOTH
def test_a_body_is_stopped_at_once_without_a_signal_parameter(home: Home, kind: str) -> None:
    async def sleeps() -> None:
        await asyncio.sleep(60)

    def computes() -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    async def story(engine: FakeEngine) -> None:
        for function in (sleeps,) if kind == "shared" else (sleeps, computes):
            start = engine.start(function)
            await engine.began(start)
            engine.send(m.StopAttempt(start.run_id, start.fence, "Canceled by user", signal_s=0))
            assert isinstance(await engine.ended(start), m.Stopped)
        assert engine.worker.poll() is None

    play(home, kind, story)


@BOTH
def test_a_body_with_a_signal_parameter_may_end_by_itself(home: Home, kind: str) -> None:
    async def waits(signal: Any) -> None:
        print("began")
        await signal.wait()
        print("reason:", signal.reason)

    def waits_plainly(signal: Any) -> None:
        print("began")
        signal.wait_sync()
        print("reason:", signal.reason)

    async def story(engine: FakeEngine) -> None:
        for function in (waits, waits_plainly):
            start = engine.start(function)
            await engine.until(lambda start=start: bool(engine.lines(start)))  # type: ignore[misc]  # bound at once
            engine.send(m.StopAttempt(start.run_id, start.fence, "Canceled by user"))
            assert isinstance(await engine.ended(start), m.Stopped)
            assert engine.lines(start)[1:] == [("stdout", "reason: Canceled by user")]

    play(home, kind, story)


def test_metadata_and_tags_are_reported_in_order_before_the_end(home: Home) -> None:
    async def body() -> None:
        metadata.set("n", 1).increment("n", 2)
        tags.add("one")
        await asyncio.sleep(0.25)
        for _ in range(100):
            metadata.increment("n")

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        output(await engine.ended(start))
        bodies = engine.bodies(start)
        changes = [body for body in bodies if isinstance(body, m.ChangeMetadata)]
        assert [[(op.kind, op.key, op.value) for op in change.ops] for change in changes] == [
            [("set", "n", "3")],
            [("increment", "n", "100")],
        ]
        assert isinstance(bodies[-1], m.Succeeded)

    play(home, "shared", story)


@BOTH
def test_a_refused_call_fails_the_attempt_naming_the_line(home: Home, kind: str) -> None:
    async def body() -> str:
        tags.add("one")
        return "fine"

    async def story(engine: FakeEngine) -> None:
        engine.refuse = lambda report: (
            to_wire(InvalidOptionError("too many tags")) if isinstance(report.body, m.AddTags) else None
        )
        error = failure(await engine.ended(engine.start(body))).error
        assert error.name == "InvalidOptionError"
        assert "too many tags" in error.message
        assert "test_worker.py, line" in error.message

    play(home, kind, story)


@BOTH
def test_after_an_engine_crash_unacknowledged_reports_come_again_and_bodies_go_on(home: Home, kind: str) -> None:
    async def quick() -> int:
        return 1

    async def slow() -> int:
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        return 2

    async def story(engine: FakeEngine) -> None:
        engine.acks = False
        first = engine.start(quick)
        await engine.ended(first)
        second = engine.start(slow)
        await engine.began(second)

        await engine.hang_up()
        engine.reports.clear()
        (home.path / "go").touch()
        engine.acks = True
        await engine.listen()

        assert output(await engine.ended(first)) == "1"
        assert output(await engine.ended(second)) == "2"
        assert {attempt.run_id for attempt in engine.hellos[-1].live} == {first.run_id, second.run_id}
        assert [report.seq for report in engine.reports] == sorted(report.seq for report in engine.reports)

    play(home, kind, story)


@BOTH
def test_a_worker_that_is_told_to_retire_finishes_what_it_has_and_exits(home: Home, kind: str) -> None:
    async def body() -> int:
        await asyncio.sleep(0.1)
        return 1

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        await engine.began(start)
        engine.send(m.Retire())
        assert await engine.wait_for_exit() == 0
        assert output(await engine.ended(start)) == "1"

    play(home, kind, story)


@BOTH
@pytest.mark.parametrize("marked", [False, True])
def test_an_idle_worker_without_an_engine_ends_by_itself(home: Home, kind: str, marked: bool) -> None:
    async def body() -> int:
        return 1

    async def story(engine: FakeEngine) -> None:
        assert output(await engine.ended(engine.start(body))) == "1"
        if marked:  # by `kernelkit down`
            mark_down(home)
        await engine.hang_up()
        assert await engine.wait_for_exit() == 0
        assert not list(home.orphans.glob("*"))

    assert link.RETIRE_AFTER_S < keeper._START_AFTER_S, "else a keeper would start an engine for workers that are idle"
    play(home, kind, story)


@BOTH
def test_a_worker_whose_keeper_is_gone_ends_with_all_its_children(home: Home, kind: str) -> None:
    async def body() -> None:
        child = subprocess.Popen(["sleep", "60"])
        metadata.set("child", child.pid)
        await asyncio.sleep(60)

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        await engine.until(lambda: any(isinstance(each, m.ChangeMetadata) for each in engine.bodies(start)))
        change = next(each for each in engine.bodies(start) if isinstance(each, m.ChangeMetadata))
        engine.cut_lifeline()
        assert await engine.wait_for_exit() == -9
        status = Path(f"/proc/{change.ops[0].value}/status")
        deadline = time.monotonic() + 5
        while status.exists() and "State:\tZ" not in status.read_text():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    play(home, kind, story)


@BOTH
def test_an_edited_helper_module_is_imported_anew(home: Home, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home.path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    (folder / "kk_rates.py").write_text("RATE = 1\n")
    (folder / "kk_prices.py").write_text("from kk_rates import RATE\n\ndef price():\n    return RATE\n")

    def body() -> int:
        from kk_prices import price  # type: ignore[import-not-found]  # made above

        return int(price())

    def waits() -> int:
        from kk_prices import price

        print("imported")
        while not os.path.exists("go"):
            time.sleep(0.01)
        return int(price())

    async def story(engine: FakeEngine) -> None:
        assert output(await engine.ended(engine.start(body))) == "1"
        (folder / "kk_rates.py").write_text("RATE = 2\n")
        assert output(await engine.ended(engine.start(body))) == "2"

        start = engine.start(waits)
        await engine.until(lambda: bool(engine.lines(start)))
        (folder / "kk_rates.py").write_text("RATE = 3\n")
        (home.path / "go").touch()
        assert output(await engine.ended(start)) == "2"
        assert output(await engine.ended(engine.start(body))) == "3"

    play(home, kind, story)


@BOTH
def test_code_that_does_not_load_is_a_failed_attempt(home: Home, kind: str) -> None:
    async def story(engine: FakeEngine) -> None:
        error = failure(await engine.ended(engine.start_again("0" * 64))).error
        assert "Trigger the task again" in error.message

    play(home, kind, story)


def test_two_notebooks_with_a_cell_of_the_same_number_are_each_shown_their_own_lines(home: Home) -> None:
    def cell(text: str) -> Callable[..., Any]:
        space: dict[str, Any] = {"__name__": "__main__"}
        source = f"async def body(file):\n    await wait(file)\n    raise ValueError  # {text}\n"
        exec(compile(source, "<Cell [3]>", "exec"), space)
        space["wait"] = wait
        linecache.cache["<Cell [3]>"] = (len(source), None, source.splitlines(keepends=True), "<Cell [3]>")
        return cast(Callable[..., Any], space["body"])

    async def wait(file: str) -> None:
        while not os.path.exists(file):
            await asyncio.sleep(0.01)

    async def story(engine: FakeEngine) -> None:
        one = engine.start(cell("of one"), {"file": "go"})
        other = engine.start(cell("of the other"), {"file": "go"})
        await engine.began(one)
        await engine.began(other)
        (home.path / "go").touch()
        for start, text in ((one, "# of one"), (other, "# of the other")):
            error = failure(await engine.ended(start)).error
            assert error.frames[-1].source.endswith(text)
            assert f"raise ValueError  {text}\n" in error.traceback

    play(home, "shared", story)


@BOTH
def test_pings_are_answered(home: Home, kind: str) -> None:
    async def story(engine: FakeEngine) -> None:
        engine.send(m.Ping())
        await engine.until(lambda: engine.pongs == 1)

    play(home, kind, story)


def test_an_exclusive_worker_gives_each_attempt_the_same_surroundings(home: Home) -> None:
    def body() -> list[str | None]:
        before = [os.getcwd(), os.environ.get("KK_LEFT")]
        os.chdir("/")
        os.environ["KK_LEFT"] = "behind"
        return before

    async def story(engine: FakeEngine) -> None:
        first = output(await engine.ended(engine.start(body)))
        assert output(await engine.ended(engine.start(body))) == first

    play(home, "process", story)
