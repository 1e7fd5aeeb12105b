"""The engine's settings: whose word counts, and what is said of wrong ones."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kernelkit.config import EngineSettings, Home
from kernelkit.errors import InvalidOptionError
from kernelkit.settings import load_engine_settings, read_settings, write_setting


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit")


def project(home: Home, text: str) -> Path:
    file = home.path.parent / "pyproject.toml"
    file.write_text(text)
    return file


def test_without_any_file_the_defaults_hold(home: Home) -> None:
    assert load_engine_settings(home) == EngineSettings()
    assert {setting.source for setting in read_settings(home)} == {"default"}


def test_settings_come_from_the_project_file(home: Home) -> None:
    project(home, "[tool.kernelkit.engine]\nconcurrency_limit = 7\nidle_stop = '5m'\ncancel_grace = 2\n")

    settings = load_engine_settings(home)

    assert (settings.concurrency_limit, settings.idle_stop, settings.cancel_grace) == (7, 300.0, 2.0)
    assert settings.keep_runs == EngineSettings().keep_runs


def test_what_was_set_in_the_home_goes_before_the_project(home: Home) -> None:
    file = project(home, "[tool.kernelkit.engine]\nconcurrency_limit = 7\nkeep_runs = 10\n")

    write_setting(home, "concurrency_limit", "9")
    write_setting(home, "strict_machines", "true")
    write_setting(home, "environment", "staging")

    settings = load_engine_settings(home)
    assert (settings.concurrency_limit, settings.keep_runs) == (9, 10)
    assert (settings.strict_machines, settings.environment) == (True, "staging")
    sources = {setting.name: setting.source for setting in read_settings(home)}
    assert (sources["concurrency_limit"], sources["keep_runs"]) == (str(home.settings), str(file))
    assert stat.S_IMODE(home.settings.stat().st_mode) == 0o600

    write_setting(home, "concurrency_limit", None)
    assert load_engine_settings(home).concurrency_limit == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[tool.kernelkit.engine]\nconcurency_limit = 7\n",
            r"pyproject.toml, table \[tool.kernelkit.engine\]: 'concurency_limit' .* mean 'concurrency_limit'",
        ),
        ("[tool.kernelkit.engine]\nconcurrency_limit = 'many'\n", r'toml.*: concurrency_limit = "many" will not do'),
        ("[tool.kernelkit.engine]\nkeep_runs = -1\n", "keep_runs = -1 will not do: Expected `int` >= 0"),
        ("[tool.kernelkit.engine]\nidle_stop = 'soon'\n", "idle_stop='soon' is not a duration"),
        ("[tool.kernelkit]\nengine = 5\n", "pyproject.toml holds no table of settings"),
        ("[tool.kernelkit", r"pyproject\.toml cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(home: Home, text: str, words: str) -> None:
    project(home, text)

    with pytest.raises(InvalidOptionError, match=words):
        load_engine_settings(home)


def test_what_cannot_be_set_is_refused_and_nothing_is_kept(home: Home) -> None:
    with pytest.raises(InvalidOptionError, match="Did you mean 'idle_stop'"):
        write_setting(home, "idle_stops", "5")
    with pytest.raises(InvalidOptionError, match='strict_machines = "perhaps" will not do'):
        write_setting(home, "strict_machines", "perhaps")
    assert not home.settings.exists()


def test_a_spoilt_file_in_the_home_is_named(home: Home) -> None:
    home.create().settings.write_text("{")

    with pytest.raises(InvalidOptionError, match=r"settings\.json cannot be read"):
        load_engine_settings(home)
