"""The log viewer as a person meets it: real JupyterLab, real browser, real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
%%task crawl(pages: int)
import logging
import time
from pathlib import Path

for page in range(pages):
    kk.logger.info(f"page {page}", links=page * 3)
    if page % 100 == 99:
        logging.warning("page %d is slow <b>", page)
while not Path("more").exists():
    time.sleep(0.05)
print("one more")
while not Path("go").exists():
    time.sleep(0.05)
raise kk.AbortTaskRunError("no more pages")
"""
TRIGGER = "run = crawl.trigger(pages=500)"
WAIT = """\
import time
while len(run.logs()) < 505:
    time.sleep(0.05)
run.logs()"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_log_is_followed_searched_and_downloaded(theme: str, tmp_path: Path, chromium: str) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, TRIGGER, WAIT]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        live = notebook.output(3).locator(".kk")
        lines = live.locator(".lines > div")
        expect(lines.last).to_contain_text("page 499 is slow <b>", timeout=SOON)
        live.locator(".foot").scroll_into_view_if_needed()
        expect(lines.last).to_be_in_viewport()
        expect(live.locator(".title")).to_contain_text("Executing")
        picture(notebook, f"logs-{theme}")
        assert accessible(notebook) == []
        (lab.root / "more").touch()
        expect(lines.last).to_contain_text("one more", timeout=SOON)
        expect(lines.last).to_be_in_viewport()

        live.get_by_role("button", name="Show earlier lines").click()
        expect(live.locator(".foot")).to_contain_text("401 lines, and earlier ones", timeout=SOON)
        live.get_by_role("button", name="warn").click()
        expect(lines).to_have_count(5, timeout=SOON)
        live.get_by_role("button", name="warn").click()
        live.get_by_role("searchbox", name="Search lines").fill("PAGE 17")
        expect(lines).to_have_count(11, timeout=SOON)
        live.get_by_role("searchbox", name="Search lines").fill("nothing")
        expect(live).to_contain_text("No line contains “nothing”.", timeout=SOON)
        live.get_by_role("searchbox", name="Search lines").fill("")
        expect(lines).to_have_count(200, timeout=SOON)

        (lab.root / "go").touch()
        expect(live.locator(".title")).to_contain_text("Failed", timeout=SOON)
        with notebook.page.expect_download() as waiting:
            live.get_by_role("button", name="Download the whole log").click()
        written = Path(waiting.value.path()).read_text().splitlines()
        assert waiting.value.suggested_filename.endswith(".log")
        assert len(written) >= 506
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z info   page 0.*", written[0])
        notebook.page.locator(".jp-Notebook .jp-CodeCell").first.locator(".cm-content").click()
        saved = notebook.save()
        assert "text/html" in saved["cells"][3]["outputs"][0]["data"]
        assert notebook.problems == []
