"""The front end's way to a page and into a file: each part once, and what is saved reads without its kernel."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import Lab, Notebook, open_notebook, picture, running_lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000
VIEW_BYTES = 30_000
STATE = "application/vnd.jupyter.widget-state+json"
CELLS = [
    """\
%load_ext kernelkit
import kernelkit as kk

@kk.task
async def long(n: int) -> None:
    kk.logger.info(f"line {n} of a log")
    await kk.wait.for_(hours=1)

runs = [long.trigger(n=n) for n in range(3)]
run = runs[0]
while run.status != "WAITING":
    pass""",
    "%runs",
    "run.logs()",
    "display(runs[0], runs[1])\nruns[2]",
    "run.tree()",
]
PARTS = "() => [...globalThis[Symbol.for('kernelkit.parts')].values()].filter((one) => one.isHere).length"
_PART = re.compile(r"default (brings|hands)\(")
SHEETS = "() => [...document.querySelectorAll('style')].filter((one) => one.textContent.includes('.kk-')).length"


def test_each_part_comes_once_and_a_notebook_reads_on_without_its_kernel(tmp_path: Path, chromium: str) -> None:
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, CELLS, height=1500) as notebook:
        notebook.run_all()
        _all_drawn(notebook)
        assert notebook.page.evaluate(PARTS) == notebook.page.evaluate(SHEETS) == 6, (
            "shared, table, logs, card, tree, and the forms for a card that may need them"
        )

        notebook.save()
        notebook.reload()
        _all_drawn(notebook)  # live again, for the kernel still has the models
        expect(notebook.output(3).get_by_role("button", name="Cancel").first).to_be_enabled()
        saved = notebook.save()
        state: dict[str, Any] = saved["metadata"]["widgets"][STATE]["state"]
        views = [one for one in state.values() if "parts" in one["state"]]
        parts = [one for one in state.values() if _PART.search(one["state"].get("_esm", ""))]
        assert (len(views), len(parts)) == (6, 5)
        assert max(map(_size, views)) + sum(sorted(map(_size, parts))[-2:]) <= VIEW_BYTES, "one view with what draws it"

        _end_kernel(lab)
        notebook.reload()
        _all_drawn(notebook)
        expect(notebook.output(1).locator(".strip")).to_contain_text(
            "The notebook's kernel is not connected.", timeout=SOON
        )
        assert "model not found" not in notebook.page.locator(".jp-Notebook").inner_text()
        picture(notebook, "kernel-gone")
        again = notebook.save()["metadata"]["widgets"][STATE]["state"]
        assert set(again) == set(state), "it is kept although no kernel has it"
        assert notebook.problems == []


def _all_drawn(notebook: Notebook) -> None:
    expect(notebook.output(1).locator(".kk tbody tr", has_text="Waiting")).to_have_count(3, timeout=SOON)
    expect(notebook.output(2).locator(".kk")).to_contain_text("line 0 of a log", timeout=SOON)
    expect(notebook.output(3).locator(".kk")).to_have_count(3, timeout=SOON)
    expect(notebook.output(3).locator(".kk").nth(2)).to_contain_text("Waiting", timeout=SOON)
    expect(notebook.output(4).locator(".kk [role=treeitem]")).to_have_count(1, timeout=SOON)


def _size(model: dict[str, Any]) -> int:
    return len(json.dumps(model))


def _end_kernel(lab: Lab) -> None:
    for session in lab.sessions():
        asked = urllib.request.Request(f"{lab.base}/api/sessions/{session['id']}?token={lab.token}", method="DELETE")
        urllib.request.urlopen(asked).close()
