"""A real keeper process between an engine played by the test and stand-in workers that misbehave on demand."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from kernelkit.config import Home
from kernelkit.models.environment import Environment
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel, serve
from kernelkit.wire.discovery import (
    LockOwner,
    bind,
    clear_down_mark,
    lock_home,
    mark_down,
    socket_path_of,
)
from kernelkit.wire.launch import with_import_path
from kernelkit.wire.liveness import is_alive

# Started in place of the environment's Python; what it does is in its worker id. It says what it started in a file.
STAND_IN = """#!{python}
import os, signal, subprocess, sys, threading, time
options = dict(zip(sys.argv[4::2], sys.argv[5::2]))
name, lifeline = options["--id"], int(options["--lifeline"])
os.set_inheritable(lifeline, False)

def watch():
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
pids = []
if "family" in name:
    pids += [subprocess.Popen(sleeper).pid, subprocess.Popen(sleeper, start_new_session=True).pid]
if "daemon" in name:  # forks twice: its parent is dead, so it is the keeper's child by now
    script = f"import subprocess; print(subprocess.Popen({{sleeper!r}}, start_new_session=True, stdout=-3).pid)"
    pids.append(int(subprocess.check_output([sys.executable, "-c", script])))
if "big" in name:
    big = b"x" * 80_000_000
with open(os.path.join(options["--home"], name + ".new"), "w") as file:
    print(os.getcwd(), os.environ.get("MY_OWN"), os.getpgrp() == os.getpid(), *pids, file=file)
os.rename(file.name, file.name[:-4])
if "loud" in name:
    sys.stderr.write("noise\\n" * 100_000 + "the last words")
    sys.exit(7)
if "crash" in name:
    import faulthandler
    faulthandler.enable()
    for number in range(30):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    threading.Thread(target=os.abort, name="x" * 50).start()
    time.sleep(60)
if "abort" in name:
    os.abort()
if "leave" in name:
    sys.exit(0)
time.sleep(60)
"""

T = TypeVar("T", bound=m.Message)


class Stage:
    """The test as engine, and the keeper it talks to."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / ".kernelkit").create()
        self.cwd = folder / "work"
        self.cwd.mkdir()
        self.python = folder / "python"
        self.python.write_text(STAND_IN.format(python=sys.executable))
        self.python.chmod(0o755)
        environment = Environment(str(self.python), str(self.cwd), (), {**os.environ, "MY_OWN": "yes"})
        self.env_id = environment.id
        (self.home.environments / f"{self.env_id}.json").write_bytes(msgspec.json.encode(environment))
        self.got: list[m.AnyMessage] = []
        self.news = asyncio.Event()
        self.channel: Channel
        self.process: subprocess.Popen[bytes]

    def start_keeper(self) -> None:
        command = [sys.executable, "-m", "kernelkit.execution.keeper"]
        self.process = subprocess.Popen(
            [*command, "--home", str(self.home.path), "--env", self.env_id],
            env=with_import_path(dict(os.environ)),
            start_new_session=True,
        )

    async def start_engine(self) -> None:
        lock = lock_home(self.home, version="test")
        self.server = await serve(bind(socket_path_of(self.home)), self._on_message, lambda _: None)
        self.release = lock.release

    def _on_message(self, channel: Channel, message: m.AnyMessage) -> None:
        if isinstance(message, m.Hello):
            self.channel = channel
            channel.send(m.Welcome(os.getpid(), 1, "test", str(self.home.path), 0))
        self.got.append(message)
        self.news.set()

    async def end_engine(self) -> None:
        self.server.close()
        self.channel.abort("the test plays a crash")
        socket_path_of(self.home).unlink()
        self.release()
        await self.channel.closed.wait()

    async def next(self, kind: type[T]) -> T:
        async with asyncio.timeout(20):
            while True:
                for index, message in enumerate(self.got):
                    if isinstance(message, kind):
                        del self.got[index]
                        return message
                self.news.clear()
                await self.news.wait()

    async def spawn(self, name: str) -> tuple[m.WorkerSpawned, list[str]]:
        """A worker that has done what its name says, and what it wrote down."""
        self.channel.send(m.SpawnWorker(name, "process"))
        spawned = await self.next(m.WorkerSpawned)
        file = self.home.path / name
        await until(file.exists)
        return spawned, file.read_text().split()


