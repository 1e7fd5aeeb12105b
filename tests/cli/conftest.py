"""The program as a program, and a home whose engine is ended after the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked

KernelKit = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / ".kernelkit")
    yield found
    if is_locked(found):
        command = [sys.executable, "-m", "kernelkit", "down", "--now", "--home", str(found.path)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture
def kernelkit(home: Home) -> KernelKit:
    """Runs `kernelkit …` on the home and gives what it printed; the exit code must be `wanted`."""

    def run(*words: str, wanted: int = 0, said: str = "") -> str:
        command = [sys.executable, "-m", "kernelkit", *words, "--home", str(home.path)]
        done = subprocess.run(command, capture_output=True, text=True, input=said, timeout=100)
        assert done.returncode == wanted, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
