"""The keeper of one environment: spawns, watches and reaps its workers, and outlives the engine.

    python -m kernelkit.execution.keeper --home <home> --env <environment id>

It runs none of a person's code and knows nothing of runs. What a newcomer would get wrong: an engine that is gone is no
reason to end. Workers go on, the keeper redials, and brings an engine up itself when it holds live work: that is, when
workers are left after 5 s, since idle ones end by themselves before (`link.py`). The other way round nothing may
outlive the keeper: each worker reads a lifeline pipe whose only write end is held here.
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
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError, KernelKitError
from kernelkit.execution.begun import make_memory, read_memory
from kernelkit.execution.caps import ALLOWANCE, oom_kills, thread_variables, tree_memory
from kernelkit.execution.processes import (
    WORKER_MARK,
    become_subreaper,
    children,
    kill_group,
    kill_marked,
    kill_tree,
    variable_of,
)
from kernelkit.models.environment import Environment
from kernelkit.models.machine import Machine
from kernelkit.rules.memory import ended_for_memory
from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel
from kernelkit.wire.discovery import is_locked, is_marked_down, lock_owner
from kernelkit.wire.launch import dial, start_engine, with_import_path
from kernelkit.wire.liveness import boot_id, process_started_at

WORKER_MODULE = "kernelkit.execution.worker"

_TAIL_BYTES = 4096
_HELD_BYTES = 256 * 1024  # of the end of a worker's output; a crash in C code tells the calls of every thread there
_CRASH_BYTES = 32 * 1024
_CRASH = b"Fatal Python error"  # as faulthandler begins
_REDIAL_S = (0.1, 0.5)
_START_AFTER_S = 5.0  # without an engine, while workers live; idle ones have ended by then
_START_AGAIN_S = (10.0, 60.0)
_IDLE_EXIT_S = 60.0  # without an engine and without workers
_MEASURE_S = 0.25  # how often what capped workers hold is added up
_LOOK_S = 1.0  # how often the home is looked at
_REPEAT_EXITS_S = 600.0
_LOG_BYTES = 1_000_000
_TURN_S = 6.0  # longer than another keeper of this environment takes to end

logger = logging.getLogger("kernelkit.keeper")


@dataclass
class _Worker:
    id: str
    kind: str
    process: subprocess.Popen[bytes]
    started_at: float
    output: int  # read end of its stdout and stderr
    begun: int  # memory in which it notes the attempts that have begun
    tail: bytearray = field(default_factory=bytearray)
    killed: bool = False
    machine: Machine | None = None
    oom_kills: int = 0  # of this control group, when it was started
    over: int = 0  # what it and those below it held when it was killed for that


class Keeper:
    """See the module. `run` returns when the keeper's work is over."""

    def __init__(self, home: Home, env_id: str, environment: Environment) -> None:
        self._home = home
        self._env_id = env_id
        self._environment = environment
        self._home_identity = _identity(home.path)
        self._started_at = process_started_at(os.getpid())
        self._workers: dict[str, _Worker] = {}
        self._by_pid: dict[int, _Worker] = {}
        self._exits: deque[tuple[float, m.WorkerExited]] = deque(maxlen=256)
        self._channel: Channel | None = None
        self._over = asyncio.Event()
        self._all_reaped = asyncio.Event()
        self._lifeline, self._lifeline_end = os.pipe()
        self._next_start = 0.0
        self._start_pause = _START_AGAIN_S[0]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        become_subreaper()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGTERM, self._over.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a terminal's; the engine says when to end
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._stay_connected(), name="keeper: link"),
                group.create_task(self._watch_home(), name="keeper: home"),
                group.create_task(self._watch_memory(), name="keeper: memory"),
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
        await self._end()
        loop.remove_signal_handler(signal.SIGCHLD)
        os.close(self._lifeline)
        os.close(self._lifeline_end)

    async def _end(self) -> None:
        logger.info("ending with %d workers", len(self._workers))
        self._all_reaped.clear()
        for worker in list(self._workers.values()):
            self._kill(worker)
        if self._workers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._all_reaped.wait()
        for stray in children() - set(self._by_pid):
            if variable_of(stray, WORKER_MARK) is not None:
                kill_tree(stray)
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
            self._repeat_exits()
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
            workers=tuple(self._workers),
        )

    def _repeat_exits(self) -> None:
        """What was said last may have been lost with the engine; one that knows it already drops it."""
        horizon = time.monotonic() - _REPEAT_EXITS_S
        for moment, exited in self._exits:
            if moment >= horizon:
                self._tell(exited)

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

    async def _watch_memory(self) -> None:
        """Kill workers that hold more than their machine has, together with what they started."""
        while True:
            await asyncio.sleep(_MEASURE_S)
            for worker in list(self._workers.values()):
                if worker.machine is None or worker.killed:
                    continue
                limit = worker.machine.memory + ALLOWANCE
                held = tree_memory(worker.process.pid, limit)
                if held > limit:
                    logger.info("worker %s held %d bytes of %d", worker.id, held, worker.machine.memory)
                    worker.over = held
                    self._kill(worker)

    def _tell(self, message: m.AnyMessage) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _on_message(self, channel: Channel, message: m.AnyMessage) -> None:
        self._channel = channel  # a message may come before `dial` has returned
        match message:
            case m.SpawnWorker():
                self._spawn(message)
            case m.KillWorker(worker_id=worker_id):
                worker = self._workers.get(worker_id)
                if worker is not None:
                    self._kill(worker)
                else:
                    kill_marked(worker_id)  # it, or what it started, may have outlived a keeper before this one
                    self._tell(self._exit_of(worker_id))
            case m.KeeperShutdown():
                self._over.set()
            case _:
                logger.warning("unexpected message %s", type(message).__name__)

    def _exit_of(self, worker_id: str) -> m.WorkerExited:
        """How a worker ended that is not here any more, or never was: either way it does not run."""
        said = (exited for _, exited in self._exits if exited.worker_id == worker_id)
        return next(said, m.WorkerExited(worker_id, -signal.SIGKILL, killed=True))

    # ---- workers -------------------------------------------------------------------------------------------------

    def _spawn(self, order: m.SpawnWorker) -> None:
        known = self._workers.get(order.worker_id)
        if known is not None:
            self._tell(m.WorkerSpawned(known.id, known.process.pid, known.started_at))
            return
        if self._over.is_set():
            self._tell(m.SpawnFailed(order.worker_id, "its keeper is ending"))
            return
        python = self._environment.python
        command = [python, "-P", "-m", WORKER_MODULE, "--home", str(self._home.path), "--env", self._env_id]
        command += ["--id", order.worker_id, "--kind", order.kind, "--lifeline", str(self._lifeline)]
        begun = make_memory()
        command += ["--begun", str(begun)]
        if order.machine is not None:
            command += ["--memory", str(order.machine.memory)]
        variables = self._environment.variables | thread_variables(order.machine)
        output, output_end = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                cwd=self._environment.cwd,
                env=with_import_path({**variables, WORKER_MARK: order.worker_id}),
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                pass_fds=(self._lifeline, begun),
                start_new_session=True,
            )
        except (OSError, ValueError) as cause:
            os.close(output)
            os.close(begun)
            reason = _why_not(self._environment, cause)
            logger.warning("worker %s not started: %s", order.worker_id, reason)
            self._tell(m.SpawnFailed(order.worker_id, reason))
            return
        finally:
            os.close(output_end)
        worker = _Worker(
            order.worker_id,
            order.kind,
            process,
            process_started_at(process.pid),
            output,
            begun,
            machine=order.machine,
            oom_kills=oom_kills(),
        )
        os.set_blocking(output, False)
        asyncio.get_running_loop().add_reader(output, self._read_output, worker)
        self._workers[worker.id] = self._by_pid[process.pid] = worker
        self._tell(m.WorkerSpawned(worker.id, process.pid, worker.started_at))

    def _read_output(self, worker: _Worker) -> None:
        try:
            data = os.read(worker.output, 65536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(worker.output)
            return
        worker.tail += data
        del worker.tail[:-_HELD_BYTES]

    def _kill(self, worker: _Worker) -> None:
        worker.killed = True
        kill_tree(worker.process.pid)  # what it leaves is killed when its end is seen, in `_ended`

    def _reap(self) -> None:
        """Take in every child that has ended: workers, and orphans of theirs that became ours."""
        while True:
            try:
                # only looked at here: while it is not reaped its pid, and the group's number, cannot be another's
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is None:
                    return
                worker = self._by_pid.get(seen.si_pid)
                if worker is not None:
                    self._clear_up_after(worker, crashed=seen.si_code != os.CLD_EXITED or seen.si_status != 0)
                _, status, usage = os.wait4(seen.si_pid, os.WNOHANG)
            except ChildProcessError:
                if not children():
                    return
                continue  # an engine started from here has another waiter, which was quicker
            if worker is not None:
                self._ended(worker, os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)

    def _clear_up_after(self, worker: _Worker, *, crashed: bool) -> None:
        """End what a worker leaves behind: its process group, and after a kill or a crash what left that group."""
        kill_group(worker.process.pid)
        if not crashed and not worker.killed:
            return
        for orphan in children() - set(self._by_pid):
            if variable_of(orphan, WORKER_MARK) == worker.id:
                kill_tree(orphan)

    def _ended(self, worker: _Worker, code: int, peak_memory: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(worker.output)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(worker.output, 65536):
                worker.tail += data
        os.close(worker.output)
        begun = read_memory(worker.begun)
        os.close(worker.begun)
        worker.process.returncode = code  # reaped here, so that Popen does not look for it
        del self._workers[worker.id], self._by_pid[worker.process.pid]
        tail = _told(worker.tail).decode(errors="replace").strip()
        peak = max(peak_memory, worker.over)
        out_of_memory = bool(worker.over) or ended_for_memory(
            code,
            killed=worker.killed,
            oom_kills=oom_kills() - worker.oom_kills,
            peak=peak,
            cap=None if worker.machine is None else worker.machine.memory,
            stderr=tail,
        )
        exited = m.WorkerExited(worker.id, code, worker.killed, peak, tail, out_of_memory, begun)
        self._exits.append((time.monotonic(), exited))
        if code:
            logger.info("worker %s (%s) ended with %d%s", worker.id, worker.kind, code, ", killed" * worker.killed)
        self._tell(exited)
        if not self._workers:
            self._all_reaped.set()


def _told(output: bytearray) -> bytes:
    """What the engine hears of a worker's last output: its end, and of a crash in C code the beginning."""
    place = output.rfind(_CRASH)
    if place < 0:
        return bytes(output[-_TAIL_BYTES:])
    current = output.find(b"\nCurrent thread ", place)  # the others' calls come before and after, and tell nothing
    heading = output[place : output.find(b"\n", place) + 1]
    return bytes(heading + output[max(place + len(heading), current) :][:_CRASH_BYTES])


def _why_not(environment: Environment, cause: OSError | ValueError) -> str:
    python, folder = environment.python, environment.cwd
    if not os.path.isdir(folder):
        return (
            f"the working directory {folder} the task was defined in is gone; make it again, or run its cell elsewhere"
        )
    if not os.path.exists(python):
        return f"the Python {python} the task was defined with is gone; run its cell again with another kernel"
    if not os.access(python, os.X_OK):
        return f"the Python {python} the task was defined with may not be executed"
    return f"{python} does not start: {cause}"


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
