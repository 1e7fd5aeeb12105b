"""`kernelkit config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kernelkit.cli.main import main


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".kernelkit"


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["config", *words, "--home", str(home)], catch_exceptions=False)


def test_all_settings_are_listed_with_where_they_come_from(home: Path) -> None:
    (home.parent / "pyproject.toml").write_text("[tool.kernelkit.engine]\nkeep_runs = 10\n")

    shown = run(home).output
    told = {row["name"]: row for row in json.loads(run(home, "list", "--json").output)}

    assert "keep_runs" in shown and "pyproject.toml" in shown
    assert told["keep_runs"] == {"name": "keep_runs", "value": 10, "source": str(home.parent / "pyproject.toml")}
    assert told["strict_machines"] == {"name": "strict_machines", "value": False, "source": "default"}


def test_a_setting_is_set_got_and_taken_back(home: Path) -> None:
    assert run(home, "set", "idle_stop", "30m").output == f"idle_stop is 1800.0 (from {home}/settings.json).\n"
    assert run(home, "get", "idle_stop").output == "1800.0\n"
    assert run(home, "unset", "idle_stop").output == "idle_stop is 600.0 (default).\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("get", "idle_stp"), "Did you mean 'idle_stop'"),
        (("set", "keep_runs", "many"), 'keep_runs = "many" will not do'),
        (("set", "keep_runs"), "takes NAME VALUE"),
        (("put", "keep_runs"), "'put' is not one of"),
    ],
)
def test_wrong_usage_is_told(home: Path, words: tuple[str, ...], told: str) -> None:
    answer = run(home, *words)

    assert answer.exit_code != 0
    assert told in answer.output
    assert not home.exists()
