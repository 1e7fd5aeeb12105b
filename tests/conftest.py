"""What every test starts from: no home of the person who runs the tests, no settings of their shell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_home_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("KERNELKIT_")]:
        monkeypatch.delenv(name)
    yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; skips at home and fails in CI where there is none."""
    return needed_program("chromium")


@pytest.fixture(scope="session")
def strace() -> str:
    return needed_program("strace")


def needed_program(name: str) -> str:
    """Path of a system program: skips the test at home and fails it in CI when it is missing."""
    found = shutil.which(name)
    if found is not None:
        return str(Path(found))
    message = f"{name} is not installed; `scripts/system-packages` installs it on Debian"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
