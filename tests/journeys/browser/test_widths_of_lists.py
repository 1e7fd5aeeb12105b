"""Runs table, batch and log viewer in every width, with names as long as they may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab, sideways
from tests.journeys.browser.test_widths import LONG, SOON, WIDTHS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

DEFINE = f"""\
import asyncio
from pathlib import Path

@kk.task(queue="a-queue-with-a-name-that-is-longer-than-anybody-would-read", tags=["tag-" + "t" * 60], retry=None)
async def {LONG}(n: int) -> None:
    kk.logger.info("a line that does not fit " * 20)
    while n % 10 == 3 and not Path("go").exists():
        await asyncio.sleep(0.1)
    if n % 10 == 7:
        raise kk.AbortTaskRunError("W" * 400)

batch = {LONG}.batch_trigger([{{"n": n}} for n in range(130)])"""
CELLS = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "%runs", "batch", "batch.runs[3].logs()"]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_scrolls_sideways_from_320_to_1200_pixels(theme: str, tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, CELLS, name="widths", width=1700, height=1200) as notebook,
    ):
        notebook.run_all()
        views = notebook.page.locator(".kk")
        expect(views).to_have_count(3, timeout=SOON)
        expect(notebook.output(3).locator(".ended")).to_contain_text("117 of 130 ended", timeout=SOON)
        expect(notebook.output(2).locator(".chip[data-s=FAILED] b")).to_have_text("13", timeout=SOON)
        expect(notebook.output(4).locator(".lines > div")).to_have_count(1, timeout=SOON)
        rows = notebook.output(2).locator("tbody tr")
        for number in (0, 6):
            rows.nth(number).locator("input").click()
        notebook.output(2).get_by_role("button", name="More").click()

        found: dict[int, list[str]] = {}
        for width in WIDTHS:
            notebook.page.add_style_tag(content=f".kk {{ width: {width}px !important; }}")
            notebook.page.wait_for_timeout(100)
            if wide := sideways(notebook):
                found[width] = wide
            for number, name in enumerate(("runs", "batch", "logs")):
                picture(notebook, f"width-{width}-{name}-{theme}", views.nth(number))
        assert found == {}
        assert accessible(notebook) == []
        assert notebook.problems == []
