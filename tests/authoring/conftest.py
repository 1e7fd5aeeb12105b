"""A caller of its own for each test, in place of a client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.authoring import caller as callers
from tests.authoring.fake_caller import FakeCaller


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeCaller]:
    caller = FakeCaller(tmp_path / ".kernelkit")
    with callers.use(caller):
        yield caller
