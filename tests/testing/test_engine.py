"""The virtual engine: time stands still until it is moved, and then everything due happens in order."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.testing import VirtualEngine, engine

pytest_plugins = ["pytester"]


def test_time_stands_still_until_it_is_moved(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    long, short = nap.trigger(seconds=3600), nap.trigger(seconds=10)
    kk_engine.drain()
    assert (long.status, short.status) == ("EXECUTING", "EXECUTING")

    kk_engine.advance(seconds=11)
    assert (long.status, short.status) == ("EXECUTING", "COMPLETED")

    kk_engine.advance(hours=1)
    assert long.result(timeout=5).output == 3600


def test_now_starts_where_it_was_told_and_moves_with_advance() -> None:
    with engine(now=datetime(2030, 1, 1, tzinfo=UTC)) as eng:
        assert eng.now == datetime(2030, 1, 1, tzinfo=UTC)
        eng.advance(days=1, hours=2)
        assert eng.now == datetime(2030, 1, 2, 2, tzinfo=UTC)


def test_a_plain_function_runs_on_a_thread_and_holds_the_clock(kk_engine: VirtualEngine) -> None:
    @kk.task
    def busy() -> int:
        return sum(range(100_000))

    run = busy.trigger()
    kk_engine.drain()

    assert run.result(timeout=5).output == sum(range(100_000))


def test_it_works_inside_a_running_loop() -> None:
    @kk.task
    async def double(n: int) -> int:
        return 2 * n

    async def notebook_cell() -> int:
        with engine() as eng:
            run = double.trigger(n=4)
            eng.drain()
            output: int = (await run).unwrap()
            return output

    assert asyncio.run(notebook_cell()) == 8


def test_a_body_deaf_to_cancellation_is_a_problem_that_names_the_way_out(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def deaf() -> None:
        for _ in range(3):  # not for ever, so that the test's own engine can end
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                kk.logger.info("not now")

    run = deaf.trigger()
    kk_engine.drain()
    run.cancel()

    with pytest.raises(kk.KernelKitError, match="workers=2, real_time=True"):
        kk_engine.advance(seconds=10)


def test_a_home_keeps_what_a_virtual_engine_stored(tmp_path: Path) -> None:
    @kk.task
    async def keep(n: int) -> int:
        return n

    with engine(home=tmp_path) as eng:
        run = keep.trigger(n=7)
        eng.drain()
        assert run.status == "COMPLETED"

    with engine(home=tmp_path):
        assert kk.runs.retrieve(run.id).output == 7


def test_engines_of_two_blocks_do_not_see_each_other() -> None:
    @kk.task
    async def one() -> int:
        return 1

    with engine() as eng:
        one.trigger()
        eng.drain()
        assert len(kk.runs.list()) == 1
    with engine():
        assert len(kk.runs.list()) == 0


def test_the_fixture_is_there_for_those_who_install_kernelkit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import kernelkit as kk

        @kk.task
        async def shout(text: str) -> str:
            return text.upper()

        def test_shout(kk_engine):
            run = shout.trigger(text="hello")
            kk_engine.drain()
            assert run.result(timeout=5).output == "HELLO"
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_a_real_engine_runs_in_other_processes(tmp_path: Path) -> None:
    import os

    @kk.task
    def whoami() -> int:
        return os.getpid()

    with engine(home=tmp_path, workers=2, real_time=True) as eng:
        begun = time.monotonic()
        run = whoami.trigger()
        eng.drain()
        assert run.result(timeout=20).output != os.getpid()
        assert time.monotonic() >= begun
