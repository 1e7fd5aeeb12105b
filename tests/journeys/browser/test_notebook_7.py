"""The views in Notebook 7, which draws them with JupyterLab's parts but is another page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab, sideways

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000
ITS_OWN = "uncaught: Cannot read properties of undefined (reading 'schema')"
"""What Notebook 7.6 throws as it opens any notebook, also one without a cell of ours."""

DEFINE = """\
%load_ext kernelkit
import asyncio
from pathlib import Path
import kernelkit as kk

@kk.task
async def part(n: int) -> int:
    while not Path("go").exists():
        await asyncio.sleep(0.05)
    return n

@kk.task
async def whole(parts: int) -> int:
    results = await part.batch_trigger_and_wait([{"n": n} for n in range(parts)])
    return sum(result.unwrap() for result in results)"""
CELLS = [DEFINE, "run = whole.trigger(parts=3)\nrun", "run.tree()", "run.timeline(tree=True)", "%runs", "whole"]


def test_card_tree_timeline_table_and_form_live_and_end(tmp_path: Path, chromium: str) -> None:
    with running_lab(tmp_path, app="notebook") as server, open_notebook(server, chromium, CELLS) as notebook:
        notebook.run_all()
        views = notebook.page.locator(".jp-OutputArea .kk")
        expect(views).to_have_count(5, timeout=SOON)
        expect(notebook.output(1).locator(".status")).to_have_text("Waiting", timeout=SOON)
        expect(notebook.output(2).locator(".totals")).to_contain_text("4 runs", timeout=SOON)
        assert sideways(notebook) == []
        picture(notebook, "notebook-7")

        (server.root / "go").touch()
        ended = notebook.output(1)
        expect(ended.locator("table")).to_contain_text("whole: Completed", timeout=SOON)
        for output in (ended, notebook.output(2), notebook.output(3)):
            expect(output.locator("table").first).to_contain_text("Completed", timeout=SOON)
            expect(output.locator(".kk")).to_have_count(0)

        form = notebook.output(5).locator(".kk")
        form.get_by_label("parts").fill("2")
        form.get_by_role("button", name="Trigger").click()
        expect(form).to_contain_text("Completed", timeout=SOON)
        assert [problem for problem in notebook.problems if problem != ITS_OWN] == []
