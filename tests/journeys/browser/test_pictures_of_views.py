"""The pictures of docs/views.md, of things that really happened: `make screenshots`."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SOON = 60_000

TASKS = """\
import asyncio
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

@kk.task(queue=kk.Queue("images", concurrency_limit=4), retries=5)
async def resize_image(
    url: Annotated[str, Field(description="Where to read the image from", pattern="^https?://")],
    width: Annotated[int, Field(ge=16, le=4096)] = 512,
    format: Literal["jpeg", "png", "webp"] = "webp",
    labels: list[str] = ["thumb", "2026"],
) -> str:
    number = int(url.rpartition("/")[2].partition(".")[0])
    await asyncio.sleep(0.02 + number % 7 / 50)
    if number in (11, 63):
        raise kk.AbortTaskRunError(f"image {number} is empty")
    while number >= 130 and not Path("go").exists():
        await asyncio.sleep(0.05)
    return f"{number}-{width}.{format}"

@kk.task(queue=kk.Queue("crm", concurrency_limit=1))
async def sync_customer(name: str) -> None:
    while not Path("go").exists():
        await asyncio.sleep(0.05)

@kk.task(cron="0 7 * * *", timezone="Asia/Tokyo")
async def morning_report() -> None: ...

@kk.task(cron="*/15 * * * 1-5", timezone="Europe/Berlin")
async def check_prices() -> None: ...

class Payment(BaseModel):
    approved: bool = True
    amount: Annotated[float, Field(ge=0, le=20_000)] = 18_400
    account: Literal["operations", "reserve"] = "operations\""""

WORK = """\
batch = resize_image.batch_trigger([{"url": f"https://img.example/{n}.jpg"} for n in range(180)])
for n in range(6):
    sync_customer.options(concurrency_key=f"customer-{n % 3}").trigger(name=f"c{n}")
"""

CELLS = [
    "%load_ext kernelkit\nimport kernelkit as kk",
    TASKS,
    WORK,
    "batch",
    "resize_image",
    "kk.runs.list()",
    "kk.queues",
    "kk.schedules",
    "kk.engine",
    'asked = {"supplier": "Nordlicht GmbH"}\n'
    'kk.tokens.create(question="Pay invoice INV-2291?", context=asked, timeout="2h", schema=Payment)',
    'job = kk.notebook("sales.ipynb", id="sales-report").trigger(region="EU", days=30)\njob',
    "job.logs()",
]


def write_sales(folder: Path) -> None:
    cells = [
        new_code_cell("region: str = 'US'\ndays = 7", metadata={"tags": ["parameters"]}),
        new_code_cell("import kernelkit as kk\nkk.logger.info(f'{days} days of {region}')"),
        *(new_code_cell(f"kk.logger.info('month {number} read', rows={number * 1_204})") for number in range(1, 7)),
        new_code_cell(
            "# Sales by month\nimport time\nfrom pathlib import Path\nprint('waiting for June')\n"
            "while not Path('go').exists():\n    time.sleep(0.05)"
        ),
        new_code_cell("print('done')"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "sales.ipynb")


def test_every_other_view_of_what_really_happened(tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path) as lab,
        open_notebook(lab, chromium, CELLS, name="views", width=1230, height=1400, scale=2) as notebook,
    ):
        write_sales(lab.root)
        notebook.run_all()
        batch, task, runs, queues, schedules, engine, token, job, logs = (
            notebook.output(cell).locator(".kk") for cell in range(3, 12)
        )
        expect(logs.locator(".lines > div").last).to_contain_text("waiting for June", timeout=SOON)
        expect(logs.locator(".lines")).to_contain_text("month 6 read rows=7224")
        expect(batch.locator(".ended")).to_contain_text("130 of 180 ended", timeout=SOON)
        picture(notebook, "batch", batch)
        task.get_by_label("url").fill("https://img.example/4711.jpg")
        task.get_by_label("width").fill("256")
        expect(task.get_by_role("row").first).to_be_visible(timeout=SOON)
        picture(notebook, "task", task)
        expect(runs.locator(".spark")).to_contain_text("Last 40 ended", timeout=SOON)
        picture(notebook, "runs", runs)
        expect(queues.get_by_role("row", name=re.compile("^images"))).to_contain_text("4 of 4", timeout=SOON)
        queues.get_by_role("button", name="3 keys of crm").click()
        expect(queues.get_by_role("row", name=re.compile("^customer-0"))).to_contain_text("1 of 1", timeout=SOON)
        picture(notebook, "queues", queues)
        expect(schedules).to_contain_text("At 07:00, Asia/Tokyo", timeout=SOON)
        picture(notebook, "schedules", schedules)
        expect(engine).to_contain_text("healthy", timeout=SOON)
        picture(notebook, "engine", engine)
        expect(token.locator(".name")).to_have_text("Pay invoice INV-2291?", timeout=SOON)
        picture(notebook, "token", token)
        expect(job.locator(".job .src")).to_contain_text("# Sales by month", timeout=SOON)
        picture(notebook, "notebook-job", job)
        picture(notebook, "logs", logs)

        (lab.root / "go").touch()
        expect(notebook.output(10).locator("table")).to_contain_text("Completed in", timeout=SOON)
        assert notebook.problems == []
