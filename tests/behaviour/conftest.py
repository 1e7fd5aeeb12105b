"""Every test here runs twice: on the virtual engine, and on the daemon with its processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernelkit.authoring import caller as callers
from kernelkit.authoring.hooks import forgotten_after
from kernelkit.testing import RealEngine, VirtualEngine, engine


class Stage:
    """An engine, and the ways in which both kinds can be waited for."""

    def __init__(self, made: VirtualEngine | RealEngine) -> None:
        self.engine = made
        self.is_virtual = isinstance(made, VirtualEngine)

    def finish(self) -> None:
        """Return when nothing is queued or executing any more."""
        if self.is_virtual:
            self.engine.advance(hours=1)
        else:
            self.engine.drain()

    def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds, without letting virtual time pass."""
        if self.is_virtual:
            self.engine.drain()
            assert condition()
        else:
            until(condition)


def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; for real processes, whose clock is the wall's."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    home: Path = tmp_path_factory.mktemp("real")
    with engine(home=home, real_time=True, workers=2) as made:
        assert isinstance(made, RealEngine)
        yield made


@pytest.fixture(params=["virtual", "real"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "virtual":
        with engine(exclusive_workers=2) as made:
            yield Stage(made)
    else:
        made = request.getfixturevalue("real")
        with callers.use(made.caller):
            yield Stage(made)


@pytest.fixture
def no_hooks_left() -> Iterator[None]:
    """Hooks for all tasks that a test registers are gone after it."""
    with forgotten_after():
        yield
