"""`kernelkit serve` as a program, with a real engine and real loading processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kernelkit.config import Home
from tests.cli.conftest import KernelKit
from tests.execution.notebooks.making import make_notebook

pytestmark = pytest.mark.timeout(180)

JOBS = """
import kernelkit as kk
from helper import WORD

@kk.task(cron="0 0 1 1 *", timezone="Asia/Tokyo")
async def yearly() -> str:
    return WORD
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a module that imports another."""
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "helper.py").write_text("WORD = 'first'\n")
    return tmp_path


class Serving:
    """A `kernelkit serve --json` that goes on."""

    def __init__(self, folder: Path, home: Home, *paths: str) -> None:
        command = [sys.executable, "-m", "kernelkit", "serve", *paths, "--json", "--home", str(home.path)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def heard(self) -> dict[str, Any]:
        """The next load; the process is ended if none comes."""
        assert self.process.stdout is not None
        guard = threading.Timer(60, self.process.kill)
        guard.start()
        try:
            line = self.process.stdout.readline()
        finally:
            guard.cancel()
        assert line, "nothing was loaded"
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        code = self.process.wait(60)
        _, left = psutil.wait_procs([one for one in children if "definitions" in _command(one)], timeout=20)
        assert not left, "a loading process stayed behind"
        return code


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def serving(folder: Path, home: Home) -> Iterator[Callable[..., Serving]]:
    begun: list[Serving] = []

    def begin(*paths: str) -> Serving:
        begun.append(Serving(folder, home, *paths))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(60)
        for pipe in (one.process.stdout, one.process.stderr):
            if pipe is not None:
                pipe.close()


def test_what_changes_is_defined_anew_and_a_mistake_leaves_what_was(
    serving: Callable[..., Serving], kernelkit: KernelKit, folder: Path
) -> None:
    one = serving("jobs.py")

    first = one.heard()
    (folder / "helper.py").write_text("WORD = \n")
    broken = one.heard()
    (folder / "helper.py").write_text("WORD = 'second one'\n")
    mended = one.heard()
    run = json.loads(kernelkit("trigger", "yearly", "--wait", "--json"))
    (folder / "jobs.py").write_text("import kernelkit as kk\n\n@kk.task\nasync def other() -> int:\n    return 1\n")
    changed = one.heard()

    assert [(task["id"], task["cron"], task["timezone"]) for task in first["tasks"]] == [
        ("yearly", "0 0 1 1 *", "Asia/Tokyo")
    ]
    assert (broken["tasks"], broken["problems"]) == ([], ["helper.py line 1: SyntaxError: invalid syntax"])
    assert mended["problems"] == []
    assert run["output"] == "second one"
    assert ([task["id"] for task in changed["tasks"]], changed["no_longer_defined"]) == (["other"], ["yearly"])
    assert one.end(signal.SIGINT) == 0
    assert [one["task_id"] for one in json.loads(kernelkit("schedules", "list", "--json"))] == ["yearly"]


def test_of_a_notebook_only_what_defines_is_run(kernelkit: KernelKit, folder: Path) -> None:
    path = make_notebook(
        folder / "sums.ipynb",
        "%load_ext kernelkit\nimport kernelkit as kk",
        "LIMIT = 3 * 60\nopen('ran', 'w')",
        "rows = list(map(str, [1]))",
        '# a comment\n%%task add(n: int = 1) --cron "0 5 * * *" --timezone Europe/Rome\nreturn LIMIT + n',
        "@kk.task\nasync def count() -> int:\n    return len(rows)",
        "add.trigger()",
        ("chosen = [str(n) for n in range(4)]", "define"),
        "@kk.task\nasync def choose() -> int:\n    return len(chosen)",
        ("import nothing_like_it", "skip-execution"),
    )

    said = json.loads(kernelkit("serve", str(path), "--once", "--json"))

    assert sorted((task["id"], task["signature"], task["cron"]) for task in said["tasks"]) == [
        ("add", "(n: int = 1)", "0 5 * * *"),
        ("choose", "()", ""),
        ("count", "()", ""),
    ]
    assert not (folder / "ran").exists()
    assert json.loads(kernelkit("runs", "--json"))["runs"] == []
    assert "`rows` is assigned in cell [3], which is not run here" in said["notes"][-1]
    assert json.loads(kernelkit("trigger", "add", "n=2", "--wait", "--json"))["output"] == 182
    assert json.loads(kernelkit("trigger", "choose", "--wait", "--json"))["output"] == 4


def test_what_is_wrong_is_said_by_file_and_the_rest_is_defined(kernelkit: KernelKit, folder: Path) -> None:
    (folder / "late.py").write_text("import kernelkit as kk\n\n@kk.task\nasync def half(): ...\n\n1 / 0\n")
    (folder / "my-jobs.py").write_text("")
    package = folder / "parts" / "deep"
    package.mkdir(parents=True)
    (folder / "parts" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("import kernelkit as kk\n\n@kk.task\nasync def deep() -> int:\n    return 1\n")
    make_notebook(folder / "wrong.ipynb", "import nothing_like_it", "def f(:", "%%task bad(x\nreturn 1")

    said = kernelkit("serve", str(folder), "--once", wanted=1)

    for words in (
        "late.py line 6: ZeroDivisionError: division by zero",
        "my-jobs.py: 'my-jobs' cannot be imported under that name",
        "wrong.ipynb cell [1], line 1: ModuleNotFoundError: No module named 'nothing_like_it'",
        "wrong.ipynb cell [2], line 1: ",
        "wrong.ipynb cell [3]: The signature `bad(x` is not closed",
        "yearly()  ",
        "deep()  ",
        "Asia/Tokyo",
    ):
        assert words in said
    assert {task["id"] for task in json.loads(kernelkit("tasks", "--json"))} == {"yearly", "deep"}


def test_paths_that_hold_nothing_are_refused(kernelkit: KernelKit, folder: Path) -> None:
    (folder / "data.csv").write_text("")
    (folder / "empty").mkdir()

    assert "neither a file nor a folder" in kernelkit("serve", str(folder / "nothing.py"), wanted=2)
    assert "neither a module (.py) nor a notebook" in kernelkit("serve", str(folder / "data.csv"), wanted=2)
    assert "has neither modules nor notebooks" in kernelkit("serve", str(folder / "empty"), wanted=2)
