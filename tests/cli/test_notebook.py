"""A notebook run from the terminal: a real engine, worker and kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import KernelKit
from tests.execution.notebooks.making import make_notebook

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return make_notebook(
        tmp_path / "daily.ipynb", ("region = 'EU'\ndays = 7", "parameters"), "print(region, days)", "1 / (days - 1)"
    )


def test_a_notebook_runs_with_values_and_its_files_are_copied(kernelkit: KernelKit, report: Path) -> None:
    out = report.parent / "out"

    said = kernelkit("notebook", "run", str(report), "-p", "region=5", "-p", "days=3", "--output", str(out))

    assert "notebook/daily  Completed" in said
    assert {each.name for each in out.iterdir()} == {"daily.ipynb", "daily.html"}
    cells = json.loads((out / "daily.ipynb").read_text())["cells"]
    assert cells[1]["source"] == "# Parameters\nregion = '5'\ndays = 3\n", "a text stays a text"


def test_one_that_fails_says_where_and_exits_with_1(kernelkit: KernelKit, report: Path) -> None:
    said = kernelkit("notebook", "run", str(report), "-p", "days=1", "--json", wanted=1)

    run = json.loads(said)
    assert (run["status"], run["error"]["name"]) == ("FAILED", "NotebookCellError")
    assert "Cell [4] of daily.ipynb (1 / (days - 1))" in run["error"]["message"]
    assert Path(run["artifacts"]["daily.html"]).is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-p", "regon=US"), "did you mean 'region'"),
        (("-p", "days=many"), "days: Input should be a valid integer"),
        (("-p", "days"), "-p 'days' is not NAME=VALUE"),
        (("--kernel", "nothing"), "the kernel 'nothing', which is not installed"),
        (("--max-duration", "soon"), "max_duration='soon' is not a duration"),
    ],
)
def test_what_cannot_be_run_is_refused(kernelkit: KernelKit, report: Path, words: tuple[str, ...], told: str) -> None:
    assert told in kernelkit("notebook", "run", str(report), *words, wanted=1)


def test_a_run_that_is_not_waited_for(kernelkit: KernelKit, report: Path) -> None:
    run_id = kernelkit("notebook", "run", str(report), "--no-wait").strip()

    assert json.loads(kernelkit("runs", run_id, "--json"))["task_id"] == "notebook/daily"
    kernelkit("notebook", "run", str(report), "--no-wait", "--output", "x", wanted=2)
