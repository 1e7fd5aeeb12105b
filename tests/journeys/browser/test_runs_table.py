"""The runs table as a person meets it: real JupyterLab, real browser, real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
@kk.task(queue=kk.Queue("images", concurrency_limit=2), retry=None)
async def resize_image(n: int) -> int:
    import asyncio
    from pathlib import Path

    if n % 9 == 8:
        raise kk.AbortTaskRunError(f"image {n} is empty")
    while n >= 60 and not Path("go").exists():
        await asyncio.sleep(0.05)
    return n
runs = [resize_image.options(tags=[f"user_{n % 5}"]).trigger(n=n) for n in range(70)]"""
MORE = "later = [resize_image.options(tags=['late']).trigger(n=n) for n in range(4)]"


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1100),
        pytest.param("dark", 1100, marks=pytest.mark.slow),
        pytest.param("light", 1600, marks=pytest.mark.slow),
    ],
)
def test_runs_are_watched_found_and_canceled(theme: str, width: int, tmp_path: Path, chromium: str) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "%runs", MORE]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells, width=width) as notebook:
        page = notebook.page
        for number in range(3):
            notebook.run_cell(number)
        live = notebook.output(2).locator(".kk")
        rows = live.locator("tbody tr")
        expect(rows).to_have_count(25, timeout=SOON)
        expect(live.locator(".chip[data-s=EXECUTING] b")).to_have_text("2", timeout=SOON)
        expect(live.locator(".chip[data-s=COMPLETED] b")).to_have_text("54", timeout=SOON)
        expect(live.locator(".chip[data-s=FAILED] b")).to_have_text("6", timeout=SOON)
        expect(live.locator(".spark")).to_contain_text("Last 40 ended")
        expect(live.locator(".pager")).to_contain_text("1 – 25 of 70")
        ticking = rows.filter(has_text="Executing").first.locator(".clock")
        before = ticking.inner_text()
        expect(ticking).not_to_have_text(before, timeout=5000)
        picture(notebook, f"runs-table-{theme}-{width}")
        assert accessible(notebook) == []

        live.get_by_role("button", name="Older page").click()
        expect(live.locator(".pager")).to_contain_text("26 – 50 of 70")
        live.get_by_role("button", name="Newer page").click()
        expect(live.locator(".pager")).to_contain_text("1 – 25 of 70")

        rows.first.focus()  # from here on by keyboard, and new rows are held
        page.keyboard.press("Space")
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Shift+End")
        expect(live.locator(".bulk")).to_contain_text("25 selected")
        expect(live.locator(".title")).to_contain_text("new rows held while rows are selected")
        notebook.run_cell(3)
        expect(live.get_by_role("button", name="4 new runs")).to_be_visible(timeout=SOON)
        expect(live.locator(".bulk")).to_contain_text("Select all 74 that match")
        live.get_by_role("button", name="Cancel 10").click()
        expect(live.locator(".bulk")).to_contain_text("Cancel 10 runs, and what they triggered? 15 of 25 ended before.")
        picture(notebook, f"runs-table-selected-{theme}-{width}")
        assert accessible(notebook) == []
        live.get_by_role("button", name="Cancel 10").click()
        expect(live.locator(".action")).to_contain_text("Canceled", timeout=SOON)
        expect(live.locator(".action")).to_contain_text("10 / 10")
        expect(live.get_by_role("button", name="More")).to_be_visible()
        page.mouse.move(2, 2)
        live.get_by_role("button", name="Close").click()

        live.get_by_role("searchbox", name="Search runs").fill("late")
        expect(rows).to_have_count(4, timeout=SOON)
        live.get_by_role("searchbox", name="Search runs").fill("nobody's")
        expect(live).to_contain_text("No run contains “nobody's”.", timeout=SOON)
        live.get_by_role("button", name="Clear filters").click()
        expect(rows).to_have_count(25, timeout=SOON)

        rows.first.focus()
        page.keyboard.press("Enter")
        card = notebook.output(2).get_by_role("group", name=re.compile("^Run of resize-image: (Completed|Failed)"))
        expect(card.get_by_role("button", name="Replay")).to_be_visible(timeout=SOON)
        assert page.locator(".jp-Notebook .jp-CodeCell").count() == 4, "JupyterLab heard none of the keys"
        page.locator(".jp-Notebook .jp-CodeCell").first.locator(
            ".cm-content"
        ).click()  # inside the grid no key is Lab's
        saved = notebook.save()
        assert all("text/html" in output["data"] for output in saved["cells"][2]["outputs"])
        assert notebook.problems == []


def test_every_run_that_matches_is_replayed_by_the_engine(tmp_path: Path, chromium: str) -> None:
    cells = [
        "%load_ext kernelkit\nimport kernelkit as kk",
        DEFINE.replace("60", "99"),
        "kk.runs.list(tag='user_1', limit=5)",
    ]
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        live = notebook.output(2).locator(".kk")
        expect(live.locator("tbody tr")).to_have_count(5, timeout=SOON)
        expect(live.locator(".title")).to_contain_text("14 match · tag user_1")
        expect(live.locator(".chip[data-s=COMPLETED] b")).to_have_text("13", timeout=SOON)
        live.get_by_role("checkbox", name="Select all on this page").click()
        live.get_by_role("button", name="Select all 14 that match").click()
        live.get_by_role("button", name="Replay 14").click()
        live.get_by_role("button", name="Replay 14").click()
        expect(live.locator(".action")).to_contain_text("Replayed", timeout=SOON)
        expect(live.locator(".action")).to_contain_text("14 / 14", timeout=SOON)
        notebook.page.mouse.move(2, 2)
        expect(live.locator(".title")).to_contain_text("28 match", timeout=SOON)

        lab.command("down", "--now")
        expect(live.locator(".strip")).to_contain_text("No word from the engine", timeout=SOON)
        expect(live.get_by_role("button", name="Older page")).to_be_disabled()
        lab.command("up")
        expect(live.locator(".strip")).to_be_hidden(timeout=SOON)
        live.get_by_role("button", name="Older page").click()
        expect(live.locator(".pager")).to_contain_text("6 – 10 of 28", timeout=SOON)
        assert notebook.problems == []
