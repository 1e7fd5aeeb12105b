"""The worker processes of one keeper: started, held to their memory, killed and reaped, and how each of them ended.

What a newcomer would get wrong: a worker's end is not the end of what it started. Its group, and after a kill or crash
what left that group, is ended while the worker is dead but not reaped: until then its numbers cannot be another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kernelkit.config import Home
from kernelkit.execution.begun import make_memory, read_memory
from kernelkit.execution.caps import ALLOWANCE, oom_kills, thread_variables, tree_memory
from kernelkit.execution.processes import WORKER_MARK, children, kill_group, kill_marked, kill_tree, variable_of
from kernelkit.models.environment import Environment
from kernelkit.models.machine import Machine
from kernelkit.rules.memory import ended_for_memory
from kernelkit.wire import messages as m
from kernelkit.wire.launch import with_import_path
from kernelkit.wire.liveness import process_started_at

WORKER_MODULE = "kernelkit.execution.worker"

_TAIL_BYTES = 4096
_HELD_BYTES = 256 * 1024  # of the end of a worker's output; a crash in C code tells the calls of every thread there
_CRASH_BYTES = 32 * 1024
_CRASH = b"Fatal Python error"  # as faulthandler begins
_MEASURE_S = 0.25  # how often what capped workers hold is added up
_REPEAT_EXITS_S = 600.0

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


class KeptWorkers:
    """The workers that live, and the ends of those that did. `tell` says to the engine what became of them."""

    def __init__(self, home: Home, env_id: str, environment: Environment, tell: Callable[[m.AnyMessage], None]) -> None:
        self._home = home
        self._env_id = env_id
        self._environment = environment
        self._tell = tell
        self._by_id: dict[str, _Worker] = {}
        self._by_pid: dict[int, _Worker] = {}
        self._exits: deque[tuple[float, m.WorkerExited]] = deque(maxlen=256)
        self._all_reaped = asyncio.Event()
        self._lifeline, self._lifeline_end = os.pipe()

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def spawn(self, order: m.SpawnWorker) -> None:
        """Start a worker, and tell of it; one that there is already is told of again."""
        known = self._by_id.get(order.worker_id)
        if known is not None:
            self._tell(m.WorkerSpawned(known.id, known.process.pid, known.started_at))
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
        self._by_id[worker.id] = self._by_pid[process.pid] = worker
        self._tell(m.WorkerSpawned(worker.id, process.pid, worker.started_at))

    def kill(self, worker_id: str) -> None:
        """End a worker and what it started; its end is told when it is seen, or now if it is not here."""
        worker = self._by_id.get(worker_id)
        if worker is not None:
            self._kill(worker)
        else:
            kill_marked(worker_id)  # it, or what it started, may have outlived a keeper before this one
            self._tell(self._exit_of(worker_id))

    async def watch_memory(self) -> None:
        """Kill workers that hold more than their machine has, together with what they started."""
        while True:
            await asyncio.sleep(_MEASURE_S)
            for worker in list(self._by_id.values()):
                if worker.machine is None or worker.killed:
                    continue
                limit = worker.machine.memory + ALLOWANCE
                held = tree_memory(worker.process.pid, limit)
                if held > limit:
                    logger.info("worker %s held %d bytes of %d", worker.id, held, worker.machine.memory)
                    worker.over = held
                    self._kill(worker)

    def reap(self) -> None:
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

    def repeat_exits(self) -> None:
        """What was said last may have been lost with the engine; one that knows it already drops it."""
        horizon = time.monotonic() - _REPEAT_EXITS_S
        for moment, exited in self._exits:
            if moment >= horizon:
                self._tell(exited)

    async def end(self) -> None:
        """Kill all of them, and whatever of theirs became ours."""
        self._all_reaped.clear()
        for worker in list(self._by_id.values()):
            self._kill(worker)
        if self._by_id:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._all_reaped.wait()
        for stray in children() - set(self._by_pid):
            if variable_of(stray, WORKER_MARK) is not None:
                kill_tree(stray)

    def close(self) -> None:
        """Give the lifeline up; a worker that is left ends by that."""
        os.close(self._lifeline)
        os.close(self._lifeline_end)

    def _exit_of(self, worker_id: str) -> m.WorkerExited:
        """How a worker ended that is not here any more, or never was: either way it does not run."""
        said = (exited for _, exited in self._exits if exited.worker_id == worker_id)
        return next(said, m.WorkerExited(worker_id, -signal.SIGKILL, killed=True))

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
        del self._by_id[worker.id], self._by_pid[worker.process.pid]
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
        if not self._by_id:
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
