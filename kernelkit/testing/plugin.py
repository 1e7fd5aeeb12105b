"""The pytest plugin: the fixture `kk_engine`. Imports nothing of ours until a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kernelkit.testing import VirtualEngine


@pytest.fixture
def kk_engine() -> Iterator[VirtualEngine]:
    """A virtual engine for the test: `kk_engine.advance(hours=24)`, `kk_engine.drain()`."""
    from kernelkit.testing import VirtualEngine, engine  # the plugin is loaded by every pytest run of its environment

    with engine() as made:
        assert isinstance(made, VirtualEngine)
        yield made
