"""A notebook job's card while its cells go by: real JupyterLab, real browser, real engine, real kernels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SOON = 60_000

LOAD = "%load_ext kernelkit\nimport kernelkit as kk"
TRIGGER = """\
report = kk.notebook("daily.ipynb", id="daily-report", retries=1)
run = report.trigger(region="US", days=30)
run"""
WAIT = "import time\nfrom pathlib import Path\nwhile not Path('{0}').exists(): time.sleep(0.02)\nprint('{0} has come')"


def write_report(folder: Path) -> None:
    cells = [
        new_markdown_cell("# Daily report"),
        new_code_cell("region: str = 'EU'\ndays = 7", metadata={"tags": ["parameters"]}),
        new_code_cell("frame = {'month': days}\nprint(f'{days} days of {region}')"),
        new_code_cell("# 3.2 Sales by region\n" + WAIT.format("first")),
        *(new_code_cell(f"step = {number}") for number in range(12)),
        new_code_cell(WAIT.format("second")),
        new_code_cell("frame['week']"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "daily.ipynb")


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1200),
        pytest.param("dark", 1200, marks=pytest.mark.slow),
        pytest.param("light", 700, marks=pytest.mark.slow),
        pytest.param("dark", 700, marks=pytest.mark.slow),
    ],
)
def test_a_job_is_watched_cell_by_cell_to_the_one_that_fails(
    theme: str, width: int, tmp_path: Path, chromium: str
) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, [LOAD, TRIGGER], name="morning", width=width) as notebook,
    ):
        write_report(lab.root)
        notebook.run_all()
        live = notebook.output(1).locator(".kk")
        part = live.locator(".job")
        expect(part).to_contain_text("3 of 18 cells", timeout=SOON)
        expect(part).to_contain_text(re.compile("executing cell 4 for 0"))
        expect(part.locator(".src")).to_contain_text("# 3.2 Sales by region")
        expect(part).to_contain_text("30 days of US")
        expect(part.locator(".kv")).to_have_text(re.compile("region.*US.*days.*30"))
        expect(live.locator(".head")).to_contain_text("daily.ipynb")
        bar = part.get_by_role("progressbar", name="Cells")
        expect(bar).to_have_attribute("aria-valuenow", "3")
        height = live.bounding_box()
        picture(notebook, f"notebook-job-{theme}-{width}")
        assert accessible(notebook) == []

        with notebook.page.expect_download() as waiting:
            live.get_by_role("button", name="Download daily.ipynb").click()
        so_far = json.loads(Path(waiting.value.path()).read_text())
        assert waiting.value.suggested_filename == "daily.ipynb"
        assert "30 days of US" in json.dumps(so_far["cells"][3]["outputs"])

        (lab.root / "first").touch()
        expect(bar).to_have_attribute("aria-valuenow", "16", timeout=SOON)
        expect(part).to_contain_text("first has come")
        expect(part.locator(".src")).to_contain_text("from pathlib import Path")
        now = live.bounding_box()
        assert height is not None and now is not None and height["height"] == now["height"], "a card keeps its height"

        (lab.root / "second").touch()
        ended = notebook.output(1).locator("table")
        expect(ended).to_contain_text("daily-report: Failed after", timeout=SOON)
        expect(ended).to_contain_text("Cell [18] of daily.ipynb (frame['week']) raised KeyError: 'week'")
        expect(ended).to_contain_text("17 of 18 cells ended, failed in cell 18")
        expect(ended).to_contain_text("daily.html")
        picture(notebook, f"notebook-job-failed-{theme}-{width}")
        assert notebook.problems == []
