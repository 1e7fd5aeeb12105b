"""A project of a benchmark's own: a home on a real disk, a client, and the real daemon, keeper and workers behind it.

Nothing is shared with the virtual-time engine: what is timed here is what a notebook would meet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

import kernelkit as kk
from kernelkit.config import Home
from kernelkit.execution.processes import variable_of
from kernelkit.wire.discovery import is_locked
from tests.benchmarks import machine

MARK = "KERNELKIT_BENCHMARK"


class Project:
    """A home and a client of it; made by `project`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder / ".kernelkit")
        self.client = kk.Client(self.home)

    @property
    def engine_pid(self) -> int:
        return self.client.engine.status().pid

    def kill_engine(self) -> int:
        """`kill -9`; returns the pid once that process is gone."""
        process = psutil.Process(self.engine_pid)
        process.send_signal(signal.SIGKILL)
        _gone([process])
        return process.pid

    def down(self) -> None:
        """Stop the engine and everything it started; the database is free afterwards."""
        self.client.engine.stop()
        deadline = time.monotonic() + 20
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)

    def processes(self, module: str = "") -> list[psutil.Process]:
        """Our engine, keepers and workers, by the mark that they inherited; with `module`, those that run it."""
        found = []
        for process in psutil.process_iter():
            if process.pid == os.getpid() or variable_of(process.pid, MARK) != str(self.folder):
                continue
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and (not module or module in process.cmdline()):
                    found.append(process)
        return found

    def close(self) -> None:
        with contextlib.suppress(kk.KernelKitError):
            if is_locked(self.home):
                self.client.engine.stop(timeout="20s")
        self.client.close()
        left = self.processes()
        while left:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            _gone(left)
            left = self.processes()


@contextlib.contextmanager
def project(name: str) -> Iterator[Project]:
    """A fresh project in which Task objects go to its own engine; everything is gone afterwards."""
    with machine.scratch(name) as folder:
        os.environ[MARK] = str(folder)
        made = Project(folder)
        try:
            with made.client.use():
                yield made
        finally:
            made.close()
            del os.environ[MARK]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of one process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def proportional_bytes(pid: int) -> int:
    """PSS: what is the process's own, and its share of what it has in common with others."""
    return _pss(pid, "Pss:")


def data_bytes(pid: int) -> int:
    """The same without files: of the pages of a library it depends on who else on the machine has loaded that."""
    return _pss(pid, "Pss_Anon:")


def _pss(pid: int, kind: str) -> int:
    for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if row.startswith(kind):
            return int(row.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell the PSS of {pid}")


def _gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive, f"still there after SIGKILL: {alive}"
