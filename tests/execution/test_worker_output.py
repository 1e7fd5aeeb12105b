"""What bodies print, log and write to descriptors, as it leaves a real worker process."""

# Bodies print, block and poll files on purpose: they are what a worker has to live with.
# ruff: noqa: T201

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading

from kernelkit.authoring.logger import logger
from kernelkit.config import Home
from tests.execution.fake_engine import FakeEngine
from tests.execution.played import BOTH, output, play


@BOTH
def test_output_of_every_kind_lands_in_the_log_of_its_run(home: Home, kind: str) -> None:
    def body() -> None:
        print("printed")
        print("half ", end="")
        print("a line")
        print("to stderr", file=sys.stderr)
        logging.getLogger("my.lib").warning("from %s", "logging")
        logger.info("parsed", rows=10)
        thread = threading.Thread(target=lambda: print("from a thread"))
        thread.start()
        thread.join()
        print("no newline", end="")

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        output(await engine.ended(start))
        assert sorted(engine.lines(start)) == sorted(
            [
                ("stdout", "printed"),
                ("stdout", "half a line"),
                ("stderr", "to stderr"),
                ("warn", "my.lib: from logging"),
                ("info", "parsed rows=10"),
                ("stdout", "from a thread"),
                ("stdout", "no newline"),
            ]
        )

    play(home, kind, story)


def test_an_exclusive_worker_catches_c_code_and_children_too(home: Home) -> None:
    def body() -> None:
        os.write(1, b"raw\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)

    async def story(engine: FakeEngine) -> None:
        for _ in range(2):
            start = engine.start(body)
            output(await engine.ended(start))
            assert engine.lines(start) == [("stdout", "raw"), ("stdout", "from a child")]

    play(home, "process", story)


def test_a_body_that_closes_its_streams_leaves_the_next_one_its_own(home: Home) -> None:
    def closes() -> None:
        sys.stdout.close()
        os.close(2)

    async def leaves_a_task() -> None:
        asyncio.get_running_loop().create_task(asyncio.sleep(60))  # the point
        print("said")

    async def story(engine: FakeEngine) -> None:
        output(await engine.ended(engine.start(closes)))
        start = engine.start(leaves_a_task)
        output(await engine.ended(start))
        assert engine.lines(start) == [("stdout", "said")]

    play(home, "process", story)


def test_lines_are_visible_while_the_body_runs(home: Home) -> None:
    async def body() -> None:
        print("now")
        await asyncio.sleep(60)

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        await engine.began(start)
        await engine.until(lambda: bool(engine.lines(start)))

    play(home, "shared", story)


@BOTH
def test_fifty_megabytes_of_prints_neither_stall_nor_bloat(home: Home, kind: str) -> None:
    def body() -> int:
        for n in range(500_000):
            print(f"{n:>99}")
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    async def story(engine: FakeEngine) -> None:
        start = engine.start(body)
        peak_kib = int(output(await engine.ended(start, within_s=60)) or 0)
        lines = engine.lines(start)
        assert lines[0][1].endswith(" 0")
        assert lines[-1][1].endswith(" 499999")
        assert len(lines) + engine.dropped(start) == 500_000
        assert sum(len(text) + 1 for _, text in lines[-90_000:]) >= 8_900_000
        assert sum(len(text) for _, text in lines) < 40_000_000
        assert peak_kib < 250_000

    play(home, kind, story)
