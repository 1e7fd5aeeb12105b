"""A private JupyterLab, and Chromium looking at it.

Nothing of the person's own Jupyter leaks in, nothing leaves the machine. Debian's Chromium is started by path, Lab's
news and update checks are off, and each Lab has a project folder of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


_NO_UPDATES = "check_for_updates_class=jupyterlab.NeverCheckForUpdate"
_QUIET = {"lab": ("--LabApp.news_url=None", f"--LabApp.{_NO_UPDATES}"), "notebook": (f"--LabApp.{_NO_UPDATES}",)}
_PAGES = {"lab": "lab/tree", "notebook": "notebooks"}


@dataclass
class Lab:
    """A running server; `root` is the folder it serves, and the project of its notebooks."""

    base: str
    token: str
    root: Path
    app: str = "lab"

    def sessions(self) -> list[dict[str, dict[str, object]]]:
        with urllib.request.urlopen(f"{self.base}/api/sessions?token={self.token}") as answer:
            found: list[dict[str, dict[str, object]]] = json.load(answer)
            return found

    def command(self, *words: str) -> None:
        """Run `kernelkit …` in the project, as from a terminal."""
        subprocess.run([sys.executable, "-m", "kernelkit", *words], cwd=self.root, check=True, capture_output=True)


@contextlib.contextmanager
def running_lab(folder: Path, *, theme: str = "light", app: str = "lab") -> Iterator[Lab]:
    """Start JupyterLab, or with `app="notebook"` Notebook 7, with private folders; it and the project's engine are
    stopped at the end."""
    root, home = folder / "project", folder / "jupyter"
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (root / ".git").mkdir(parents=True)  # makes it a project of its own
    chosen = {"theme": "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"}
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "themes.jupyterlab-settings").write_text(json.dumps(chosen))
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    token = secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    private = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_RUNTIME_DIR": home / "run",
        "JUPYTER_DATA_DIR": home / "data",
        "IPYTHONDIR": home / "ipython",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
    }
    environment = {**os.environ, **{name: str(path) for name, path in private.items()}}
    environment.pop("KERNELKIT_HOME", None)
    log = (folder / "lab.log").open("wb")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", f"jupyter{app}" if app == "lab" else app, "--no-browser", "--allow-root"),
            "--ServerApp.ip=127.0.0.1",
            *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
            *(f"--ServerApp.root_dir={root}", *_QUIET[app]),
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    lab = Lab(f"http://127.0.0.1:{port}", token, root, app)
    try:
        _wait_for_server(lab, server, folder / "lab.log")
        yield lab
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
        lab.command("down", "--now")
        _end_keepers(root)


def _end_keepers(root: Path) -> None:
    """What still executes is left to them by `--now`; their workers end with them."""
    for process in psutil.process_iter(["cmdline"]):
        told = process.info["cmdline"] or []
        if "kernelkit.execution.keeper" in told and str(root / ".kernelkit") in told:
            process.kill()


def _wait_for_server(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            urllib.request.urlopen(f"{lab.base}/api/status?token={lab.token}", timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < end, "JupyterLab did not answer in 60 s"
            time.sleep(0.1)


@dataclass
class Notebook:
    """A notebook on screen. `problems` are errors of the page's console and requests that left the machine."""

    lab: Lab
    path: Path
    page: Page
    problems: list[str] = field(default_factory=list)

    def run_all(self) -> None:
        self.page.click('#jp-MainMenu >> text="Run"')
        self.page.click('.lm-Menu-itemLabel >> text="Run All Cells"')

    def run_cell(self, number: int) -> None:
        """Run one code cell, counted from 0, with the mouse in its editor and Control-Enter."""
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def output(self, cell: int) -> Locator:
        """The output area of the code cell with that number, from 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-OutputArea")

    def save(self) -> dict[str, Any]:
        """Save as a person would, and the file as it is then."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        end = time.monotonic() + 15
        while True:
            self.page.wait_for_timeout(50)
            with contextlib.suppress(json.JSONDecodeError):  # the server is still writing it
                if self.path.stat().st_mtime_ns != before:
                    saved: dict[str, Any] = json.loads(self.path.read_text())
                    return saved
            assert time.monotonic() < end, "the notebook was not saved"

    def reload(self) -> None:
        self.page.reload(wait_until="domcontentloaded")
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """The cells are drawn and the kernel is idle. Lab's dot says idle before there is a kernel: ask the server."""
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        end = time.monotonic() + 60
        while not any(_is_idle(session) for session in self.lab.sessions()):
            assert time.monotonic() < end, "the kernel never became idle"
            self.page.wait_for_timeout(50)
        if self.lab.app == "lab":
            self.page.wait_for_selector('text="Python 3 (ipykernel) | Idle"', timeout=60_000)
        self.page.wait_for_timeout(300)  # Lab connects its comms after it has said so


