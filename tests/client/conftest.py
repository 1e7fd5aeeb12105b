"""A home with a scripted engine, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.client.client import Client
from kernelkit.config import Home
from tests.client.scripted_engine import ScriptedEngine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return Home(tmp_path / ".kernelkit")


@pytest.fixture
def engine(home: Home) -> Iterator[ScriptedEngine]:
    scripted = ScriptedEngine(home)
    yield scripted
    scripted.close()


@pytest.fixture
def client(engine: ScriptedEngine) -> Iterator[Client]:
    made = Client(engine.home, start=False, patience_s=10)
    yield made
    made.close()
