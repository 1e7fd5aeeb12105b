"""The task card as a person meets it: fill the form in, be told what will not do, trigger, see it complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
from datetime import datetime
from typing import Annotated, Literal
from pydantic import BaseModel, Field, field_validator

class Crop(BaseModel):
    left: int = 0
    top: int
    gravity: Literal["center", "face"] = "face"

    @field_validator("top")
    @classmethod
    def even(cls, top: int) -> int:
        if top % 2:
            raise ValueError("must be even")
        return top

@kk.task(queue=kk.Queue("images", concurrency_limit=4), retries=5)
async def resize_image(
    url: Annotated[str, Field(description="Where to read the image from", pattern="^https?://")],
    width: Annotated[int, Field(ge=16, le=4096)] = 512,
    format: Literal["jpeg", "png", "webp", "avif"] = "webp",
    quality: Annotated[int | None, Field(ge=1, le=100, description="none lets the format decide")] = None,
    crop: Crop | None = None,
    labels: Annotated[list[str], Field(max_length=10)] = ["thumb", "2026"],
    expires: datetime | None = None,
) -> dict:
    print(url, width, format, crop, labels)
    return {"width": width, "top": crop.top if crop else None, "labels": labels}"""
BUSY = """\
import pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.05)
resize_image.trigger(url="https://b").result(timeout=30)
kk.runs.list(task="resize-image", tag="by-hand")[0].output"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_form_is_filled_in_refused_at_its_fields_and_triggers(theme: str, tmp_path: Path, chromium: str) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "resize_image", BUSY]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells, name="thumbs") as notebook:
        page = notebook.page
        notebook.run_all()  # the last cell keeps the kernel busy meanwhile
        card = notebook.output(2).get_by_role("group", name="Task resize-image")
        expect(card).to_contain_text("queue images (4 at once)", timeout=SOON)
        expect(card).to_contain_text("No runs so far.")
        url, width = card.get_by_label("url"), card.get_by_label("width")

        url.fill("img.example/4711")
        width.fill("9000")
        url.focus()  # leaves the other
        expect(card.get_by_role("alert").filter(has_text="Must be at most 4,096")).to_be_visible()
        card.get_by_role("button", name="Trigger").click()
        expect(card).to_contain_text("2 fields need a change")
        expect(url).to_be_focused()
        expect(url).to_have_attribute("aria-invalid", "true")
        picture(notebook, f"task-card-errors-{theme}")

        url.fill("https://img.example/4711.jpg")
        width.fill("256")
        card.get_by_role("radio", name="png").check(force=True)
        card.get_by_label("set").check()
        card.get_by_label("top").fill("41")
        card.get_by_label("labels").fill("by hand")
        card.get_by_label("labels").press("Enter")
        card.get_by_role("button", name="Options").click()
        card.get_by_label("tags").fill("by-hand")
        url.press("Control+Enter")
        expect(card.get_by_role("alert").filter(has_text="must be even")).to_be_visible(timeout=SOON)
        expect(card.get_by_label("top")).to_be_focused()

        card.get_by_label("top").fill("40")
        card.get_by_label("delay").fill("soon")
        card.get_by_role("button", name="Trigger").click()
        expect(card.get_by_role("alert").filter(has_text="'soon' is not a duration")).to_be_visible(timeout=SOON)
        expect(card).to_contain_text("No runs so far.")
        card.get_by_label("delay").fill("")
        card.get_by_role("button", name="Copy as code").click()
        expect(card.locator("form > pre")).to_have_text(
            'resize_image.options(tags=["by-hand"]).trigger(url="https://img.example/4711.jpg", width=256, '
            'format="png", crop={"top": 40}, labels=["thumb", "2026", "by hand"])'
        )
        card.get_by_role("button", name="Trigger").click()
        expect(card).to_contain_text(re.compile("Triggered run_"), timeout=SOON)
        expect(card.get_by_role("row").first).to_contain_text("Completed", timeout=SOON)
        card.get_by_role("button", name=re.compile("^Completed: show the card of run_")).click()
        expect(notebook.output(2).get_by_role("group", name="Run of resize-image: Completed")).to_be_visible(
            timeout=SOON
        )
        card.get_by_role("button", name=re.compile("^More")).click()
        card.get_by_role("menuitemcheckbox", name="Source").click()
        expect(card.locator(".more pre")).to_contain_text("def resize_image", timeout=SOON)
        picture(notebook, f"task-card-more-{theme}", card)
        card.get_by_role("menuitemcheckbox", name="Versions").click()
        expect(card.locator(".more pre")).to_contain_text("runs triggered now", timeout=SOON)
        page.keyboard.press("Escape")
        expect(card.locator(".more pre")).to_have_count(0)
        picture(notebook, f"task-card-{theme}")
        assert page.locator(".jp-Notebook").count() == 1, "JupyterLab heard none of the keys"

        (lab.root / "go").touch()
        expect(notebook.output(3)).to_contain_text("'width': 256, 'top': 40", timeout=SOON)
        expect(notebook.output(3)).to_contain_text("by hand")
        expect(card.get_by_role("row")).to_have_count(2, timeout=SOON)
        expect(url).to_have_value("https://img.example/4711.jpg")
        page.locator(".jp-InputPrompt").first.click()  # keys go to the notebook again
        saved = notebook.save()["cells"][2]["outputs"][0]["data"]
        assert "Where to read the image from" in "".join(saved["text/html"])
        assert notebook.problems == []
