"""The example of the README is run as it stands there, on a real engine."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / ".kernelkit")
    yield found
    if is_locked(found):
        command = [sys.executable, "-m", "kernelkit", "down", "--now", "--home", str(found.path)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_the_example_runs_and_prints_what_the_files_hold(home: Home, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example)

    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env=os.environ | {"KERNELKIT_HOME": str(home.path)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (done.returncode, done.stderr) == (0, "")
    first, *others = done.stdout.splitlines()
    counted = dict(ast.literal_eval(first))
    assert counted["the"] == README.lower().split().count("the")
    assert len(others) == len(list((ROOT / "docs").glob("*.md")))


def test_every_file_that_the_readme_points_at_is_there() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)

    assert [target for target in targets if not (ROOT / target).exists()] == []
