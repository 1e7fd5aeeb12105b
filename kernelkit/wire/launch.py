"""Reach the engine of a home, starting it when nobody answers.

Any number of processes may do this at once: each tries to connect, the first to get the short "starting" lock spawns,
the others poll; and should two spawn after all, the engines' own lock lets one live. What a newcomer would get wrong:
an engine that ends at once is no failure while another holds the home.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

import kernelkit
from kernelkit import errors
from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.wire import messages as m
from kernelkit.wire.channel import MAX_FRAME, Channel, OnClose, OnMessage, connect
from kernelkit.wire.codec import decode, encode
from kernelkit.wire.discovery import clear_down_mark, find_socket, is_locked, is_marked_down, is_nobody_there

ENGINE_MODULE = "kernelkit.daemon"

# What Jupyter and its kernels put into a process; an engine or worker outlives the kernel these speak of.
_JUPYTER_PREFIXES = ("JPY_", "JUPYTER_", "JUPYTERHUB_", "IPY_", "VSCODE_", "KERNEL_", "PYDEVD_")
_JUPYTER_NAMES = frozenset({"MPLBACKEND", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "PAGER", "GIT_PAGER", "TERM"})
_HARMFUL = frozenset({"PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONSAFEPATH", "KERNELKIT_HOME"})
_OF_A_WORKER = "KERNELKIT_WORKER_"  # an engine is not to end with the worker whose code happened to start it


def without_jupyter(variables: dict[str, str]) -> dict[str, str]:
    """The variables that are not Jupyter's own.

    >>> without_jupyter({"HOME": "/root", "JPY_PARENT_PID": "7", "MPLBACKEND": "module://matplotlib_inline"})
    {'HOME': '/root'}
    """
    return {
        name: value
        for name, value in variables.items()
        if name not in _JUPYTER_NAMES and not name.startswith(_JUPYTER_PREFIXES)
    }


def with_import_path(variables: dict[str, str]) -> dict[str, str]:
    """The variables, with this kernelkit importable for a Python started with them.

    An installed one is left to that Python's own packages: the folder of ours may hold binaries for another version.
    """
    parent = Path(kernelkit.__file__).resolve().parent.parent
    if parent.name in ("site-packages", "dist-packages"):
        return variables
    before = variables.get("PYTHONPATH")
    return variables | {"PYTHONPATH": f"{parent}{os.pathsep}{before}" if before else str(parent)}


def start_engine(home: Home, *, python: str = sys.executable, keep: bool = False) -> subprocess.Popen[bytes]:
    """Spawn a detached engine and return at once; what it prints is appended to `home.engine_log`.

    `keep` tells it not to stop when idle. Raises `EngineUnavailableError` if the interpreter cannot be started.
    """
    home.create()
    inherited = {
        name: value for name, value in os.environ.items() if name not in _HARMFUL and not name.startswith(_OF_A_WORKER)
    }
    # -P: a file of the project called like a standard module must not be imported by the engine
    command = [python, "-P", "-m", ENGINE_MODULE, "--home", str(home.path), *(["--keep"] if keep else [])]
    log = os.open(home.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        engine = subprocess.Popen(
            command,
            cwd=home.path.parent,
            env=with_import_path(without_jupyter(inherited)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as cause:
        raise EngineUnavailableError(f"The engine cannot be started with {python}: {cause.strerror}.") from cause
    finally:
        os.close(log)
    # it may die before this process: reap it then, instead of leaving a zombie
    threading.Thread(target=engine.wait, name="kernelkit-engine-reaper", daemon=True).start()
    return engine


async def dial(
    home: Home,
    hello: m.Hello,
    *,
    on_message: OnMessage,
    on_close: OnClose,
    start: bool = True,
    explicit: bool = False,
    keep: bool = False,
    timeout: float = 10.0,  # noqa: ASYNC109  it covers several tries, and ends in words
) -> tuple[Channel, m.Welcome]:
    """A channel to the engine of `home`, past `Hello` and `Welcome`.

    With `start`, an engine is started when none answers, unless `kernelkit down` stopped it; `explicit` overrules that
    note and removes it. `on_message` may be called before this returns. Raises `EngineUnavailableError`, or what the
    engine refuses the connection with (`VersionMismatchError` …).
    """
    deadline = time.monotonic() + timeout
    if explicit:
        clear_down_mark(home)
    welcomed = await _try(home, hello, on_message, on_close, timeout)
    if welcomed is not None:
        return welcomed
    if not start:
        raise EngineUnavailableError(
            f"No engine runs for {home.path}. Start it with `kernelkit up`, or with `%engine start` in a notebook.",
            home=str(home.path),
        )
    if is_marked_down(home):
        raise EngineUnavailableError(
            f"The engine for {home.path} was stopped by `kernelkit down` and is not started by itself. "
            "Start it with `kernelkit up`, or with `%engine start` in a notebook.",
            home=str(home.path),
        )
    home.create()
    with _Starting(home) as starting:
        pause = 0.01
        while time.monotonic() < deadline:
            if starting.may_spawn():
                starting.spawn(keep=keep)
            await asyncio.sleep(pause)
            pause = min(0.05, pause * 1.3)
            welcomed = await _try(home, hello, on_message, on_close, max(0.1, deadline - time.monotonic()))
            if welcomed is not None:
                return welcomed
            starting.check()
        raise EngineUnavailableError(
            f"The engine for {home.path} did not answer within {timeout:g} s.{starting.log_tail()} "
            f"The whole log is {home.engine_log}; `kernelkit doctor` looks further.",
            home=str(home.path),
        )


async def _try(
    home: Home,
    hello: m.Hello,
    on_message: OnMessage,
    on_close: OnClose,
    timeout: float,  # noqa: ASYNC109  it ends in words
) -> tuple[Channel, m.Welcome] | None:
    """One attempt; None when no engine listens or it went away during the greeting."""
    greeting: asyncio.Future[m.AnyMessage | None] = asyncio.get_running_loop().create_future()

    def greeted(channel: Channel, message: m.AnyMessage) -> None:
        if isinstance(message, m.Welcome):
            channel.on_message, channel.on_close = on_message, on_close
        if not greeting.done():
            greeting.set_result(message)

    def ended(_: Channel) -> None:
        if not greeting.done():
            greeting.set_result(None)

    try:
        channel = await connect(find_socket(home), greeted, ended)
    except OSError as cause:
        if is_nobody_there(cause):
            return None
        raise EngineUnavailableError(
            f"The engine's socket {find_socket(home)} cannot be used: {cause.strerror or cause}.", home=str(home.path)
        ) from cause
    channel.send(hello)
    try:
        async with asyncio.timeout(timeout):
            answer = await greeting
    except TimeoutError as cause:
        channel.abort("the engine did not answer the greeting")
        raise EngineUnavailableError(
            f"The engine for {home.path} (pid {channel.peer.pid}) does not answer. If it stays so, "
            "run `kernelkit restart`.",
            home=str(home.path),
        ) from cause
    except asyncio.CancelledError:
        channel.close()
        raise
    if isinstance(answer, m.Welcome):
        return channel, answer
    channel.close()
    if answer is None:
        return None
    if isinstance(answer, m.Refused):
        raise errors.from_wire(answer.error)
    raise EngineUnavailableError(f"What listens at {find_socket(home)} is not an engine.", home=str(home.path))


class _Starting:
    """One process's part in starting an engine: the lock that makes one of many spawn, and the engine it spawned."""

    _TAKE_OVER_S = 3.0  # then whoever holds the lock is taken for stuck; the engines' own lock still decides

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fd = -1
        self._since = time.monotonic()
        self._engine: subprocess.Popen[bytes] | None = None
        self._held = False
        self._log_from = home.engine_log.stat().st_size if home.engine_log.exists() else 0

    def __enter__(self) -> Self:
        self._fd = os.open(self._home.path / "starting.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def may_spawn(self) -> bool:
        if self._engine is not None:
            return False
        if not self._held:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._held = True
        if not self._held and time.monotonic() - self._since < self._TAKE_OVER_S:
            return False
        return not is_locked(self._home)  # whoever had the lock before may just have brought an engine up

    def spawn(self, *, keep: bool) -> None:
        self._engine = start_engine(self._home, keep=keep)

    def check(self) -> None:
        """Raise when the engine that was started here ended and nobody else's holds the home."""
        code = self._engine.poll() if self._engine is not None else None
        if code is None or is_locked(self._home):
            return
        if code == 0:
            self._engine = None  # it found the home taken, by one that has ended by now: start again
            return
        raise EngineUnavailableError(
            f"The engine for {self._home.path} ended as it started (exit code {code}).{self.log_tail()} "
            f"The whole log is {self._home.engine_log}.",
            home=str(self._home.path),
            exit_code=code,
        )

    def log_tail(self, lines: int = 12) -> str:
        """What the log has gained since, as a sentence to append; empty when nothing was written."""
        try:
            with self._home.engine_log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_from, size), size - 8192))
                text = log.read().decode(errors="replace").strip()
        except OSError:
            return ""
        return "" if not text else " It wrote:\n\n" + "\n".join(text.splitlines()[-lines:]) + "\n\n"


