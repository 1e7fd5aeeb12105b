"""Card, tree and timeline in whatever width a person gives them: from a side panel's 320 px to a screen's 1,200."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab, sideways

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000
WIDTHS = (320, 400, 480, 560, 640, 700, 900, 1200)

LONG = "the_name_of_a_task_that_somebody_made_as_long_as_sixty_letters"

DEFINE = f"""\
import asyncio

@kk.task
async def one_of_many(n: int) -> None:
    if n == 7:
        raise kk.AbortTaskRunError("W" * 400)

@kk.task(queue="a-queue-with-a-name-that-is-longer-than-anybody-would-like-to-read", tags=["tag-" + "t" * 60] * 1)
async def {LONG}() -> None:
    kk.metadata.set("a-key-of-many-letters-" * 3, "a value without any blank " * 20)
    kk.logger.info("x" * 1000)
    one_of_many.batch_trigger([{{"n": n}} for n in range(12)])
    for step in kk.track(range(1_000_000), description="A description that does not fit " * 3):
        await kk.wait.for_token("never-" + "n" * 80)
"""
CELLS = [
    "%load_ext kernelkit\nimport kernelkit as kk",
    DEFINE,
    f"run = {LONG}.trigger()\nrun",
    "run.tree()",
    "run.timeline(tree=True)",
    "run.timeline()",
]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_scrolls_sideways_from_320_to_1200_pixels(theme: str, tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, CELLS, name="widths", width=1700, height=1200) as notebook,
    ):
        notebook.run_all()
        views = notebook.page.locator(".kk")
        expect(views).to_have_count(4, timeout=SOON)
        expect(notebook.output(2).locator(".status")).to_have_text("Waiting", timeout=SOON)
        expect(notebook.output(3).locator(".totals")).to_contain_text("1 failed", timeout=SOON)
        expect(notebook.output(4).get_by_role("row")).to_have_count(3, timeout=SOON)
        notebook.output(3).get_by_role("treeitem").nth(1).locator(".twist").click()
        expect(notebook.output(3).get_by_role("treeitem")).to_have_count(4, timeout=SOON)

        found: dict[int, list[str]] = {}
        for width in WIDTHS:
            notebook.page.add_style_tag(content=f".kk {{ width: {width}px !important; }}")
            notebook.page.wait_for_timeout(100)  # observers of sizes come after the layout
            widths = [box["width"] for view in views.all() if (box := view.bounding_box())]
            assert widths == [width] * 4
            if wide := sideways(notebook):
                found[width] = wide
            for number, name in enumerate(("card", "tree", "timeline-tree", "timeline")):
                picture(notebook, f"width-{width}-{name}-{theme}", views.nth(number))
        assert found == {}
        assert accessible(notebook) == []
        assert notebook.problems == []
