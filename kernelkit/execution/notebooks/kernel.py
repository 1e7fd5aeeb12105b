"""The kernel of one notebook job: started, interrupted and ended by us, and by nobody else.

It is a process group of its own below the worker and carries the worker's mark, so the keeper ends it with a worker
that is killed. What a newcomer would get wrong: nbclient loses a kernel that is cancelled while it starts. Here the
process is known from the moment it exists, and `end` leaves none whatever happened before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from kernelkit.authoring.kernelspecs import KernelChoice, is_own_python
from kernelkit.errors import NotebookKernelError
from kernelkit.execution.notebooks.libraries import quiet
from kernelkit.execution.processes import kill_group, kill_tree, peak_memory

READY_S = 60.0
GOODBYE_S = 5.0  # for a kernel's own atexit functions
_TAIL_BYTES = 2_000
_LONGEST_PATH = 90  # a socket's path has at most 107 bytes


class Kernel:
    """Use it as `async with`; at the end of the block no process of it is left."""

    def __init__(self, choice: KernelChoice, *, folder: str, variables: Mapping[str, str], what: str) -> None:
        self._choice = choice
        self._folder = folder
        self._variables = variables
        self._what = what
        self._private = ""  # connection file, sockets and stderr
        self._starting: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._peak = 0
        self.manager: Any = None  # an AsyncKernelManager; jupyter_client's types say less than is there
        self.client: Any = None

    async def __aenter__(self) -> Kernel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(at_once=True)

    async def start(self) -> None:
        """Start the process; `ready` waits until it answers. Raises `NotebookKernelError`."""
        self._starting = asyncio.create_task(self._start(), name="kernelkit-kernel-start")
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        self._refuse_what_is_gone()
        choice = self._choice
        self._private = tempfile.mkdtemp(prefix="kk-")
        manager: Any = AsyncKernelManager(
            kernel_name=choice.name,
            kernel_spec_manager=_OneSpec(choice),
            connection_file=os.path.join(self._private, "kernel.json"),
            log=quiet,
        )
        if choice.is_ipykernel and len(self._private) < _LONGEST_PATH:
            # sockets in a closed folder: no port that another kernel takes meanwhile
            manager.transport = "ipc"
            manager.ip = os.path.join(self._private, "s")
        self.manager = manager
        errors = os.open(self._stderr, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await manager.start_kernel(
                cwd=self._folder,
                env={**os.environ, **self._variables},
                extra_arguments=["--HistoryManager.hist_file=:memory:"] if choice.is_ipykernel else [],
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        finally:
            os.close(errors)
        self._process = manager.provisioner.process

    def _refuse_what_is_gone(self) -> None:
        choice = self._choice
        if not os.path.isdir(self._folder):
            raise NotebookKernelError(f"The folder {self._folder}, in which {self._what} is to run, is gone.")
        if choice.program is None:
            raise NotebookKernelError(
                f"The kernel {choice.name!r} of {self._what} starts with {choice.argv[0]}, which is not there any more."
            )

    async def ready(self) -> None:
        """Wait until it answers; raises `NotebookKernelError` when it does not, with what it wrote."""
        assert self.manager is not None
        self.client = self.manager.client(log=quiet)
        self.client.start_channels()
        try:
            await self.client.wait_for_ready(timeout=READY_S)
        except RuntimeError as cause:
            code = None if self._process is None else self._process.poll()
            how = f"did not answer within {READY_S:g} s" if code is None else f"ended as it started ({_ended(code)})"
            raise NotebookKernelError(
                f"The kernel {self._choice.name!r} of {self._what} {how}.{self.last_words()}"
            ) from cause
        self.client.allow_stdin = False

    @property
    def _stderr(self) -> str:
        return os.path.join(self._private, "stderr")

    @property
    def exit_words(self) -> str:
        """How the process ended, in words."""
        code = None if self._process is None else self._process.poll()
        return "it does not answer" if code is None else _ended(code)

    def last_words(self) -> str:
        """The end of what the process wrote to stderr, as a sentence to append; empty when that is nothing."""
        with contextlib.suppress(OSError), open(self._stderr, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace").strip()
            return f" It wrote:\n\n{text}" if text else ""
        return ""

    def peak_memory(self) -> int:
        """The most memory the process has held, in bytes, as far as could be seen before it ended."""
        if self._process is not None and self._process.returncode is None:
            self._peak = max(self._peak, peak_memory(self._process.pid) or 0)
        return self._peak

    async def interrupt(self) -> None:
        """Have the running cell raise `KeyboardInterrupt`."""
        with contextlib.suppress(RuntimeError, OSError):  # it may have ended just now
            await self.manager.interrupt_kernel()

    def kill(self) -> None:
        """End the process and everything below it, now."""
        self.peak_memory()
        process = self._process
        if process is None and self.manager is not None and self.manager.provisioner is not None:
            process = self.manager.provisioner.process  # started, and cancelled before that was noted
        if process is not None and process.poll() is None:
            kill_tree(process.pid)
            process.wait()

    async def end(self, *, at_once: bool) -> None:
        """Let it end by itself (`at_once`: kill it), then kill what is left of it. May be called again."""
        self.peak_memory()
        if self._starting is not None and not self._starting.done():
            await asyncio.wait([self._starting])  # some milliseconds: what it starts has to be known
        manager, client, private = self.manager, self.client, self._private
        if manager is None:
            return
        try:
            if not at_once and self._process is not None:
                await self._say_goodbye()
        finally:
            self.kill()
            if self._process is not None:
                kill_group(self._process.pid)  # what its cells started and left behind
            if client is not None:
                client.stop_channels()
            self.manager = self.client = None
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
            await manager.cleanup_resources()
            shutil.rmtree(private, ignore_errors=True)

    async def _say_goodbye(self) -> None:
        assert self._process is not None
        await self.manager.request_shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                while self._process.poll() is None:  # noqa: ASYNC110  a process tells nobody of its end
                    await asyncio.sleep(0.01)


class _OneSpec(KernelSpecManager):
    """Knows the one kernel that the job was defined with."""

    def __init__(self, choice: KernelChoice) -> None:
        super().__init__()
        self._choice = choice

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        choice = self._choice
        argv = list(choice.argv)
        if is_own_python(argv[0]):
            argv[0] = sys.executable
        return KernelSpec(
            resource_dir=choice.resource_dir,
            argv=argv,
            name=choice.name,
            language=choice.language,
            env=choice.env,
            interrupt_mode=choice.interrupt_mode,
            metadata=choice.metadata,
        )


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    words = "; perhaps it needed more memory than there was" if code == -9 else ""
    return f"killed by signal {-code}{words}"