def _is_idle(session: dict[str, dict[str, object]]) -> bool:
    kernel = session["kernel"]
    return kernel["execution_state"] == "idle" and bool(kernel["connections"])


@contextlib.contextmanager
def open_notebook(
    lab: Lab,
    chromium: str,
    cells: list[str],
    *,
    name: str = "demo",
    width: int = 1100,
    height: int = 900,
    scale: int = 1,
) -> Iterator[Notebook]:
    """Write a notebook of these cells and open it in a browser of its own."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(cells)
    ]
    path = lab.root / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}))
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            notebook = Notebook(lab, path, page)
            page.on("console", lambda message: _note(notebook, message))
            page.on("pageerror", lambda error: notebook.problems.append(f"uncaught: {error}"))
            local = (lab.base, lab.base.replace("http", "ws", 1), "data:", "blob:")
            page.on(
                "request", lambda asked: None if asked.url.startswith(local) else notebook.problems.append(asked.url)
            )
            page.goto(
                f"{lab.base}/{_PAGES[lab.app]}/{name}.ipynb?reset&token={lab.token}", wait_until="domcontentloaded"
            )
            notebook.wait_until_ready()
            yield notebook
        finally:
            browser.close()


def _note(notebook: Notebook, message: ConsoleMessage) -> None:
    if message.type == "error":
        notebook.problems.append(f"console: {message.text}")


def picture(notebook: Notebook, name: str, of: Locator | None = None) -> None:
    """A picture of the notebook's cells, or of one thing in it, when pictures are asked for."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        shown = of or notebook.page.locator(".jp-NotebookPanel")
        shown.screenshot(path=Path(folder) / f"{name}.png")


def sideways(notebook: Notebook) -> list[str]:
    """What in our views scrolls sideways or sticks out of them; nothing should."""
    found: list[str] = notebook.page.evaluate(_SIDEWAYS)
    return found


_SIDEWAYS = """() => [...document.querySelectorAll('.kk')].flatMap((root) => {
    const edge = root.getBoundingClientRect().right + 1;
    const all = [root, ...root.querySelectorAll('*')].filter((one) => one instanceof HTMLElement && one.offsetWidth);
    const isCut = (one) => {  // by something in between, which says so with an ellipsis or by scrolling downwards
        for (let above = one.parentElement; above && above !== root; above = above.parentElement)
            if (getComputedStyle(above).overflowX !== 'visible') return true;
        return false;
    };
    const scrolls = (one) => one.scrollWidth > one.clientWidth + 1
        && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX) && !one.matches('.out, pre');
    const wide = all.filter((one) => scrolls(one) || (one.getBoundingClientRect().right > edge && !isCut(one)));
    return wide.map((one) => `${one.tagName} ${one.className}: ${one.scrollWidth} in ${one.clientWidth}`);
})"""


def accessible(notebook: Notebook) -> list[str]:
    """What axe-core finds serious or critical in our views: rule, element, and what it says of it."""
    axe = Path(__file__).parents[3] / "widgets" / "node_modules" / "axe-core" / "axe.min.js"
    assert axe.is_file(), "axe-core is not installed: run scripts/widget-tests .venv, as make check does"
    page = notebook.page
    page.evaluate(axe.read_text())
    answer: dict[str, Any] = page.evaluate("() => axe.run('.kk', {resultTypes: ['violations']})")
    return [
        f"{found['id']} ({found['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for found in answer["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
