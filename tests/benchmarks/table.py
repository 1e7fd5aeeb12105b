"""The live runs table over a million finished runs in a real JupyterLab: how soon another page or filter is drawn.

The home is that of `history_start`. Timed in the browser, from the click until the rows of the page have changed.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from playwright.sync_api import Page, expect

import kernelkit as kk
from kernelkit.config import Home
from tests.benchmarks import figures, machine
from tests.benchmarks.bodies import noop, payload
from tests.benchmarks.history_start import BEHIND, fill
from tests.conftest import needed_program
from tests.journeys.browser.lab import open_notebook, running_lab

NAME = "table"
LIMIT_MS = 150.0
SOON = 180_000

WATCH = """() => {
    const rows = document.querySelector('.kk.runs tbody');
    window.begun = window.drawn = 0;
    document.addEventListener('click', () => { window.begun = performance.now(); window.drawn = 0; }, true);
    new MutationObserver(() => { window.drawn ||= performance.now(); }).observe(rows, {childList: true});
}"""


def measure(runs: int = 1_000_000, pages: int = 30) -> dict[str, Any]:
    """Milliseconds from the click to the rows, for so many pages older and newer, and for chips of statuses."""
    cells = ["%load_ext kernelkit\nimport kernelkit as kk\nkk.runs.list(limit=1).total", "%runs"]
    with machine.scratch(NAME) as folder, running_lab(folder) as lab:
        _prepare(Home(lab.root / ".kernelkit"), runs)
        with open_notebook(lab, needed_program("chromium"), cells) as notebook:
            page = notebook.page
            notebook.run_cell(0)
            expect(notebook.output(0)).to_contain_text(str(min(runs + 1, 100_000)), timeout=SOON)
            notebook.run_cell(1)
            table = notebook.output(1).locator(".kk")
            expect(table.locator("tbody tr")).to_have_count(25, timeout=SOON)
            expect(table.locator(".title")).to_contain_text(re.compile(f"{runs:,}|{runs + 1:,}"), timeout=SOON)
            page.evaluate(WATCH)
            older = [_click(page, "Older page") for _ in range(pages)]
            newer = [_click(page, "Newer page") for _ in range(pages // 2)]
            names = ("Failed", "Completed", "Failed", "Completed")  # on, on, off, off
            chips = [_click(page, name) for _ in range(max(1, pages // 6)) for name in names]
            problems = notebook.problems
    times = {"older": older, "newer": newer, "chip": chips}
    worst = max(figures.percentile(each, 0.95) for each in times.values())
    return figures.line(
        NAME,
        round(worst, 1),
        "ms from the click to the rows, the worst p95",
        f"<= {LIMIT_MS:g}",
        worst <= LIMIT_MS,
        {
            **{f"{name}_ms": figures.latencies([ms / 1e3 for ms in each]) for name, each in times.items()},
            "runs": runs,
            "console_problems": problems,
        },
        packages=("jupyterlab", "anywidget"),
    )


def _prepare(home: Home, runs: int) -> None:
    """One run, so that the engine knows the task, and a million that an earlier engine might have left."""
    client = kk.Client(home)
    with client.use():
        noop.trigger(**payload(0)).result(timeout=60)
    client.engine.stop(timeout="60s")
    client.close()
    fill(home, runs, behind=min(BEHIND, runs // 2))
    home.down_mark.unlink(missing_ok=True)


def _click(page: Page, name: str) -> float:
    """Milliseconds; a pause follows, in which the view may catch its breath as it does under a person's hand."""
    page.locator(".kk.runs").get_by_role("button", name=name).first.click()
    page.wait_for_function("() => window.drawn > 0", timeout=SOON)
    taken = float(page.evaluate("() => window.drawn - window.begun"))
    page.wait_for_timeout(300)
    return taken


if __name__ == "__main__":
    sys.exit(figures.main(measure))