# ---- for the command line: no loop --------------------------------------------------------------------------------


def ping(home: Home, *, timeout: float = 2.0) -> m.Welcome | None:
    """The engine's greeting, or None when none runs; starts nothing.

    Raises what the engine refuses with, and `EngineUnavailableError` when one listens but does not answer.
    """
    hello = m.Hello(role="client", name="ping", pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        try:
            link.connect(str(find_socket(home)))
            payload = encode(hello)
            link.sendall(struct.pack(">IB", len(payload) + 1, 0) + payload)
            answer = next(_frames(link), None)
        except TimeoutError as cause:
            raise EngineUnavailableError(
                f"The engine for {home.path} does not answer. If it stays so, run `kernelkit restart`.",
                home=str(home.path),
            ) from cause
        except OSError as cause:
            if is_nobody_there(cause):
                return None
            raise EngineUnavailableError(
                f"The engine's socket cannot be used: {cause}.", home=str(home.path)
            ) from cause
    if isinstance(answer, m.Refused):
        raise errors.from_wire(answer.error)
    return answer if isinstance(answer, m.Welcome) else None


def _frames(link: socket.socket) -> Iterator[m.AnyMessage]:
    received = bytearray()
    while data := link.recv(65536):
        received += data
        while len(received) >= 5:
            (length,) = struct.unpack_from(">I", received)
            if not 1 <= length <= MAX_FRAME:
                return
            if len(received) < 4 + length:
                break
            payload = bytes(received[5 : 4 + length])
            del received[: 4 + length]
            with contextlib.suppress(msgspec.DecodeError):
                yield decode(payload)
