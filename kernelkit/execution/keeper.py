"""The keeper of one environment: a program that keeps its workers for the engine, and outlives the engine.

    python -m kernelkit.execution.keeper --home <home> --env <environment id>

It runs none of a person's code and knows nothing of runs. What a newcomer would get wrong: an engine that is gone is no
reason to end. Workers go on, the keeper redials, and brings an engine up itself when it holds live work: that is, when
workers are left after 5 s, since idle ones end by themselves before (`link.py`). The other way round nothing may
outlive the keeper: each worker reads a lifeline pipe whose only write end it holds. The workers themselves are in
`kept_workers.py`.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # asyncio imports ssl where it finds it; a keeper has no use for these 5 MB, and there is one keeper per environment
    sys.modules["ssl"] = None  # type: ignore[assignment]  # None is how the import system is told "not there"

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import time
from pathlib import Path

import msgspec

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.execution.kept_workers import KeptWorkers
from kernelkit.execution.processes import become_subreaper
from kernelkit.models.environment import Environment
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_locked, is_marked_down, lock_owner
from kernelkit.wire.launch import dial, start_engine
from kernelkit.wire.liveness import boot_id, process_started_at

_REDIAL_S = (0.1, 0.5)
_START_AFTER_S = 5.0  # without an engine, while workers live; idle ones have ended by then
_START_AGAIN_S = (10.0, 60.0)
_IDLE_EXIT_S = 60.0  # without an engine and without workers
_LOOK_S = 1.0  # how often the home is looked at
_LOG_BYTES = 1_000_000
_TURN_S = 6.0  # longer than another keeper of this environment takes to end

logger = logging.getLogger("kernelkit.keeper")


class Keeper:
    """See the module. `run` returns when the keeper's work is over."""

    def __init__(self, home: Home, env_id: str, environment: Environment) -> None:
        self._home = home
        self._env_id = env_id
        self._home_identity = _identity(home.path)
        self._started_at = process_started_at(os.getpid())
        self._workers = KeptWorkers(home, env_id, environment, self._tell)
        self._channel: Channel | None = None
        self._over = asyncio.Event()
        self._next_start = 0.0
        self._start_pause = _START_AGAIN_S[0]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        become_subreaper()
        loop.add_signal_handler(signal.SIGCHLD, self._workers.reap)
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a terminal's; the engine says when to end
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._stay_connected(), name="keeper: link"),
                group.create_task(self._watch_home(), name="keeper: home"),
                group.create_task(self._workers.watch_memory(), name="keeper: memory"),
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
        await self._end()
        loop.remove_signal_handler(signal.SIGCHLD)
        self._workers.close()

    async def _end(self) -> None:
        logger.info("ending with %d workers", len(self._workers))
        await self._workers.end()
        if self._channel is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._channel.drain()
            self._channel.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._channel.closed.wait()

    # ---- the engine ----------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        lost_at = time.monotonic()
        pause = _REDIAL_S[0]
        while True:
            try:
                channel, welcome = await dial(
                    self._home, self._hello(), on_message=self._on_message, on_close=lambda _: None, start=False
                )
            except EngineUnavailableError:
                self._without_engine(time.monotonic() - lost_at)
                await asyncio.sleep(pause)
                pause = min(_REDIAL_S[1], pause * 1.5)
                continue
            except KernelKitError as refusal:
                logger.warning("the engine refuses this keeper: %s", refusal)
                if not self._workers:
                    self._over.set()
                await asyncio.sleep(_START_AFTER_S)
                lost_at = time.monotonic()
                continue
            logger.info("connected to engine %d", welcome.pid)
            self._channel = channel
            self._start_pause = _START_AGAIN_S[0]
            self._workers.repeat_exits()
            await channel.closed.wait()
            logger.info("the engine is gone; %d workers go on", len(self._workers))
            self._channel = None
            lost_at = time.monotonic()
            self._next_start = 0.0
            pause = _REDIAL_S[0]

    def _hello(self) -> m.Hello:
        return m.Hello(
            role="keeper",
            name=self._env_id,
            pid=os.getpid(),
            env_id=self._env_id,
            started_at=self._started_at,
            boot_id=boot_id(),
            workers=self._workers.ids,
        )

    def _without_engine(self, seconds: float) -> None:
        if not self._workers:
            if seconds >= _IDLE_EXIT_S or is_marked_down(self._home):
                logger.info("no engine and no workers for %d s", seconds)
                self._over.set()
            return
        now = time.monotonic()
        if seconds < _START_AFTER_S or now < self._next_start or is_marked_down(self._home) or is_locked(self._home):
            return
        self._next_start = now + self._start_pause
        self._start_pause = min(_START_AGAIN_S[1], self._start_pause * 2)
        if not self._home.path.exists():
            return
        owner = lock_owner(self._home)  # the engine's interpreter has its packages; ours may not
        python = owner.python if owner is not None and os.access(owner.python, os.X_OK) else sys.executable
        try:
            engine = start_engine(self._home, python=python)
            logger.info("started engine %d, for %d live workers", engine.pid, len(self._workers))
        except (KernelKitError, OSError) as cause:
            logger.warning("no engine could be started: %s", cause)

    async def _watch_home(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if _identity(self._home.path) != self._home_identity:
                logger.warning("the home is gone")
                self._over.set()

    def _tell(self, message: m.AnyMessage) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _on_message(self, channel: Channel, message: m.AnyMessage) -> None:
        self._channel = channel  # a message may come before `dial` has returned
        match message:
            case m.SpawnWorker(worker_id=worker_id):
                if self._over.is_set() and worker_id not in self._workers.ids:
                    self._tell(m.SpawnFailed(worker_id, "its keeper is ending"))
                else:
                    self._workers.spawn(message)
            case m.KillWorker(worker_id=worker_id):
                self._workers.kill(worker_id)
            case m.KeeperShutdown():
                self._over.set()
            case _:
                logger.warning("unexpected message %s", type(message).__name__)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells a folder from another one made in its place; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _take_turn(path: Path) -> int | None:
    """Be the one keeper of an environment: the held lock, or None when another goes on being it.

    An engine that has just come up may start a keeper while the one of its predecessor is about to dial in.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _TURN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.05)


def _log_to(path: Path) -> None:
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(f"%(asctime)s keeper {os.getpid()} %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def main(argv: list[str] | None = None) -> None:
    """The program. Ends with a sentence on stderr when the environment cannot be read."""
    parser = argparse.ArgumentParser(prog="kernelkit.execution.keeper")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--env", required=True)
    options = parser.parse_args(argv)
    home = Home(options.home)
    _log_to(home.path / "keeper.log")
    file = home.environments / f"{options.env}.json"
    try:
        environment = msgspec.json.decode(file.read_bytes(), type=Environment)
    except (OSError, msgspec.DecodeError) as cause:
        logger.error("environment %s cannot be read: %s", file, cause)
        sys.exit(f"The environment {file} cannot be read: {cause}. Run the cell that defines the task again.")
    if _take_turn(file.with_suffix(".lock")) is None:
        logger.info("environment %s has a keeper already", options.env)
        return

    async def run() -> None:
        await Keeper(home, options.env, environment).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
