"""The pictures of the README and the docs, taken of runs that really ran: `make screenshots`.

It asserts what each picture shows, so it is a journey as well; without `SCREENSHOTS` in the environment nothing is
written.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SOON = 60_000

CARD = """\
%%task embed_documents(corpus: str, model: str = "bge-small") --tags handbook
import time
from pathlib import Path
kk.metadata.set("model", model).set("tokens", 0)
for batch in kk.track(range(40), description="Embedding"):
    kk.metadata.increment("tokens", 8_192)
    kk.logger.info(f"embedded batch {batch} (32 documents)")
    while batch == 23 and not Path("go").exists():
        time.sleep(0.05)
    time.sleep(0.1)
return {"documents": 1280, "vectors": 1277, "skipped": ["ch07.md", "ch19.md", "toc.md"]}"""

TASKS = """\
import asyncio

@kk.task(retry=kk.Retry(max_attempts=3, min_timeout=1.2, randomize=False))
async def load_sales(ctx: kk.Context) -> str:
    await asyncio.sleep(0.9)
    if ctx.attempt.number == 1:
        raise TimeoutError("the warehouse did not answer in 10 s")
    await asyncio.sleep(1.4)
    return "sales.parquet"

@kk.task(queue=kk.Queue("pages", concurrency_limit=4))
async def summarize_page(n: int) -> int:
    await asyncio.sleep(0.35)
    if n in (17, 34):
        raise kk.AbortTaskRunError(f"page {n} is empty")
    return n

@kk.task
async def render_chart(kind: str) -> str:
    await asyncio.sleep(0.8)
    return kind

@kk.task
async def publish() -> None:
    await asyncio.sleep(0.6)
    render_chart.trigger(kind="bars")
    render_chart.trigger(kind="map")
    await asyncio.sleep(0.8)
    await kk.wait.for_token("sign-off")
    await asyncio.sleep(0.4)

@kk.task(queue=kk.Queue("mail", concurrency_limit=1))
async def send_mail(to: str) -> None:
    await asyncio.sleep(0.5)

@kk.task
async def nightly_report() -> None:
    load_sales.trigger()
    await asyncio.sleep(0.4)
    await summarize_page.batch_trigger_and_wait([{"n": n} for n in range(40)])
    await asyncio.sleep(0.7)
    send_mail.trigger(to="team@example.org")
    await publish.trigger_and_wait()"""

CELLS = [
    "%load_ext kernelkit\nimport kernelkit as kk",
    CARD,
    TASKS,
    'run = embed_documents.trigger(corpus="handbook")\nrun',
    'kk.queues.pause("mail")\nreport = nightly_report.trigger()\nreport.tree()',
    "report.timeline(tree=True)",
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_card_a_tree_and_a_timeline_of_real_runs(theme: str, tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, CELLS, name="report", width=1230, height=1000, scale=2) as notebook,
    ):
        notebook.run_all()
        card, tree, timeline = (notebook.output(cell).locator(".kk") for cell in (3, 4, 5))
        expect(timeline.locator("[data-kind=waiting]").last).to_contain_text("waits for token sign-off", timeout=SOON)
        expect(timeline.get_by_role("row")).to_have_count(9, timeout=SOON)
        expect(card.locator(".prog .num").first).to_have_text(re.compile("2[34] / 40"), timeout=SOON)
        notebook.page.wait_for_timeout(2_500)  # so that a wait is seen to last
        picture(notebook, f"timeline-{theme}", timeline)
        picture(notebook, f"run-card-{theme}", card)
        tree.get_by_role("treeitem").first.focus()
        notebook.page.keyboard.press("f")
        expect(tree.locator('[role=treeitem][aria-selected="true"]')).to_contain_text("page 17 is empty", timeout=SOON)
        picture(notebook, f"run-tree-{theme}", tree)

        (lab.root / "go").touch()
        lab.command("tokens", "complete", "sign-off")
        lab.command("queues", "resume", "mail")
        expect(notebook.output(3).locator("table")).to_contain_text("Completed in", timeout=SOON)
        picture(notebook, f"run-card-ended-{theme}", notebook.output(3))
        expect(notebook.output(5).locator("table")).to_contain_text("38 completed, 2 failed", timeout=SOON)
        picture(notebook, f"timeline-ended-{theme}", notebook.output(5))
        assert notebook.problems == []
