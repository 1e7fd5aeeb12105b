"""The extension as a person has it: a real kernel, the real engine, worker processes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel


class Kernel:
    """A kernel of a project in `folder`."""

    def __init__(self, folder: Path) -> None:
        project = Path(__file__).parents[2]
        variables = os.environ | {"PYTHONPATH": str(project), "JPY_SESSION_NAME": str(folder / "thumbs.ipynb")}
        started: tuple[Any, BlockingKernelClient] = start_new_kernel(cwd=str(folder), env=variables)
        self._manager, self._client = started

    def run(self, source: str) -> str:
        """All that is shown below a cell, colours taken away."""
        shown: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    shown.append(content["text"])
                case "display_data" | "execute_result":
                    shown.append(content["data"].get("text/plain", "") + "\n")
                case "error":
                    shown.append("\n".join(content["traceback"]) + "\n")

        self._client.execute_interactive(source, output_hook=take, timeout=60)
        return re.sub(r"\x1b\[[\d;]*m", "", "".join(shown))

    def offered(self, code: str) -> list[str]:
        """What Tab offers at the end of `code`."""
        reply = self._client.complete(code, len(code), reply=True, timeout=60)
        found: list[str] = reply["content"]["matches"]
        begin = reply["content"]["cursor_start"]
        return [code[:begin] + match for match in found]

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def kernel(folder: Path) -> Iterator[Kernel]:
    kernel = Kernel(folder)
    try:
        yield kernel
        kernel.run("%load_ext kernelkit\n%engine stop")
    finally:
        kernel.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of jupyter_client
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cells_become_tasks_that_workers_run(kernel: Kernel, folder: Path) -> None:
    assert kernel.run("%load_ext kernelkit") == ""
    kernel.run("factor = 3\ndef broken(n):\n    return n / 0")

    shown = kernel.run("# twice and more\n%%task multiply(n: int) --queue maths\nprint('at work')\nreturn n * factor")
    assert re.fullmatch(r"multiply  version \d{8}\.1  \(n: int\)  queue maths\n", shown)
    assert kernel.run("print(multiply.trigger(n=4).result(timeout=30).output)") == "12\n"
    kernel.run("factor = 5")
    assert kernel.run("print(multiply.trigger(n=4).result(timeout=30).output)") == "20\n"

    kernel.run("%%task later(n: int) --retries 1\nimport asyncio\nawait asyncio.sleep(0)\nreturn broken(n)")
    told = kernel.run("print(later.trigger(n=1).result(timeout=30).error.traceback)")
    assert 'File "<Cell [7]>", line 4, in later\n    return broken(n)' in told
    assert 'File "<Cell [2]>", line 3, in broken\n    return n / 0' in told

    assert "1–3 of 3, newest first" in kernel.run("%runs")
    assert "✓ Engine healthy" in kernel.run("%engine")
    assert "has stopped" in kernel.run("%engine stop")
    refused = kernel.run("multiply.trigger(n=1)")
    assert "EngineUnavailableError" in refused
    assert "`%engine start`" in refused
    assert "triggering.py" not in refused
    kernel.run("%engine start")
    assert kernel.run("print(multiply.trigger(n=2).result(timeout=30).output)") == "10\n"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # as above
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_id_of_another_open_notebook_is_refused_in_words(kernel: Kernel, folder: Path) -> None:
    other = Kernel(folder)
    try:
        for one, name in ((kernel, "a.ipynb"), (other, "b.ipynb")):
            one.run(f"import os; os.environ['JPY_SESSION_NAME'] = {str(folder / name)!r}\n%load_ext kernelkit")
        kernel.run("%%task resize()\nreturn 1")

        told = other.run("%%task resize()\nreturn 2")

        assert "DuplicateTaskError" in told
        assert "a.ipynb" in told
        assert "Traceback" not in told
        assert "version" in other.run("%%task resize() --replace\nreturn 2")
    finally:
        other.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # as above
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_line_triggers_and_tab_knows_tasks_runs_and_options(kernel: Kernel, folder: Path) -> None:
    kernel.run("%load_ext kernelkit")
    kernel.run("%%task multiply(n: int, by: int = 2)\nreturn n * by")

    assert kernel.offered("%trigger mul") == ["%trigger multiply"]
    assert kernel.offered("run = %trigger multiply b") == ["run = %trigger multiply by="]
    assert "%trigger multiply n=4 --delay" in kernel.offered("%trigger multiply n=4 --de")
    assert "Did you mean `multiply`" in kernel.run("%trigger multipyl n=4")
    assert "'four' is not a whole number" in kernel.run("%trigger multiply n=four")
    assert "there is no such field; did you mean 'by'" in kernel.run("%trigger multiply n=4 byy=3")
    shown = kernel.run("%trigger multiply n=4 by=5 --tags one")
    assert "multiply" in shown
    kernel.run("run = %trigger multiply n=4 by=5 --tags two")
    assert kernel.run("print(run.result(timeout=30).output, run.refresh().tags)") == "20 ('two',)\n"

    (tree,) = kernel.offered("%run_tree " + kernel.run("print(run.id)").strip())
    assert tree.startswith("%run_tree run_")
    assert "%run_tree run" in kernel.offered("%run_tree ru")
    assert kernel.offered("%runs --status comp") == ["%runs --status completed"]
    assert kernel.offered("%%task --isol") == ["%%task --isolation"]
    assert kernel.offered("%engine sta") == ["%engine status", "%engine start"]
    kernel.run("%engine stop")
    assert kernel.offered("%trigger mul") == ["%trigger multiply"], "the notebook's own, without an engine"
    assert "not running" in kernel.run("%engine")
