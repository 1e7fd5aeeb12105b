"""What a notebook job costs over plain nbclient, on the same notebook, one after the other.

Plain is `NotebookClient(…).execute()` with everything imported, and the result written. A job is from its trigger to
its result, with the executed notebook and its page on disk: cold in a worker that has to be spawned and to import
nbclient, warm in one that ran a notebook before. The engine and its keeper are up, as they are for a schedule.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import kernelkit as kk
from tests.benchmarks import figures
from tests.benchmarks.project import project

NAME = "notebook_job"
EXTRA_S = 0.7
FACTOR = 1.05

_CELLS = (
    "n = 20_000",
    "import json, time",
    "rows = [{'at': i, 'value': i * i % 97} for i in range(n)]\nlen(rows)",
    "for chunk in range(5):\n    print(chunk)\n    time.sleep(0.1)",
    "sum(len(json.dumps(row)) for row in rows)",
    "from IPython.display import HTML\nHTML('<table>' + '<tr><td>1</td></tr>' * 200 + '</table>')",
)


@kk.task(isolation="shared")
async def wake() -> None:
    """Brings the keeper up."""


def measure(repeats: int = 7) -> dict[str, Any]:
    """Seconds of plain nbclient, and of jobs in cold and warm workers."""
    plain: list[float] = []
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(repeats):
        with project(NAME) as ours:
            path = _make(ours.folder / "report.ipynb")
            assert wake.trigger().result(60).ok
            job = kk.notebook(path, retries=1)
            job.register()
            for times in (cold, warm):
                plain.append(_plain(path))
                times.append(_job(job))
    allowed = EXTRA_S + FACTOR * statistics.median(plain)
    return figures.line(
        NAME,
        round(statistics.median(cold) - FACTOR * statistics.median(plain), 3),
        f"s over {FACTOR:g} x plain nbclient, in a cold worker",
        f"<= {EXTRA_S:g}",
        statistics.median(cold) <= allowed,
        {"plain_s": figures.spread(plain), "cold_s": figures.spread(cold), "warm_s": figures.spread(warm)},
        packages=("nbclient", "ipykernel", "nbconvert"),
    )


def _make(path: Path) -> Path:
    cells = [new_markdown_cell("# A report"), *(new_code_cell(source) for source in _CELLS)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def _plain(path: Path) -> float:
    began = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()
    nbformat.write(notebook, path.with_suffix(".plain.ipynb"))
    return time.perf_counter() - began


def _job(job: kk.Task[..., Any]) -> float:
    began = time.perf_counter()
    run = job.trigger()
    assert run.result(120).ok, run.error
    took = time.perf_counter() - began
    assert {file.suffix for file in (each.path for each in run.artifacts)} == {".ipynb", ".html"}
    return took


if __name__ == "__main__":
    sys.exit(figures.main(measure))
