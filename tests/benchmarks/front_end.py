"""What live views cost a page in a real JupyterLab: bytes that come for the first card and for each further one, the
heap of fifty, and the bytes that a saved notebook holds for them."""

from __future__ import annotations

import json
import sys
from typing import Any

from playwright.sync_api import CDPSession, Locator, WebSocket, expect

from tests.benchmarks import figures, machine
from tests.conftest import needed_program
from tests.journeys.browser.lab import Notebook, open_notebook, running_lab

NAME = "front_end"
VIEW_BYTES = 30_000
SOON = 120_000
SETUP = """\
%load_ext kernelkit
from IPython.display import display
import kernelkit as kk

@kk.task
async def long(n: int) -> None:
    await kk.wait.for_(hours=1)

runs = [long.trigger(n=n) for n in range({cards} + 1)]
while kk.runs.list(status="waiting", limit=100).__len__() < min(100, {cards} + 1):
    pass
print("at rest")"""
ONE, MANY = "runs[0]", "for one in runs[1:]: display(one)"
END = "for one in runs: one.cancel()"


def measure(cards: int = 50) -> dict[str, Any]:
    """One card, then so many more."""
    cells = [SETUP.format(cards=cards), ONE, MANY, END]
    with (
        machine.scratch(NAME) as folder,
        running_lab(folder) as lab,
        open_notebook(lab, needed_program("chromium"), cells) as notebook,
    ):
        came = [0]
        notebook.page.on("websocket", lambda socket: _count(socket, came))
        notebook.reload()
        session = notebook.page.context.new_cdp_session(notebook.page)
        notebook.run_cell(0)
        expect(notebook.output(0)).to_contain_text("at rest", timeout=SOON)
        before = _heap(session)
        first = _shown(notebook, 1, 1, came)
        further = _shown(notebook, 2, cards, came) / cards
        heap = _heap(session) - before
        saved = json.dumps(notebook.save()["metadata"].get("widgets", {}))
        notebook.run_cell(3)
        problems = notebook.problems
    return figures.line(
        NAME,
        round(further),
        "bytes that come for each further run card",
        f"<= {VIEW_BYTES} a view, in the page and saved",
        further <= VIEW_BYTES and len(saved) <= VIEW_BYTES * (cards + 1),
        {
            "cards": cards,
            "first_card_bytes": round(first),
            "saved_bytes": len(saved),
            "heap_mb": round(heap, 2),
            "console_problems": problems,
        },
        packages=("jupyterlab", "anywidget"),
    )


def _count(socket: WebSocket, came: list[int]) -> None:
    def note(payload: str | bytes) -> None:
        came[0] += len(payload)

    socket.on("framereceived", note)


def _shown(notebook: Notebook, cell: int, cards: int, came: list[int]) -> int:
    """Bytes until the cards of this cell are drawn and half a second on."""
    before = came[0]
    notebook.run_cell(cell)
    drawn: Locator = notebook.output(cell).locator(".kk .status")
    expect(drawn).to_have_count(cards, timeout=SOON)
    notebook.page.wait_for_timeout(500)
    return came[0] - before


def _heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(found["JSHeapUsedSize"]) / 1e6


if __name__ == "__main__":
    sys.exit(figures.main(measure))
