"""The faces where nobody draws widgets: a notebook run by a program, and IPython in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from kernelkit.client.client import Client

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project folder of its own, whose engine is stopped at the end."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    yield folder
    with contextlib.closing(Client(home=folder / ".kernelkit")) as client:
        for run in client.runs.list(status="EXECUTING"):
            client.runs.cancel(run.id)  # else its keeper and worker would go on with it
    subprocess.run([sys.executable, "-m", "kernelkit", "down", "--now"], cwd=folder, check=True, capture_output=True)


def executed(project: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """The outputs of each cell, as the saved notebook has them."""
    code: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{n}", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
        for n, source in enumerate(cells)
    ]
    text = json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    made = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    client = nbclient.NotebookClient(
        made,
        timeout=60,
        resources={"metadata": {"path": str(project)}},
        kernel_name="python3",
        store_widget_state=False,
    )
    client.execute()
    return [json.loads(json.dumps(cell["outputs"])) for cell in made["cells"]]


DOUBLE = """\
@kk.task
async def double(n: int):
    return 2 * n
"""
FAIL = """\
@kk.task(retries=1)
async def fail():
    raise ValueError("no rows")
"""


def test_a_notebook_run_by_a_program_keeps_readable_cards(project: Path) -> None:
    outputs = executed(
        project,
        "%load_ext kernelkit",
        DOUBLE,
        FAIL,
        "first = double.trigger(n=21)\nfirst",
        "second = fail.trigger()\nsecond",
        "first.result(); second.result()",
        "kk.runs.list()",
        "double",
        "first",
        "second.result()",
        "%timeline second",
        "first.timeline(tree=True)",
    )
    assert outputs[0] == []
    for cell, told in ((3, "double: Completed"), (4, "fail: Failed")):
        (shown,) = outputs[cell]
        assert told in shown["data"]["text/html"], shown
        assert "application/vnd.jupyter.widget-view+json" not in shown["data"]
    assert "ValueError: no rows" in outputs[4][0]["data"]["text/plain"]
    assert "1–2 of 2, newest first" in outputs[6][0]["data"]["text/plain"]
    assert "double, version" in outputs[7][0]["data"]["text/html"]
    assert "Completed" in outputs[8][0]["data"]["text/plain"]
    assert "fail  Failed" in outputs[9][0]["data"]["text/plain"]
    assert "attempt 1 failed" in outputs[10][0]["data"]["text/html"], "with its error in the next column"
    assert "ValueError: no rows" in outputs[10][0]["data"]["text/plain"]
    assert "Timeline of double" in outputs[11][0]["data"]["text/html"]
    assert not any(output["output_type"] in ("stream", "error") for cell in outputs for output in cell)


def test_what_has_ended_when_the_last_cell_ends_is_not_left_live(project: Path) -> None:
    outputs = executed(
        project,
        "%load_ext kernelkit",
        "@kk.task\nasync def nap(n: int):\n    import asyncio\n    await asyncio.sleep(1.5)",
        "run = nap.trigger(n=1)\nrun",
        "batch = nap.batch_trigger([{'n': 2}, {'n': 3}])\nbatch",
        "%run_tree run",
        "%timeline run",
        "run.result(); batch.result(); None",
    )
    for (shown,) in outputs[2:6]:
        assert "application/vnd.jupyter.widget-view+json" not in shown["data"]
        assert "Completed" in shown["data"]["text/html"] or "completed" in shown["data"]["text/html"]


def test_a_card_that_is_live_when_the_notebook_ends_has_its_static_face_beside_it(project: Path) -> None:
    outputs = executed(
        project,
        "%load_ext kernelkit",
        "@kk.task\nasync def nap():\n    import asyncio\n    await asyncio.sleep(600)",
        "run = nap.trigger()\nrun",
        "run.cancel().status",
        "late = nap.trigger()\nlate",
    )
    (late,) = outputs[4]
    assert set(late["data"]) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert "as of" in late["data"]["text/html"]


def test_a_terminal_prints_the_text_face(project: Path) -> None:
    script = """\
%load_ext kernelkit
@kk.task
async def double(n: int):
    return 2 * n

run = double.trigger(n=21)
done = run.result()
run
kk.engine
%timeline run
%timeline nobody
"""
    shown = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--no-confirm-exit", "--simple-prompt"],
        input=script,
        cwd=project,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "80"},
    ).stdout
    assert "✓ double  Completed" in shown, shown
    assert "output  42" in shown
    assert "✓ Engine healthy" in shown
    assert "✓ attempt 1 completed" in shown
    assert "UnknownRunError" in shown and "Traceback" not in shown
    assert "RunWidget" not in shown
