"""The timeline as a person meets it: real JupyterLab, real browser, real engine, real failures and waits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import accessible, open_notebook, picture, running_lab, sideways

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
import asyncio
from pathlib import Path

@kk.task(retry=kk.Retry(max_attempts=3, min_timeout=1.5, factor=1.5, randomize=False))
async def fetch_prices(ctx: kk.Context) -> int:
    await asyncio.sleep(0.6)
    if ctx.attempt.number < 3:
        raise TimeoutError("prices.example did not answer in 10 s")
    while not Path("go").exists():
        await asyncio.sleep(0.05)
    return 412

@kk.task(queue=kk.Queue("embeddings", concurrency_limit=4))
async def embed_documents(n: int) -> int:
    await asyncio.sleep(0.2)
    if n in (3, 7):
        raise kk.AbortTaskRunError(f"document {n} is empty")
    return n

@kk.task
async def publish_report() -> None:
    await kk.wait.for_token("sign-off", timeout="1h")

@kk.task
async def nightly_report() -> None:
    prices = fetch_prices.trigger()
    embed_documents.batch_trigger([{"n": n} for n in range(12)])
    await asyncio.sleep(0.5)
    await publish_report.trigger_and_wait()
    await prices"""

CELLS = [
    "%load_ext kernelkit\nimport kernelkit as kk",
    DEFINE,
    "run = nightly_report.trigger()",
    "run.timeline(tree=True)",
    "prices = fetch_prices.trigger()\nprices.timeline()",
]


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1200),
        pytest.param("dark", 1200, marks=pytest.mark.slow),
        pytest.param("light", 700, marks=pytest.mark.slow),
        pytest.param("dark", 700, marks=pytest.mark.slow),
    ],
)
def test_attempts_backoffs_waits_and_children_grow_on_one_axis_and_stay_as_a_table(
    theme: str, width: int, tmp_path: Path, chromium: str
) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, CELLS, name="nightly", width=width + 450) as notebook,
    ):
        notebook.run_all()
        page = notebook.page
        tree, one = notebook.output(3).locator(".kk"), notebook.output(4).locator(".kk")

        def shapes(kind: str, status: str) -> str:
            return f".plot [data-kind={kind}][data-s={status}]"

        expect(one.locator(shapes("executing", "FAILED"))).to_have_count(2, timeout=SOON)
        expect(one.locator(shapes("backoff", "RETRYING"))).to_have_count(2)
        expect(one.locator(shapes("executing", "EXECUTING"))).to_have_count(1, timeout=SOON)
        failed = one.locator(shapes("executing", "FAILED")).first.locator("title")
        expect(failed).to_have_text(re.compile(r"attempt 1 failed \(TimeoutError: prices.example did not answer"))

        rows = tree.get_by_role("row")
        expect(rows).to_have_count(6, timeout=SOON)
        assert [row.get_attribute("aria-label").split(",")[0] for row in rows.all()] == [  # type: ignore[union-attr]
            "nightly-report", "fetch-prices", "embed-documents × 12", "#3", "#7", "publish-report",
        ]  # fmt: skip
        expect(rows.nth(2).locator("[data-kind=pile]")).to_contain_text("10 completed, 2 failed", timeout=SOON)
        expect(rows.nth(5)).to_have_attribute("aria-label", re.compile("waits for token sign-off"), timeout=SOON)
        expect(tree.locator(".axis")).to_contain_text(re.compile(r"now \d"))
        before = tree.locator(".axis text.now").text_content() or ""
        expect(tree.locator(".axis text.now")).not_to_have_text(before, timeout=5000)  # it moves while nothing is sent
        picture(notebook, f"timeline-tree-{theme}-{width}", tree)
        picture(notebook, f"timeline-{theme}-{width}", one)
        assert accessible(notebook) == []
        assert sideways(notebook) == []

        rows.first.focus()
        page.keyboard.press("ArrowDown")
        expect(rows.nth(1)).to_be_focused()
        expect(tree.locator(".seen")).to_be_hidden()
        page.keyboard.press("+")
        page.keyboard.press("+")
        expect(tree.locator(".seen")).to_be_visible()
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        expect(rows.nth(3)).to_contain_text("← earlier")
        expect(rows.nth(1)).to_be_focused()
        picture(notebook, f"timeline-zoomed-{theme}-{width}", tree)
        box = tree.locator(".plot").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=4)
        page.mouse.up()
        page.keyboard.down("Control")
        page.mouse.wheel(0, 300)
        page.keyboard.up("Control")
        rows.nth(1).focus()
        page.keyboard.press("0")
        expect(tree.locator(".seen")).to_be_hidden()
        assert page.locator(".jp-Notebook").count() == 1, "JupyterLab heard none of the keys"

        page.keyboard.press("Enter")
        expect(notebook.output(3).get_by_role("group", name="Run of fetch-prices: Executing")).to_be_visible(
            timeout=SOON
        )

        (lab.root / "go").touch()
        lab.command("tokens", "complete", "sign-off")
        ended = notebook.output(3).locator("table").first
        expect(ended).to_contain_text("publish-report", timeout=SOON)
        expect(tree).to_have_count(0, timeout=SOON)
        expect(notebook.output(4).locator("table")).to_contain_text("attempt 3 completed", timeout=SOON)
        picture(notebook, f"timeline-ended-{theme}-{width}", notebook.output(3))
        saved = notebook.save()
        assert set(saved["cells"][3]["outputs"][0]["data"]) == {"text/html", "text/plain"}
        assert notebook.problems == []
