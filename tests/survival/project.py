"""A project with real processes: clients as programs, their engine, keepers and workers, and a way to end them all.

Every process of a project carries `MARK` in its environment, because clients pass theirs on to the engine and tasks
take it along to their workers; so what a test leaves behind is found by looking, not by remembering.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil

from kernelkit.config import Home
from kernelkit.execution.processes import variable_of
from kernelkit.wire.discovery import is_locked
from kernelkit.wire.launch import ping

REPOSITORY = Path(__file__).parents[2]
MARK = "SURVIVAL_PROJECT"
WITHIN_S = 30.0
_LOOK_S = 0.01

T = TypeVar("T")

# What every client program begins with. `say` is how it talks to the test: a line of JSON.
_OPENING = """
import asyncio, ctypes, json, os, sys, time
import kernelkit as kk

def say(*what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

def note(*what):
    "Append a line to the file of this project; also called in bodies."
    line = " ".join(str(each) for each in what) + "\\n"
    file = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)

def fence():
    from kernelkit.authoring.scope import scope
    return scope.get().start.fence

def heard():
    "The next line from the test."
    return sys.stdin.readline().strip()
"""


def until(look: Callable[[], T], what: str, *, within: float = WITHIN_S) -> T:
    """The first true answer of `look`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(_LOOK_S)
    return found


class ClientProgram:
    """A client process that the test hears and speaks to line by line."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._heard: queue.Queue[Any] = queue.Queue()
        self._errors: list[str] = []
        assert self.process.stdout is not None and self.process.stderr is not None
        self._threads = [
            threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=lambda pipe: self._errors.extend(pipe), args=(self.process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self, pipe: Any) -> None:  # a text stream
        for line in pipe:
            self._heard.put(json.loads(line))
        self._heard.put(None)

    def hear(self, within: float = WITHIN_S) -> Any:
        """The next thing the client says; fails with its stderr when it has ended or says nothing."""
        try:
            said = self._heard.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"the client said nothing within {within:g} s; {self.stderr}") from None
        assert said is not None, f"the client ended with {self.process.wait(5)}: {self.stderr}"
        return said

    def hear_all(self, within: float = WITHIN_S) -> list[Any]:
        """Everything until its end, which has to be a good one."""
        said = []
        deadline = time.monotonic() + within
        while (line := self._heard.get(timeout=max(0.1, deadline - time.monotonic()))) is not None:
            said.append(line)
        assert self.process.wait(10) == 0, self.stderr
        return said

    def tell(self, line: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    @property
    def stderr(self) -> str:
        return "".join(self._errors)[-6000:]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for thread in self._threads:
            thread.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


class Project:
    """See the module. `close` ends every process of it."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.folder = folder
        self.home = Home(folder / ".kernelkit")
        self.notes_path = folder / "notes.txt"
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(**settings)
        self._clients: list[ClientProgram] = []
        self._scripts = 0

    def configure(self, **settings: float) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.folder / "pyproject.toml").write_text(f"[tool.kernelkit.engine]\n{lines}")

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERNELKIT_", "PYTEST_"))}
        return {**kept, "PYTHONPATH": str(REPOSITORY), "KERNELKIT_HOME": str(self.home.path), MARK: str(self.folder)}

    # ---- clients -----------------------------------------------------------------------------------------------------

    def write(self, text: str, name: str = "") -> Path:
        """A client program as a file, with the usual opening."""
        self._scripts += 1
        path = self.folder / (name or f"client{self._scripts}.py")
        path.write_text(f"{_OPENING}\nNOTES = {str(self.notes_path)!r}\n{text}")
        return path

    def client(self, text: str | Path, *args: object, python: str = sys.executable) -> ClientProgram:
        """Start a client from its text, or from a file that `write` made."""
        path = text if isinstance(text, Path) else self.write(text)
        made = ClientProgram([python, str(path), *map(str, args)], self.folder, self.env)
        self._clients.append(made)
        return made

    def run(self, text: str | Path, *args: object, within: float = WITHIN_S) -> list[Any]:
        """Everything a client says until it has ended."""
        return self.client(text, *args).hear_all(within)

    def cli(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kernelkit", *args, "--home", str(self.home.path)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    # ---- what bodies wrote -------------------------------------------------------------------------------------------

    def notes(self) -> list[list[str]]:
        """The lines bodies wrote so far, in words; a line that is being written is left out."""
        for client in self._clients:
            assert client.process.poll() in (None, 0, -signal.SIGKILL), f"a client has ended: {client.stderr}"
        try:
            text = self.notes_path.read_text()
        except FileNotFoundError:
            return []
        return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]

    def noted(self, word: str) -> list[list[str]]:
        return [line for line in self.notes() if line[0] == word]

    # ---- processes ---------------------------------------------------------------------------------------------------

    @property
    def engine_pid(self) -> int:
        """Of the engine that answers now; 0 when none does."""
        if not self.home.path.exists() or not is_locked(self.home):
            return 0
        with contextlib.suppress(Exception):  # one that comes up or goes down: asked again
            welcome = ping(self.home)
            return 0 if welcome is None else welcome.pid
        return 0

    def engine(self, *, other_than: int = 0) -> int:
        """The pid of the engine, once one answers that is not `other_than`."""
        return until(lambda: (pid := self.engine_pid) != other_than and pid, "an engine that answers")

    def processes(self, module: str = "") -> list[psutil.Process]:
        """Living processes of this project but its clients; with `module`, those that run it."""
        mine = {client.process.pid for client in self._clients} | {os.getpid()}
        found = []
        for process in psutil.process_iter():
            if process.pid in mine or variable_of(process.pid, MARK) != str(self.folder):
                continue
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and (not module or module in process.cmdline()):
                    found.append(process)
        return found

    def engines(self) -> list[psutil.Process]:
        return self.processes("kernelkit.daemon")

    def keepers(self) -> list[psutil.Process]:
        return self.processes("kernelkit.execution.keeper")

    def workers(self, kind: str = "") -> list[psutil.Process]:
        found = self.processes("kernelkit.execution.worker")
        return [process for process in found if not kind or kind in process.cmdline()]

    def kill(self, *pids: int) -> None:
        """SIGKILL, and the system's word that they are gone. Several end at one moment: none sees another's end."""
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sent)
        until(lambda: not any(_runs(pid) for pid in pids), f"the end of {pids}")

    def kill_engine(self) -> int:
        """`kill -9` of the engine; its pid."""
        pid = self.engine()
        self.kill(pid)
        return pid

    def down(self) -> None:
        """Stop the engine and have its database to oneself."""
        done = self.cli("down")
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: not self.processes(), "the end of all processes after `kernelkit down`")

    @property
    def log(self) -> str:
        """The end of the engine's log, for messages."""
        with contextlib.suppress(OSError):
            return self.home.engine_log.read_text(errors="replace")[-4000:]
        return ""

    def close(self) -> None:
        for client in self._clients:
            client.end()
        deadline = time.monotonic() + 15
        while (left := self.processes()) and time.monotonic() < deadline:
            for process in left:  # keepers bring engines up and engines keepers: until there are none
                with contextlib.suppress(psutil.Error):
                    process.kill()
        assert not left, f"processes left behind: {left}"


def wait_until(moment: float) -> None:
    """Return at a moment of the monotonic clock."""
    until(lambda: time.monotonic() >= moment, "the moment")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def environments(home: Home) -> Iterator[str]:
    """The interpreters of all environments that a home knows."""
    for path in home.environments.glob("*.json"):
        yield msgspec.json.decode(path.read_bytes())["python"]
