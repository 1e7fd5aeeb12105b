from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.engine import fleet
from tests.engine.desk import Desk
from tests.engine.yard import Yard


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Pids of processes that live."""
    pids: set[int] = set()
    monkeypatch.setattr(fleet, "is_alive", lambda pid, started_at: pid in pids)
    monkeypatch.setattr(fleet, "boot_id", lambda: "boot")
    return pids


@pytest.fixture
def yard(tmp_path: Path, living: set[int]) -> Iterator[Yard]:
    made = Yard(tmp_path, living)
    yield made
    made.store.close()
