"""The tutorial on notebook jobs, executed as it stands, and its report twice under virtual time."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kernelkit as kk
from kernelkit.testing import engine
from tests.journeys.tutorial import NOTEBOOKS, Tutorial, executed

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder: Path = tmp_path_factory.mktemp("report")
    shutil.copytree(NOTEBOOKS / "reports", folder / "reports")
    with executed("scheduled_report.ipynb", folder, os.environ) as done:
        yield done


def test_the_report_has_fields_and_runs_with_them(tutorial: Tutorial) -> None:
    assert "limit: float = 2.5" in tutorial.output('report = kk.notebook("reports')
    assert "'cells': 6" in tutorial.output("run = report.trigger")
    assert tutorial.output("for artifact in run.artifacts") == "wine.html True\nwine.ipynb True\n"
    assert tutorial.output("import json").strip() == "# Parameters\ncultivar = 'class_1'\nlimit = 3.0"


def test_wrong_values_and_failing_cells_are_told_in_words(tutorial: Tutorial) -> None:
    said = tutorial.output("try:")
    assert "did you mean 'limit'" in said and "cultivar: Input should be 'class_0', 'class_1' or 'class_2'" in said
    assert tutorial.output("run = report.options").splitlines() == [
        "Cell [4] of wine.ipynb (import matplotlib.pyplot as plt) raised ValueError: 'price' is not in list",
        "<cell [4] of wine.ipynb> line 8",
        "True",
    ]


def test_a_report_for_each_cultivar(tutorial: Tutorial) -> None:
    assert tutorial.output("batch = report").strip() == "[True, True, True]"
    assert tutorial.output("[run.logs()").count("standard deviations away") == 3


def test_the_schedule_is_shown_previewed_and_tried(tutorial: Tutorial) -> None:
    shown = tutorial.output("report = kk.notebook(\n")
    assert "wine-report" in shown and "At 07:00" in shown and "1 schedule" in shown
    assert tutorial.output("from datetime import").splitlines() == [
        "At 07:00, Monday through Friday Europe/Rome",
        "Fri 26 March, 07:00 +0100",
        "Mon 29 March, 07:00 +0200",
        "Tue 30 March, 07:00 +0200",
    ]
    assert tutorial.output("run = schedule.run_now").split() == ["True", "True", "False"]


def test_the_report_twice_under_virtual_time(tmp_path: Path) -> None:
    pages = []
    with engine(now=datetime(2027, 1, 1, 12, tzinfo=UTC), home=tmp_path) as eng:  # a Friday
        report = kk.notebook(
            NOTEBOOKS / "reports" / "wine.ipynb", id="wine-report", cron="0 7 * * 1-5", timezone="Europe/Rome"
        )
        report.register()
        eng.advance(days=4)
        (schedule,) = kk.schedules.list(task=report)
        runs = kk.runs.list(schedule=schedule).runs
        assert schedule.fired == len(runs) == 2
        for known in reversed(runs):
            run = kk.runs.retrieve(known.id)
            assert run.status == "COMPLETED", run.error
            pages.append(kk.runs.artifacts(run.id)["wine.html"].read_text())

    assert "Monday, 04 January 2027, 06:00 UTC" in pages[0] and "Tuesday, 05 January 2027, 06:00 UTC" in pages[1]
    for page in pages:
        assert "data:image/png;base64," in page and page.count("<tr>") > 10
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", page), "it needs no network"
