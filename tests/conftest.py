"""What every test starts from: no home of the person who runs the tests, no settings of their shell."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.authoring import registration
from kernelkit.authoring.task import Task


@pytest.fixture(autouse=True)
def _no_home_from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("KERNELKIT_")]:
        monkeypatch.delenv(name)
    yield


@pytest.fixture(autouse=True)
def _tasks_of_this_module_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """A process tells an engine of all its tasks at its first call, and all modules of tests are in one process."""
    module = getattr(request, "module", None)
    own = [thing for thing in vars(module).values() if isinstance(thing, Task)] if module is not None else []
    before = dict(registration._newest)
    registration._newest.clear()
    registration._newest.update({task.id: weakref.ref(task._registration) for task in own})
    registration._all_told.clear()
    yield
    registration._newest.clear()
    registration._newest.update(before)
    registration._all_told.clear()


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
