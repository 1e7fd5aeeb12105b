"""Starts keeper programs, detached, in the environment their tasks were defined in."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import msgspec

from kernelkit.config import Home
from kernelkit.errors import EngineUnavailableError
from kernelkit.models.environment import Environment
from kernelkit.wire.launch import with_import_path

logger = logging.getLogger(__name__)

KEEPER_MODULE = "kernelkit.execution.keeper"


class Keepers:
    """The keeper processes this engine has started."""

    def __init__(self, home: Home, *, umask: int = -1) -> None:
        """With `umask`, keepers and all below them have that one instead of the engine's own."""
        self._home = home
        self._umask = umask
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def launch(self, env_id: str) -> None:
        """Start a keeper unless one that was started here still runs."""
        running = self._started.get(env_id)
        if running is not None and running.poll() is None:
            return
        environment = self._read(env_id)
        command = [environment.python, "-P", "-m", KEEPER_MODULE, "--home", str(self._home.path), "--env", env_id]
        log = os.open(self._home.path / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._started[env_id] = subprocess.Popen(
                command,
                cwd=environment.cwd,
                env=with_import_path(environment.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=self._umask,
            )
        except OSError as cause:
            missing = environment.cwd if not Path(environment.cwd).is_dir() else environment.python
            raise EngineUnavailableError(
                f"The environment the task was defined in is gone: {missing} ({cause.strerror}). "
                "Define the task again from an environment that exists.",
                env_id=env_id,
            ) from cause
        finally:
            os.close(log)
        logger.info("keeper started", extra={"env_id": env_id, "keeper_pid": self._started[env_id].pid})

    def failure(self, env_id: str) -> str | None:
        """Why the keeper started here has ended, or None while it runs or when there was none."""
        started = self._started.get(env_id)
        if started is None or started.poll() is None:
            return None
        return f"its keeper ended with code {started.returncode}; {self._home.path / 'keeper.log'} may say why"

    def reap(self) -> None:
        """Take note of keepers that have ended, so that none stays a zombie."""
        for keeper in self._started.values():
            keeper.poll()

    def _read(self, env_id: str) -> Environment:
        path = self._home.environments / f"{env_id}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Environment)
        except (OSError, msgspec.DecodeError) as cause:
            raise EngineUnavailableError(
                f"The environment file {path} cannot be read ({cause}). Run the cell that defines the task again.",
                env_id=env_id,
            ) from cause
