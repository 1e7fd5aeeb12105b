from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from kernelkit.config import EngineSettings, Home
from kernelkit.engine.artifacts import retain

NOW = 2_000_000_000.0
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit").create()


def left(home: Home, run_id: str, age: float, size: int = 10) -> None:
    folder = home.artifacts / run_id
    folder.mkdir()
    (folder / "daily.html").write_bytes(b"x" * size)
    for path in (folder / "daily.html", folder):
        os.utime(path, (NOW - age, NOW - age))


def there(home: Home) -> set[str]:
    return {path.name for path in home.artifacts.iterdir()}


def everything(run_ids: Sequence[str]) -> Sequence[str]:
    return run_ids


def test_files_go_with_their_run_and_after_thirty_days(home: Home) -> None:
    left(home, "run_kept", 29 * DAY)
    left(home, "run_old", 31 * DAY)
    left(home, "run_gone", 2 * HOUR)
    left(home, "run_live", 40 * DAY)
    left(home, "run_just_over", 60.0)

    removed = retain(home, {"run_live"}, lambda ids: {"run_kept", "run_old"} & set(ids), NOW, EngineSettings())

    assert removed == 2
    assert there(home) == {"run_kept", "run_live", "run_just_over"}


def test_the_oldest_go_when_there_is_too_much(home: Home) -> None:
    for number in range(1, 6):
        left(home, f"run_{number}", number * DAY, size=100)
    left(home, "run_live", 9 * DAY, size=100)

    removed = retain(home, {"run_live"}, everything, NOW, EngineSettings(keep_artifacts_bytes=350))

    assert (removed, there(home)) == (3, {"run_1", "run_2", "run_live"})


def test_a_home_without_them_is_no_problem(tmp_path: Path) -> None:
    assert retain(Home(tmp_path), set(), everything, NOW, EngineSettings()) == 0