async def until(happened: Callable[[], bool], *, seconds: float = 15) -> None:
    """Wait for something outside of this process, which sends no event."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110  another process's doing
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    play = Stage(folder)
    await play.start_engine()
    play.start_keeper()
    try:
        await play.next(m.Hello)
        yield play
    finally:
        play.process.kill()
        play.process.wait()
        play.server.close()
        play.channel.close()
        await play.channel.closed.wait()


@pytest.fixture
def on_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))

    def play(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            async with stage(tmp_path) as set_up:
                await story(set_up)

        asyncio.run(run())

    return play


Play = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]


def test_a_worker_starts_in_its_environment_as_leader_of_its_group(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, (cwd, own, leads) = await play.spawn("w1")

        assert (cwd, own, leads) == (str(play.cwd), "yes", "True")
        assert is_alive(spawned.pid, spawned.started_at)

        play.channel.send(m.SpawnWorker("w1", "process"))  # said again, by an engine that lost the answer
        assert await play.next(m.WorkerSpawned) == spawned

    on_stage(story)


def test_an_end_is_told_with_code_last_words_and_peak_memory(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.channel.send(m.SpawnWorker("loud_big", "process"))
        exited = await play.next(m.WorkerExited)

        assert (exited.worker_id, exited.returncode, exited.killed) == ("loud_big", 7, False)
        assert exited.stderr_tail.endswith("the last words")
        assert 3000 < len(exited.stderr_tail) <= 4096
        assert (exited.peak_memory or 0) > 80_000_000

        play.channel.send(m.SpawnWorker("abort", "process"))
        assert (await play.next(m.WorkerExited)).returncode == -signal.SIGABRT

    on_stage(story)


def test_of_a_crash_in_c_code_its_beginning_is_told(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.channel.send(m.SpawnWorker("crash", "process"))
        exited = await play.next(m.WorkerExited)

        assert exited.returncode == -signal.SIGABRT
        lines = exited.stderr_tail.splitlines()
        assert lines[0] == "Fatal Python error: Aborted"
        assert next(line for line in lines[1:] if line).startswith("Current thread ")

    on_stage(story)


def test_a_worker_killed_from_outside_is_told_as_not_killed_by_us(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, _ = await play.spawn("w1")
        os.kill(spawned.pid, signal.SIGKILL)
        exited = await play.next(m.WorkerExited)

        assert (exited.returncode, exited.killed) == (-signal.SIGKILL, False)

    on_stage(story)


@pytest.mark.parametrize("ordered", [True, False])
def test_nothing_below_a_killed_worker_lives_on(on_stage: Play, ordered: bool) -> None:
    async def story(play: Stage) -> None:
        spawned, (_, _, _, *pids) = await play.spawn("family_daemon")
        other, (_, _, _, *others) = await play.spawn("daemon_2")
        assert len(pids) == 3 and all(is_alive(int(pid)) for pid in pids)

        if ordered:
            play.channel.send(m.KillWorker("family_daemon"))
        else:
            os.kill(spawned.pid, signal.SIGKILL)
        exited = await play.next(m.WorkerExited)

        assert exited.killed is ordered
        await until(lambda: not any(is_alive(int(pid)) for pid in pids))
        await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))  # reaped as well
        assert all(is_alive(pid) for pid in (other.pid, *map(int, others)))

        play.channel.send(m.KillWorker("family_daemon"))  # said again
        assert await play.next(m.WorkerExited) == exited
        play.channel.send(m.KillWorker("never_was"))
        assert (await play.next(m.WorkerExited)).worker_id == "never_was"

    on_stage(story)


def test_a_worker_that_ends_well_leaves_its_group_dead_and_what_it_detached_alone(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        _, (_, _, _, in_group, detached) = await play.spawn("family_leave")
        exited = await play.next(m.WorkerExited)

        assert exited.returncode == 0
        await until(lambda: not is_alive(int(in_group)))
        assert is_alive(int(detached))
        play.channel.send(m.KeeperShutdown())
        await until(lambda: play.process.poll() is not None)
        assert not is_alive(int(detached))

    on_stage(story)


def test_workers_end_when_their_keeper_is_killed(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        spawned, (_, _, _, in_group, _) = await play.spawn("family")
        play.process.kill()

        await until(lambda: not is_alive(spawned.pid, spawned.started_at) and not is_alive(int(in_group)))

    on_stage(story)


def test_a_worker_that_cannot_start_is_explained(on_stage: Play) -> None:
    async def story(play: Stage) -> None:
        play.python.chmod(0o644)
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert "may not be executed" in (await play.next(m.SpawnFailed)).reason

        play.python.unlink()
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert f"the Python {play.python}" in (await play.next(m.SpawnFailed)).reason

        play.cwd.rmdir()
        play.channel.send(m.SpawnWorker("w1", "process"))
        assert f"the working directory {play.cwd}" in (await play.next(m.SpawnFailed)).reason

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
