"""Commands that need no engine: what they say of a home where none runs, and of wrong usage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kernelkit.cli.main import COMMANDS, main
from kernelkit.config import Home


def run(*words: str, home: Path | None = None) -> Result:
    said = [*words, "--home", str(home)] if home is not None else list(words)
    return CliRunner().invoke(main, said, catch_exceptions=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".kernelkit"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_takes_home_and_json(name: str) -> None:
    words = ("notebook", "run") if name == "notebook" else (name,)  # the one whose commands stand below it
    answer = run(*words, "--help")

    assert answer.exit_code == 0
    assert "--home" in answer.output and "--json" in answer.output


def test_status_where_no_engine_runs_says_so_and_makes_nothing(home: Path) -> None:
    answer = run("status", home=home)

    assert answer.exit_code == 3
    assert f"No engine runs for {home}" in answer.output
    assert not home.exists()


def test_status_tells_programs_the_same(home: Path) -> None:
    answer = run("status", "--json", home=home)

    assert answer.exit_code == 3
    assert json.loads(answer.output) == {"running": False, "home": str(home), "marked_down": False}


@pytest.mark.parametrize("words", [["runs"], ["tasks"], ["trigger", "resize"], ["cancel", "run_1"], ["logs", "run_1"]])
def test_asking_where_nothing_ever_ran_starts_no_engine(words: list[str], home: Path) -> None:
    answer = run(*words, home=home)

    assert answer.exit_code == 1
    assert "nothing has run here so far" in answer.output
    assert not home.exists()


def test_down_without_an_engine_leaves_the_mark_that_status_explains(home: Path) -> None:
    Home(home).create()

    assert run("down", home=home).exit_code == 0
    answer = run("status", home=home)

    assert Home(home).down_mark.exists()
    assert "`kernelkit up` starts it" in answer.output


def test_after_down_a_command_does_not_start_the_engine_by_itself(home: Path) -> None:
    Home(home).create()
    run("down", home=home)

    answer = run("runs", home=home)

    assert answer.exit_code == 1
    assert "kernelkit up" in answer.output


def test_doctor_finds_a_home_that_others_can_read(home: Path) -> None:
    Home(home).create()
    home.chmod(0o755)

    answer = run("doctor", home=home)

    assert answer.exit_code == 1
    assert "chmod 700" in answer.output


def test_doctor_names_a_setting_that_does_not_exist(home: Path) -> None:
    Home(home).create()
    (home.parent / "pyproject.toml").write_text("[tool.kernelkit.engine]\nidle_stopp = 3\n")

    answer = run("doctor", "--json", home=home)

    bad = [found for found in json.loads(answer.output)["findings"] if found["level"] == "bad"]
    assert [found["check"] for found in bad] == ["settings"]
    assert "idle_stopp" in bad[0]["text"]


def test_doctor_is_content_with_a_home_not_made_yet(home: Path) -> None:
    answer = run("doctor", home=home)

    assert answer.exit_code == 0
    assert not home.exists()


def test_the_last_lines_of_the_engines_log_are_read_without_an_engine(home: Path) -> None:
    Home(home).create().engine_log.write_text("".join(f"line {number}\n" for number in range(200)))

    answer = run("logs", "-n", "2", home=home)

    assert answer.output == "line 198\nline 199\n"


def test_following_the_log_survives_its_rotation(home: Path) -> None:
    log = Home(home).create().engine_log
    log.write_text("old\n")
    command = [sys.executable, "-m", "kernelkit", "logs", "--follow", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            assert following.stdout.readline() == "old\n"
            log.rename(log.with_suffix(".log.1"))
            log.write_text("new\n")

            assert following.stdout.readline() == "new\n"
        finally:
            following.kill()


def test_wrong_usage_is_told_apart_from_a_failure() -> None:
    assert run("trigger", "resize", "--timeout", "3").exit_code == 2
    assert run("runs", "--status", "nearly").exit_code == 2
    assert run("nope").exit_code == 2


def test_the_module_is_the_same_program_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, kernelkit.__main__, kernelkit.cli.engine, kernelkit.cli.doctor\n"
        "print([name for name in ('pydantic', 'IPython', 'duckdb', 'ipywidgets') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version = subprocess.run(
        [sys.executable, "-m", "kernelkit", "--version"], capture_output=True, text=True, check=True
    )

    assert told.stdout == "[]\n"
    assert version.stdout.startswith("kernelkit ")
