"""Runs whose every string wants to be more than text, in all live views of a real JupyterLab at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab, sideways
from tests.ui.hostile import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SOON = 120_000

SETUP = """\
%load_ext kernelkit
import json
from pathlib import Path
from IPython.display import display
import kernelkit as kk

@kk.task
async def says(text: str) -> str:
    kk.metadata.set("said", text[:1_000]).set(text[:50] or "empty", 1)
    kk.logger.warning(text[:2_000])
    print(text[:2_000])
    if len(text) % 3 == 1:
        raise kk.AbortTaskRunError(text[:5_000])
    if len(text) % 3 == 2:
        await kk.wait.for_token(text[:100] or "empty")
    return text

@kk.task
async def family() -> None:  # all of them together are more than a payload may be
    texts = json.loads(Path("hostile.json").read_text())
    await says.batch_trigger([kk.Item({"text": one}, tags=[one[:100] or "empty"], concurrency_key=one[:100] or None)
                              for one in texts])
    await kk.wait.for_(hours=1)

texts = json.loads(Path("hostile.json").read_text())
run = family.trigger()
batch = says.batch_trigger([{"text": one} for one in texts[:40]])
AT_REST = "select count(*) from runs where task_id = 'says' and status in ('COMPLETED', 'FAILED', 'WAITING')"
while kk.sql(AT_REST).rows[0][0] < len(texts) + len(batch.runs):
    pass
print("at rest")"""
CELLS = [
    SETUP,
    "run.tree()",
    "run.timeline()",
    'kk.runs.list(task="says")',
    "for one in batch.runs: display(one)",
    "batch",
    "kk.queues",
    "run.cancel(); batch.cancel()",
]


@pytest.mark.parametrize("count", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_runs_and_nothing_breaks(count: int, tmp_path: Path, chromium: str) -> None:
    texts = [HOSTILE[n * len(HOSTILE) // count].encode("utf-8", "replace").decode() for n in range(count)]
    with running_lab(tmp_path) as lab:
        (lab.root / "hostile.json").write_text(json.dumps(texts))
        with open_notebook(lab, chromium, CELLS, name="hostile", width=700) as notebook:
            page = notebook.page
            for number in range(len(CELLS) - 1):
                notebook.run_cell(number)
                output = notebook.output(number)
                expect(output.locator(".jp-OutputArea-output").first).to_be_visible(timeout=SOON)
                assert output.locator('[data-mime-type="application/vnd.jupyter.stderr"]').all_inner_texts() == []
            expect(notebook.output(1).locator(".kk .totals")).to_contain_text(f"{count + 1} runs", timeout=SOON)
            expect(notebook.output(3).locator(".kk")).to_be_visible(timeout=SOON)
            page.wait_for_timeout(1_000)  # whatever a string had loaded would have run by now
            assert page.evaluate("() => globalThis.hit") is None
            assert sideways(notebook) == []
            shown = page.locator(".jp-OutputArea .kk, .jp-OutputArea-output table")
            assert shown.locator("script, img, iframe, object, embed, link, base, meta, video, math").count() == 0
            picture(notebook, "hostile")
            notebook.run_cell(len(CELLS) - 1)
            expect(notebook.output(1).locator("table").first).to_be_visible(timeout=SOON)
            assert page.evaluate("() => globalThis.hit") is None
            assert [problem for problem in notebook.problems if "nowhere.invalid" in problem or "hit" in problem] == []
            assert notebook.problems == []
