from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernelkit.store.store import Store
from tests.store.samples import open_store


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()
