"""Panels and the task card in whatever width a person gives them: from a side panel's 320 px to a screen's 1,200."""

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
from datetime import datetime
from typing import Annotated, Literal
from pydantic import BaseModel, Field

class Inner(BaseModel):
    a_field_with_a_name_that_is_long: int = 0
    top: int

images = kk.Queue("a-queue-with-a-name-that-is-longer-than-anybody-would-like-to-read", concurrency_limit=2)

@kk.task(queue=images, retries=5)
async def {LONG}(
    url: Annotated[str, Field(description="W" * 300, pattern="^https?://")],
    width: Annotated[int, Field(ge=16, le=4096)] = 512,
    format: Literal["a-choice-of-many-letters", "another-choice-of-many-letters", "webp"] = "webp",
    inner: Inner | None = None,
    labels: list[str] = ["l" * 100, "2026"],
    expires: datetime | None = None,
    more: dict[str, int] = {{"k" * 200: 1}},
) -> None:
    await asyncio.sleep(600)

@kk.task(cron="*/15 9-17 * * 1-5", timezone="America/Argentina/Buenos_Aires")
async def scheduled() -> None: ...

kk.schedules.create(task="scheduled", cron="0 0 29 2 *", deduplication_key="a", external_id="e" * 200)
for n in range(40):
    {LONG}.options(concurrency_key=f"customer-{{n % 3}}-" + "k" * 80).trigger(url="https://" + "u" * 300);"""
CELLS = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, LONG, "%queues", "%schedules", "%engine"]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_scrolls_sideways_from_320_to_1200_pixels(theme: str, tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, CELLS, name="panels", width=1700, height=1200) as notebook,
    ):
        notebook.run_all()
        views = notebook.page.locator(".kk")
        expect(views).to_have_count(4, timeout=SOON)
        expect(notebook.output(5)).to_contain_text("runs", timeout=SOON)
        card = notebook.output(2)
        expect(card.get_by_role("row")).to_have_count(3, timeout=SOON)
        card.get_by_label("set").check()
        card.get_by_label("url").fill("no-url-" + "x" * 300)
        card.get_by_role("button", name="Trigger").click()
        expect(card).to_contain_text("2 fields need a change")
        card.get_by_role("button", name="Options").click()
        notebook.output(3).get_by_role("button", name="3 keys of").click()
        notebook.output(3).get_by_role("button", name="Change the limit of a-queue").click()

        found: dict[int, list[str]] = {}
        for width in WIDTHS:
            notebook.page.add_style_tag(content=f".kk {{ width: {width}px !important; }}")
            notebook.page.wait_for_timeout(100)
            widths = [box["width"] for view in views.all() if (box := view.bounding_box())]
            assert widths == [width] * 4
            if wide := sideways(notebook):
                found[width] = wide
            for number, name in enumerate(("task", "queues", "schedules", "engine")):
                picture(notebook, f"width-{width}-{name}-{theme}", views.nth(number))
        assert found == {}
        assert accessible(notebook) == []
        assert notebook.problems == []
