"""A real keeper process between an engine played by the test and stand-in workers that misbehave on demand."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kernelkit.config import Home
from kernelkit.models.environment import Environment
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel, serve
from kernelkit.wire.discovery import (
    bind,
    lock_home,
    socket_path_of,
)
from kernelkit.wire.launch import with_import_path

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


Play = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]
