"""A keeper between its engine, its home and other keepers; see `keeper_stage.py`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from kernelkit.config import Home
from kernelkit.wire import messages as m
from kernelkit.wire.discovery import (
    LockOwner,
    clear_down_mark,
    mark_down,
)
from kernelkit.wire.launch import with_import_path
from kernelkit.wire.liveness import is_alive
from tests.execution.keeper_stage import Play, Stage, until


def test_workers_end_when_their_keeper_is_killed(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, (_, _, _, in_group, _) = await play.spawn("family")
        play.process.kill()

        await until(lambda: not is_alive(spawned.pid, spawned.started_at) and not is_alive(int(in_group)))

    on_stage(story)


def test_workers_survive_an_engine_crash_and_ends_in_between_are_told_to_the_next(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        living, _ = await play.spawn("living")
        ending, _ = await play.spawn("ending")
        await play.end_engine()
        os.kill(ending.pid, signal.SIGKILL)
        await until(lambda: not os.path.exists(f"/proc/{ending.pid}"))

        await play.start_engine()
        hello = await play.next(m.Hello)
        exited = await play.next(m.WorkerExited)

        assert (hello.role, hello.env_id, hello.workers) == ("keeper", play.env_id, ("living",))
        assert hello.started_at and hello.boot_id and hello.pid == play.process.pid
        assert exited.worker_id == "ending"
        assert is_alive(living.pid, living.started_at)

    on_stage(story)


def test_a_keeper_with_live_work_starts_an_engine_unless_it_was_stopped_on_purpose(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        started = play.home.path / "started"
        python = play.home.path / "engine-python"
        python.write_text(f"#!/bin/sh\necho $@ > {started}.new && mv {started}.new {started}\n")
        python.chmod(0o755)
        await play.spawn("w1")
        mark_down(play.home)
        await play.end_engine()
        # as an engine that crashed leaves it: the next one is run by the same interpreter
        owner = LockOwner(1, datetime.now(UTC), "test", "", str(python))
        play.home.lock.write_bytes(msgspec.json.encode(owner))

        lost = time.monotonic()
        with pytest.raises(TimeoutError):
            await until(started.exists, seconds=6)
        clear_down_mark(play.home)
        await until(started.exists, seconds=30)

        assert time.monotonic() - lost > 5
        assert started.read_text() == f"-P -m kernelkit.daemon --home {play.home.path}\n"

    on_stage(story)


def test_shutdown_ends_workers_tells_so_and_exits(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, _ = await play.spawn("w1")
        play.channel.send(m.KeeperShutdown())

        assert (await play.next(m.WorkerExited)).killed
        await until(lambda: play.process.poll() == 0)
        assert not is_alive(spawned.pid)

    on_stage(story)


def test_a_second_keeper_waits_for_the_first_to_end_and_then_takes_over(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        first = play.process
        play.start_keeper()
        spawned, _ = await play.spawn("w1")
        assert not any(isinstance(message, m.Hello) for message in play.got)

        play.channel.send(m.KeeperShutdown())
        hello = await play.next(m.Hello)

        assert hello.pid == play.process.pid
        assert first.wait() == 0
        assert not is_alive(spawned.pid)

    on_stage(story)


def test_a_home_that_disappears_ends_the_keeper_and_its_workers(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, _ = await play.spawn("w1")
        shutil.rmtree(play.home.path)

        await until(lambda: play.process.poll() == 0)
        assert not is_alive(spawned.pid)

    on_stage(story)


def test_an_environment_that_cannot_be_read_ends_it_with_words(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create()
    command = [sys.executable, "-m", "kernelkit.execution.keeper", "--home", str(home.path), "--env", "none"]

    ended = subprocess.run(command, env=with_import_path(dict(os.environ)), capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "none.json cannot be read" in ended.stderr
    assert "none.json cannot be read" in (home.path / "keeper.log").read_text()
