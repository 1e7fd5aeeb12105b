"""Queues, schedules and the engine as a person meets them: real JupyterLab, real browser, real engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

LOAD = "%load_ext kernelkit\nimport kernelkit as kk"
RESIZE = """\
@kk.task(queue=kk.Queue("images", concurrency_limit=2))
async def resize(n: int) -> int:
    import asyncio
    from pathlib import Path

    while not Path("go").exists():
        await asyncio.sleep(0.05)
    return n

@kk.task(queue=kk.Queue("crm", concurrency_limit=1))
async def sync_crm(n: int) -> None:
    await resize.function(n)"""
TRIGGER = """\
resize.batch_trigger([{"n": n} for n in range(4)])
for n in range(5):
    sync_crm.options(concurrency_key=f"customer_{n % 3}").trigger(n=n)
last = resize.trigger(n=9)
last"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_queue_is_paused_and_limited_by_click_and_its_runs_say_so(theme: str, tmp_path: Path, chromium: str) -> None:
    cells = [LOAD, RESIZE, TRIGGER, "%queues"]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        reason = notebook.output(2).locator(".kk .why")
        expect(reason).to_contain_text("2 of 2 in use", timeout=SOON)
        panel = notebook.output(3).locator(".kk")
        images = panel.get_by_role("row", name=re.compile("^images"))
        expect(images).to_contain_text("2 of 2", timeout=SOON)
        expect(images.get_by_role("cell").nth(3)).to_have_text("3")
        expect(images.get_by_role("cell").nth(4)).to_have_text(re.compile(r"00:\d\d"))
        expect(panel.locator(".title")).to_contain_text("2 queues, 5 slots in use, 5 queued")
        panel.get_by_role("button", name="3 keys of crm").click()
        expect(panel.get_by_role("row", name=re.compile("^customer_0"))).to_contain_text("1 of 1")

        pause = images.get_by_role("button", name="Pause images")
        pause.focus()
        notebook.page.keyboard.press("Enter")
        resume = images.get_by_role("button", name="Resume images")
        expect(resume).to_be_enabled(timeout=SOON)
        expect(resume).to_be_focused()
        expect(images).to_contain_text("paused")
        expect(reason).to_contain_text("queue images is paused", ignore_case=True, timeout=SOON)
        picture(notebook, f"queues-{theme}")
        notebook.output(2).get_by_role("button", name="Resume queue").click()  # where the card says why it waits
        expect(reason).to_contain_text("2 of 2 in use", timeout=SOON)
        expect(pause).to_be_enabled(timeout=SOON)

        images.get_by_role("button", name="Change the limit of images: 2 of 2").click()
        field = panel.get_by_role("spinbutton", name="Limit of images")
        field.fill("100000")
        field.press("Enter")
        expect(panel.get_by_role("alert")).to_contain_text("over that of the whole project", timeout=SOON)
        field.fill("3")
        field.press("Enter")
        expect(images).to_contain_text("3 of 3", timeout=SOON)
        expect(images).to_contain_text("limit set by hand")
        panel.get_by_role("button", name="Reset to 2 (as in code)").click()
        expect(images).not_to_contain_text("limit set by hand", timeout=SOON)

        saved = notebook.save()
        assert "application/vnd.jupyter.widget-view+json" in saved["cells"][3]["outputs"][0]["data"]
        assert "images" in "".join(saved["cells"][3]["outputs"][0]["data"]["text/plain"])
        (lab.root / "go").touch()
        expect(notebook.output(2).locator("table")).to_contain_text("Completed", timeout=SOON)
        assert notebook.problems == []


REPORT = """\
@kk.task(cron="0 7 * * *", timezone="Asia/Tokyo")
async def nightly_report() -> str:
    return "sent"

@kk.schedules.task()
async def reminder() -> None: ...

kk.schedules.create(task="reminder", cron="*/15 * * * *", deduplication_key="a", external_id="u1").deactivate();"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_schedule_is_switched_off_and_on_and_run_now(theme: str, tmp_path: Path, chromium: str) -> None:
    cells = [LOAD, REPORT, "%schedules", "kk.schedules.list(task='nightly-report')[0].active"]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        panel = notebook.output(2).get_by_role("group", name="Schedules")
        expect(notebook.output(3)).to_contain_text("True", timeout=SOON)
        row = panel.get_by_role("row", name=re.compile("nightly-report"))
        expect(row).to_contain_text("At 07:00, Asia/Tokyo")
        expect(row).to_contain_text("07:00 in Tokyo, in ")
        expect(row).to_contain_text("never yet")
        expect(panel).to_contain_text("1 active, 1 off")
        expect(panel.get_by_role("row", name=re.compile("reminder · u1"))).to_contain_text("would be")
        picture(notebook, f"schedules-{theme}")

        switch = row.get_by_role("switch", name="nightly-report active")
        expect(switch).to_be_checked()
        switch.focus()
        notebook.page.keyboard.press("Space")
        expect(switch).not_to_be_checked(timeout=SOON)
        expect(switch).to_be_focused()
        expect(row).to_contain_text("would be")
        expect(panel).to_contain_text("0 active, 2 off")
        switch.click()
        expect(switch).to_be_checked(timeout=SOON)
        row.get_by_role("button", name="Run nightly-report now").click()
        expect(panel.get_by_role("status").last).to_contain_text(
            re.compile("Triggered run_.* of nightly-report"), timeout=SOON
        )
        saved = notebook.save()["cells"][2]["outputs"][0]["data"]
        assert "nightly-report" in "".join(saved["text/html"])
        assert notebook.problems == []


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_engine_is_watched_goes_away_and_is_started_from_its_panel(
    theme: str, tmp_path: Path, chromium: str
) -> None:
    cells = [LOAD, RESIZE, TRIGGER, "%engine"]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        panel = notebook.output(3).get_by_role("group", name="Engine")
        expect(panel).to_contain_text("Engine healthy", timeout=SOON)
        expect(panel.locator(".stats > div").nth(1)).to_contain_text("5 of ", timeout=SOON)
        expect(panel.locator(".stats > div").nth(1)).to_contain_text("5 queued")
        expect(panel.locator(".stats > div").nth(3)).to_contain_text(re.compile(r"\d+ ms"))
        waits = panel.get_by_role("row", name=re.compile("^images"))
        expect(waits).to_contain_text("Queue images: 2 of 2 in use.")
        worker = panel.get_by_role("table", name="Workers").get_by_role("row").nth(1)
        expect(worker).to_contain_text("5 runs")
        expect(worker).to_contain_text(re.compile(r"\d+ MB"))
        picture(notebook, f"engine-{theme}")
        panel.get_by_role("button", name="Logs").click()
        expect(panel.locator("pre")).to_contain_text("engine up", timeout=SOON)

        lab.command("down", "--now")
        expect(panel).to_contain_text("Engine not running", timeout=SOON)
        expect(panel).to_contain_text("It was stopped on purpose. Nothing is lost")
        (lab.root / "go").touch()
        panel.get_by_role("button", name="Start engine").click()
        expect(panel).to_contain_text("Engine healthy", timeout=60_000)
        expect(notebook.output(2).locator("table")).to_contain_text("Completed", timeout=60_000)
        expect(panel.locator(".stats > div").nth(0)).to_contain_text(re.compile(r"minute[1-9]"), timeout=SOON)
        assert notebook.problems == []
