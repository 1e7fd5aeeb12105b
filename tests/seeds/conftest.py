"""Examples of the documentation that Trigger.dev's users know, in Python, on the real engine and in virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernelkit.authoring.hooks import forgotten_after
from tests.behaviour.conftest import real, stage

__all__ = ["real", "stage"]


@pytest.fixture(autouse=True)
def _no_hooks_for_other_tests() -> Iterator[None]:
    with forgotten_after():
        yield
