"""A batch as a person meets it: real JupyterLab, real browser, real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
@kk.task(queue=kk.Queue("embeddings", concurrency_limit=8), retry=None)
async def embed_document(n: int) -> int:
    import asyncio
    from pathlib import Path

    if n in (11, 63, 118):
        raise kk.AbortTaskRunError(f"document {n} is empty")
    while n >= 150 and not Path("go").exists():
        await asyncio.sleep(0.05)
    return n

batch = embed_document.batch_trigger([{"n": n} for n in range(220)])"""


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1100),
        pytest.param("dark", 1100, marks=pytest.mark.slow),
        pytest.param("light", 1600, marks=pytest.mark.slow),
    ],
)
def test_a_batch_is_a_grid_of_its_items_until_it_has_ended(
    theme: str, width: int, tmp_path: Path, chromium: str
) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "batch"]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells, width=width) as notebook:
        notebook.run_all()
        page = notebook.page
        live = notebook.output(2).locator(".kk").first
        expect(live.locator("[role=gridcell]")).to_have_count(220, timeout=SOON)
        expect(live.locator("[role=gridcell][data-s=EXECUTING]")).to_have_count(8, timeout=SOON)
        expect(live.locator(".ended")).to_contain_text("150 of 220 ended", timeout=SOON)
        expect(live.locator(".counts")).to_contain_text(
            re.compile("8Executing.*0Retrying.*62Queued.*147Completed.*3Failed")
        )
        expect(live.locator(".sel-line").first).to_contain_text("#11 · AbortTaskRunError: document 11 is empty")
        picture(notebook, f"batch-{theme}-{width}")
        assert accessible(notebook) == []

        live.get_by_role("grid").focus()
        page.keyboard.press("f")
        page.keyboard.press("f")
        expect(live.locator(".sel-line").first).to_contain_text("#63 ·", timeout=SOON)
        page.keyboard.press("ArrowDown")
        expect(live.locator(".sel-line").first).to_contain_text("#113 ·", timeout=SOON)
        expect(live.locator(".sel-line").first).to_contain_text("completed in")
        page.keyboard.press("Enter")
        card = notebook.output(2).get_by_role("group", name="Run of embed-document: Completed")
        expect(card.get_by_role("button", name="Replay")).to_be_visible(timeout=SOON)
        live.get_by_role("button", name="Failed").click()
        expect(live.locator("[role=gridcell]:not(.off)")).to_have_count(3)
        assert page.locator(".jp-Notebook .jp-CodeCell").count() == 3, "JupyterLab heard none of the keys"

        (lab.root / "go").touch()
        ended = notebook.output(2).locator("table").first
        expect(ended).to_contain_text("document 118 is empty", timeout=SOON)
        expect(live.get_by_role("grid")).to_have_count(0)
        expect(notebook.output(2)).to_contain_text("217 completed")
        page.locator(".jp-Notebook .jp-CodeCell").first.locator(".cm-content").click()
        saved = notebook.save()
        assert set(saved["cells"][2]["outputs"][0]["data"]) == {"text/html", "text/plain"}
        assert notebook.problems == []


def test_the_rest_of_a_batch_is_canceled_by_a_click(tmp_path: Path, chromium: str) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "batch"]
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        live = notebook.output(2).locator(".kk")
        expect(live.locator(".ended")).to_contain_text("150 of 220 ended", timeout=SOON)
        live.get_by_role("button", name="Cancel 70").click()
        expect(notebook.output(2)).to_contain_text("70 canceled", timeout=SOON)
        assert notebook.problems == []
