"""The quickstart is executed as `make demo` does it: a real kernel, engine and workers, real photographs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked

ROOT = Path(__file__).resolve().parent.parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
PHOTOGRAPHS = 2
TILES = 2 * 144

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make demo` leaves behind."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    command = [sys.executable, str(ROOT / "notebooks" / "run_demo.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=220)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Report:   {folder / 'quickstart.html'}" in done.stdout
    return folder


def kernelkit(demo: Path, *words: str) -> str:
    command = [sys.executable, "-m", "kernelkit", *words, "--home", str(demo / ".kernelkit")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_it_runs_from_end_to_end_and_leaves_a_readable_notebook_and_no_engine(demo: Path) -> None:
    notebook = json.loads((demo / "quickstart.ipynb").read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]

    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if WIDGET in output.get("data", {})], "a run that ended is plain HTML"
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 1
    assert "widgets" not in notebook["metadata"]
    assert "palette: Completed" in (demo / "quickstart.html").read_text()
    assert not is_locked(Home(demo / ".kernelkit"))


def test_what_it_says_of_its_runs_is_what_the_engine_remembers(demo: Path) -> None:
    kernelkit(demo, "up")
    try:
        everything: dict[str, Any] = json.loads(kernelkit(demo, "runs", "--json"))
        palettes: list[dict[str, Any]] = json.loads(kernelkit(demo, "runs", "--task", "palette", "--json"))["runs"]
    finally:
        kernelkit(demo, "down", "--now")

    assert everything["total"] == PHOTOGRAPHS + PHOTOGRAPHS + TILES
    tried_too_early = next(run for run in palettes if run["payload"] == {"photo": "china.jpg"})
    first, *_, last = tried_too_early["attempts"]
    assert (first["status"], first["error"]["name"]) == ("FAILED", "FileNotFoundError")
    assert last["status"] == "COMPLETED"
    assert abs(sum(colour["share"] for colour in tried_too_early["output"]) - 1) < 0.01
