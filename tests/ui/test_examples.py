"""The examples in the docstrings of `kernelkit.ui`."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import kernelkit.ui

ROOMS = [room.name for room in pkgutil.iter_modules(kernelkit.ui.__path__)]


@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_of_a_room_are_true(room: str) -> None:
    assert doctest.testmod(importlib.import_module(f"kernelkit.ui.{room}")).failed == 0
