"""What a worker is given of the process that defined its task."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from kernelkit.authoring import notebook
from kernelkit.authoring.surroundings import (
    Surroundings,
    capture,
    detect_owner,
    own_variables,
    read_environment,
    write_environment,
)
from kernelkit.config import Home
from kernelkit.models.task import Owner


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / ".kernelkit").create()


def test_the_environment_is_interpreter_folder_path_and_variables(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "lib", "/opt/lib", "/opt/lib"])
    monkeypatch.setenv("MY_SETTING", "1")

    environment = capture(home)

    assert environment.python == sys.executable
    assert environment.cwd == str(tmp_path)
    assert environment.path == (str(tmp_path), str(tmp_path / "lib"), "/opt/lib")
    assert environment.variables["MY_SETTING"] == "1"
    assert environment.variables["KERNELKIT_HOME"] == str(home.path)


def test_variables_of_jupyter_and_the_terminal_are_left_out() -> None:
    given = {
        "PATH": "/bin",
        "JPY_SESSION_NAME": "/a.ipynb",
        "JPY_PARENT_PID": "1",
        "JUPYTER_TOKEN": "x",
        "KERNEL_ID": "k",
        "PYDEVD_USE_FRAME_EVAL": "NO",
        "PYTEST_CURRENT_TEST": "t",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "TERM": "xterm-color",
        "FORCE_COLOR": "1",
        "PAGER": "cat",
        "GIT_PAGER": "less",
        "SHLVL": "2",
        "OLDPWD": "/",
        "_": "/usr/bin/env",
        "COLUMNS": "80",
    }

    assert own_variables(given) == {"PATH": "/bin", "GIT_PAGER": "less"}


def test_a_persons_own_settings_are_kept() -> None:
    given = {"MPLBACKEND": "agg", "FORCE_COLOR": "1", "PAGER": "cat"}

    assert own_variables(given) == given


def test_two_kernels_of_one_project_share_an_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for session in ("/a.ipynb", "/b.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", session)
        monkeypatch.setenv("JPY_PARENT_PID", str(len(session)))
        ids.append(capture(home).id)

    assert ids[0] == ids[1]


def test_the_file_is_for_its_owner_alone_and_reads_back(home: Home) -> None:
    environment = capture(home)

    env_id = write_environment(home, environment)

    assert stat.S_IMODE((home.environments / f"{env_id}.json").stat().st_mode) == 0o600
    assert read_environment(home, env_id) == environment


def test_the_environment_is_made_anew_only_after_a_change(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surroundings = Surroundings()
    first = surroundings.environment(home)
    assert surroundings.environment(home) is first
    env_id = surroundings.write(home)

    monkeypatch.setenv("NEW_SETTING", "1")
    second = surroundings.write(home)
    monkeypatch.chdir(tmp_path)
    third = surroundings.write(home)
    monkeypatch.syspath_prepend("/somewhere")
    fourth = surroundings.write(home)

    assert len({env_id, second, third, fourth}) == 4
    assert len(list(home.environments.iterdir())) == 4


def test_an_environment_file_that_was_removed_is_written_again(home: Home) -> None:
    surroundings = Surroundings()
    path = home.environments / f"{surroundings.write(home)}.json"
    path.unlink()

    surroundings.write(home)

    assert path.exists()


def test_the_owner_is_the_notebook_where_jupyter_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "shell", lambda: object())
    monkeypatch.setenv("JPY_SESSION_NAME", "/srv/thumbs.ipynb")

    assert detect_owner() == Owner("notebook", "/srv/thumbs.ipynb")


def test_without_a_session_the_owner_is_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        connection_file = "/run/kernel-0b9f-42.json"

    class Shell:
        parent = Kernel()

    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr(notebook, "shell", Shell)

    assert detect_owner() == Owner("kernel", "0b9f-42")
    monkeypatch.setattr(notebook, "shell", lambda: object())
    assert detect_owner() == Owner("kernel", f"pid {os.getpid()}")


def test_a_modules_function_belongs_to_its_file() -> None:
    import kernelkit.durations

    assert detect_owner(kernelkit.durations.to_seconds) == Owner("module", kernelkit.durations.__file__)


def test_an_environment_file_in_use_is_marked_so_that_a_clean_up_leaves_it(home: Home) -> None:
    surroundings = Surroundings()
    path = home.environments / f"{surroundings.write(home)}.json"
    os.utime(path, (0, 0))

    surroundings.write(home)

    assert time.time() - path.stat().st_mtime < 60
