from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kernelkit.config import Home, find_home


def test_the_home_is_in_the_nearest_ancestor_that_has_one(tmp_path: Path) -> None:
    (tmp_path / ".kernelkit").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").touch()

    assert find_home(tmp_path / "a" / "b").path == tmp_path / ".kernelkit"


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_else_beside_the_nearest_project_file(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / mark).touch()

    home = find_home(tmp_path / "a" / "b")

    assert home.path == tmp_path / "a" / ".kernelkit"
    assert not home.path.exists()


def test_a_home_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kernelkit").mkdir()
    monkeypatch.setenv("KERNELKIT_HOME", str(tmp_path / "by_shell"))

    assert find_home(tmp_path).path == tmp_path / "by_shell"
    assert find_home(tmp_path, explicit=tmp_path / "by_call").path == tmp_path / "by_call"


def test_a_home_is_closed_to_others_and_out_of_git(tmp_path: Path) -> None:
    home = Home(tmp_path / ".kernelkit").create().create()

    for folder in (home.path, home.bundles, home.environments, home.orphans):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (home.path / ".gitignore").read_text() == "*\n"
