"""The run tree as a person meets it: real JupyterLab, real browser, real engine, keyboard only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.journeys.browser.lab import Notebook, accessible, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

DEFINE = """\
@kk.task(queue=kk.Queue("embeddings", concurrency_limit=4))
async def embed_documents(n: int) -> int:
    import asyncio
    from pathlib import Path

    if n in (17, 63, 118):
        raise kk.AbortTaskRunError(f"document {n} is empty")
    while n >= 150 and not Path("go").exists():
        await asyncio.sleep(0.05)
    return n

@kk.task
def load_sales() -> str:
    return "sales.parquet"

@kk.task
def nightly_report() -> None:
    load_sales.trigger()
    embed_documents.batch_trigger([{"n": n} for n in range(200)])
    kk.tasks.trigger("load-sales")"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_two_hundred_children_are_one_row_that_opens_and_all_is_a_table_in_the_end(
    theme: str, tmp_path: Path, chromium: str
) -> None:
    cells = ["%load_ext kernelkit\nimport kernelkit as kk", DEFINE, "run = nightly_report.trigger()", "run.tree()"]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells, name="report") as notebook:
        notebook.run_all()
        live = notebook.output(3).locator(".kk").first
        rows = live.get_by_role("treeitem")
        expect(live.locator(".totals")).to_contain_text("203 runs", timeout=SOON)
        expect(live.locator(".totals .roll")).to_contain_text(re.compile("3 failed"), timeout=SOON)
        expect(live.locator(".totals .roll")).to_contain_text("4 executing", timeout=SOON)
        expect(rows).to_have_count(4)
        expect(rows.nth(2)).to_contain_text("embed-documents × 200")

        rows.first.focus()
        page = notebook.page
        page.keyboard.press("f")  # the group opens, and the first failure is found in it
        found = live.locator('[role=treeitem][aria-selected="true"]')
        expect(found).to_contain_text("#17", timeout=SOON)
        expect(found).to_be_focused()
        expect(found).to_contain_text("document 17 is empty")
        picture(notebook, f"run-tree-{theme}")
        assert accessible(notebook) == []
        page.keyboard.press("f")
        expect(found).to_contain_text("#63")
        page.keyboard.press("ArrowLeft")
        expect(found).to_contain_text("embed-documents × 200")
        page.keyboard.press("ArrowLeft")
        expect(rows).to_have_count(4)
        assert page.locator(".jp-Notebook").count() == 1, "JupyterLab heard none of the keys"

        page.keyboard.press("f")
        expect(found).to_contain_text("#17")
        page.keyboard.press("Enter")
        card = notebook.output(3).get_by_role("group", name="Run of embed-documents: Failed")
        expect(card).to_contain_text("document 17 is empty", timeout=SOON)
        _use_the_card_of_an_ended_run(notebook, card, theme)
        live.get_by_role("button", name="Timeline").click()
        expect(notebook.output(3).locator(".plot [data-kind=pile]")).to_have_count(1, timeout=SOON)

        (lab.root / "go").touch()
        ended = notebook.output(3).locator("table").first
        expect(ended).to_contain_text("document 17 is empty", timeout=SOON)
        expect(notebook.output(3).get_by_role("tree")).to_have_count(0)
        expect(notebook.output(3)).to_contain_text("197 completed, 3 failed")
        saved = notebook.save()
        assert set(saved["cells"][3]["outputs"][0]["data"]) == {"text/html", "text/plain"}
        assert notebook.problems == []


def _use_the_card_of_an_ended_run(notebook: Notebook, card: Locator, theme: str) -> None:
    """Replay where Cancel stood, and Open tree, from which a card was opened just now: each shows something below."""
    page = notebook.page
    expect(card.get_by_role("button", name=re.compile("^Cancel"))).to_have_count(0)
    picture(notebook, f"run-card-failed-{theme}", card)
    card.get_by_role("button", name="Go to cell").click()
    expect(page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".cm-content")).to_be_focused()
    card.get_by_role("button", name="Open tree").focus()
    page.keyboard.press("Enter")
    trees = notebook.output(3).get_by_role("tree")
    expect(trees).to_have_count(2, timeout=SOON)
    expect(trees.nth(1).get_by_role("treeitem").first).to_contain_text("nightly-report")
    card.get_by_role("button", name="Replay").click()
    expect(card.locator(".why")).to_contain_text(
        re.compile(r"^Replayed as run_\w+; its card stands below"), timeout=SOON
    )
    again = notebook.output(3).get_by_role("group", name=re.compile("^Run of embed-documents"))
    expect(again).to_have_count(2)
    expect(notebook.output(3)).to_contain_text("document 17 is empty", timeout=SOON)
