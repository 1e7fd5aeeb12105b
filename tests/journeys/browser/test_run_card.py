"""The run card as a person meets it: real JupyterLab, real browser, real engine.

With `SCREENSHOTS=FOLDER` in the environment pictures are taken on the way; those of the docs: `test_pictures.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.journeys.browser.lab import Notebook, accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
%%task embed_documents(corpus: str, model: str = "bge-small") --tags handbook
import time
from pathlib import Path
kk.metadata.set("model", model).set("tokens", 0)
for batch in kk.track(range(40), description="Embedding"):
    kk.metadata.increment("tokens", 8_192)
    kk.logger.info(f"embedded batch {batch} (32 documents)")
    while batch == 12 and not Path("go").exists():
        time.sleep(0.05)
    time.sleep(0.04)
print("checkpoint written to", corpus)
return {"documents": 1280, "vectors": 1277, "skipped": ["ch07.md", "ch19.md", "toc.md"]}
"""
TRIGGER = """\
run = embed_documents.trigger(corpus="handbook")
run"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_card_moves_with_its_run_and_gives_way_to_a_table_that_lasts(
    theme: str, tmp_path: Path, chromium: str
) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, ["%load_ext kernelkit", DEFINE, TRIGGER], name="handbook") as notebook,
    ):
        notebook.run_all()
        live = notebook.output(2).locator(".kk").first
        expect(live.locator(".status")).to_have_text("Executing", timeout=SOON)
        expect(live.locator(".prog .num").first).to_have_text(re.compile("1[012] / 40"), timeout=SOON)
        expect(live.locator(".log > div").last).to_contain_text("embedded batch 12", timeout=SOON)
        expect(live.get_by_role("button", name="Cancel run of embed-documents")).to_be_enabled()
        expect(notebook.page.get_by_role("group", name="Run of embed-documents: Executing")).to_be_visible()
        before = live.locator(".clock").inner_text()
        expect(live.locator(".clock")).not_to_have_text(before, timeout=5000)  # it ticks while nothing is sent
        picture(notebook, f"run-card-{theme}")
        _look_behind_more(notebook, live, theme)
        assert accessible(notebook) == []

        (lab.root / "go").touch()
        ended = notebook.output(2).locator("table").first
        expect(ended).to_contain_text("embed-documents: Completed in", timeout=SOON)
        expect(live).to_have_count(1)  # the log viewer that was opened
        expect(ended).to_contain_text("Embedding 40 of 40")
        picture(notebook, f"run-card-ended-{theme}")

        saved = notebook.save()
        assert set(saved["cells"][2]["outputs"][0]["data"]) == {"text/html", "text/plain"}
        notebook.reload()
        expect(notebook.output(2).locator("table").first).to_contain_text("Completed in")
        assert notebook.problems == []


def _look_behind_more(notebook: Notebook, live: Locator, theme: str) -> None:
    """Each entry, by keyboard first and by mouse then; JupyterLab takes none of the keys for its own."""
    page = notebook.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    more = live.get_by_role("button", name="More: copy id, timeline, payload, all logs")
    more.focus()
    page.keyboard.press("Enter")
    expect(live.get_by_role("menuitem", name="Copy id")).to_be_focused()
    page.keyboard.press("Enter")
    expect(live.locator(".why")).to_have_text(re.compile(r"^Copied run_\w+\.$"))
    assert page.evaluate("navigator.clipboard.readText()") == live.locator(".id").inner_text()
    expect(more).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(live.get_by_role("menuitemcheckbox", name="Payload")).to_be_focused()
    page.keyboard.press("Space")
    expect(live.locator(".pane pre")).to_have_text('{"corpus": "handbook"}', timeout=SOON)
    picture(notebook, f"run-card-more-{theme}", live)
    assert accessible(notebook) == []
    page.keyboard.press("Escape")
    expect(live.locator(".pane")).to_be_hidden()
    expect(more).to_be_focused()

    below = notebook.output(2).locator(".kk")
    more.click()
    live.get_by_role("menuitem", name="Timeline").click()
    expect(below.nth(1).locator(".plot")).to_be_visible(timeout=SOON)
    more.click()
    live.get_by_role("menuitem", name="All logs").click()
    expect(below.nth(2)).to_contain_text("embedded batch 12", timeout=SOON)
    more.click()
    live.get_by_role("menuitem", name="Timeline").click()
    expect(live.locator(".why")).to_have_text("The timeline stands below.", timeout=SOON)
    expect(below).to_have_count(3)
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 3, "JupyterLab heard none of the keys"


WAITING = """\
%%task wait_for_word()
import time
print("waiting for the word")
while True:
    time.sleep(0.05)
"""
FLAKY = """\
@kk.task(retry=kk.Retry(max_attempts=2, min_timeout="1h", max_timeout="1h"))
async def call_service() -> str:
    if kk.ctx.attempt.number == 1:
        raise ConnectionError("the service is down")
    return "it is back"

call_service.trigger()"""
LATER = """\
call_service.options(delay="1h", max_attempts=1).trigger()"""
BUSY = """\
import time, pathlib
while not pathlib.Path("enough").exists():
    time.sleep(0.05)
print("the cell has ended")"""


def test_clicks_are_heard_while_a_cell_keeps_the_kernel_busy(tmp_path: Path, chromium: str) -> None:
    cells = ["%load_ext kernelkit", WAITING, "run = wait_for_word.trigger()\nrun", FLAKY, LATER, BUSY]
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        live = notebook.output(2).locator(".kk")
        expect(live.locator(".log > div").first).to_contain_text("waiting for the word", timeout=SOON)
        live.get_by_role("button", name="Cancel run of wait-for-word").click()
        expect(notebook.output(2).locator("table")).to_contain_text("wait-for-word: Canceled", timeout=SOON)
        flaky = notebook.output(3).locator(".kk")
        expect(flaky.locator(".status")).to_have_text("Retrying", timeout=SOON)
        expect(flaky.locator(".why")).to_contain_text("the service is down")
        picture(notebook, "run-card-retrying", flaky)
        flaky.get_by_role("button", name="Retry now").click()
        expect(notebook.output(3).locator("table")).to_contain_text("it is back", timeout=SOON)
        notebook.output(4).locator(".kk").get_by_role("button", name="Start now").click()
        expect(notebook.output(4).locator("table")).to_contain_text("ConnectionError", timeout=SOON)
        expect(notebook.output(5)).not_to_contain_text("the cell has ended")
        (lab.root / "enough").touch()
        expect(notebook.output(5)).to_contain_text("the cell has ended", timeout=SOON)
        assert notebook.problems == []


def test_a_card_says_since_when_the_engine_is_gone_and_goes_on_when_it_is_back(tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path) as lab,
        open_notebook(lab, chromium, ["%load_ext kernelkit", DEFINE, TRIGGER]) as notebook,
    ):
        notebook.run_all()
        live = notebook.output(2).locator(".kk")
        expect(live.locator(".log > div").last).to_contain_text("embedded batch 12", timeout=SOON)
        lab.command("down", "--now")
        expect(live.locator(".strip")).to_contain_text(re.compile("No word from the engine for 0:0"), timeout=SOON)
        expect(live.locator(".status")).to_have_text("Executing, last known")
        expect(live.get_by_role("button", name="Cancel run of embed-documents")).to_be_disabled()
        lab.command("up")
        expect(live.locator(".status")).to_have_text("Executing", timeout=SOON)
        expect(live.locator(".strip")).to_be_hidden()
        (lab.root / "go").touch()
        expect(notebook.output(2).locator("table")).to_contain_text("Completed in", timeout=60_000)
