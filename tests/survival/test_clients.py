"""Kernels that restart or die, sixteen clients at once, and notebooks with different interpreters."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.survival.project import REPOSITORY, Project, environments, until

# A cell of a notebook: a run that goes on until the test lets it.
CELL = """
import os, asyncio, sys
import kernelkit as kk
NOTES, GATE = {notes!r}, {gate!r}

@kk.task
async def gated(n: int) -> int:
    with open(NOTES, "a") as file:
        file.write(f"start {{kk.ctx.run.id}} {{kk.ctx.attempt.number}} {{os.getpid()}}\\n")
    while not os.path.exists(GATE):
        await asyncio.sleep(0.02)
    return 2 * n

run = gated.trigger(n=21)
print(run.id)
"""


def cell(project: Project) -> str:
    return CELL.format(notes=str(project.notes_path), gate=str(project.folder / "gate"))


StartKernel = Callable[[], KernelManager]


@pytest.fixture
def start_kernel(project: Project) -> Iterator[StartKernel]:
    """Starts kernels in the project's folder."""
    managers: list[KernelManager] = []

    def start() -> KernelManager:
        manager = KernelManager(kernel_name="python3")
        managers.append(manager)
        manager.start_kernel(cwd=str(project.folder), env=project.env)
        return manager

    yield start
    for manager in managers:
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def client_of(manager: KernelManager) -> BlockingKernelClient:
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return client


def execute(client: BlockingKernelClient, code: str) -> str:
    """What a cell prints; fails with its traceback."""
    printed: list[str] = []

    def hook(message: dict[str, dict[str, str]]) -> None:
        printed.append(message["content"].get("text", ""))

    answer = client.execute_interactive(code, output_hook=hook, timeout=60)
    assert answer["content"]["status"] == "ok", answer["content"]
    return "".join(printed).strip()


ASK = "import kernelkit as kk; run = kk.runs.retrieve({!r}); print(run.status.value, run.output, len(run.attempts))"


@pytest.mark.parametrize(
    "how", [pytest.param("restarted", marks=pytest.mark.slow), "restarted in the midst of a cell", "killed"]
)
def test_a_run_outlives_its_kernel(project: Project, start_kernel: StartKernel, how: str) -> None:
    kernel = start_kernel()
    client = client_of(kernel)
    run_id = execute(client, cell(project))
    until(lambda: project.noted("start"), f"the body; {project.log}")
    engine = project.engine()
    if how == "restarted in the midst of a cell":
        client.execute("run.result()")
    client.stop_channels()

    if how == "killed":
        kernel.signal_kernel(signal.SIGKILL)
        kernel = start_kernel()
    else:
        kernel.restart_kernel(now=how != "restarted")
    client = client_of(kernel)
    assert execute(client, ASK.format(run_id)) == "EXECUTING None 1"
    (project.folder / "gate").touch()
    until(lambda: execute(client, ASK.format(run_id)) == "COMPLETED 42 1", "the end of the run")

    listed = execute(client, "print([each.id for each in kk.runs.list()])")
    assert listed == str([run_id])
    assert len(project.noted("start")) == 1
    assert project.engine() == engine
    client.stop_channels()


def test_a_run_outlives_the_notebook_that_nbclient_executed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    v4: Any = nbformat.v4  # without types
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell(project))])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute(cwd=str(project.folder))
    run_id = notebook.cells[0].outputs[0]["text"].strip()

    (project.folder / "gate").touch()

    ask = ASK.format(run_id)
    done = "run = kk.runs.retrieve(run.id)\nwhile not run.is_completed:\n    run = kk.runs.retrieve(run.id)"
    said = project.run(f"{ask.rsplit(';', 1)[0]}\n{done}\nsay(run.status.value, run.output, len(run.attempts))")
    assert said == [["COMPLETED", 42, 1]]


def test_sixteen_clients_at_once_start_one_engine(project: Project) -> None:
    script = project.write(
        """
@kk.task
async def double(n: int) -> int:
    return 2 * n

say("ready")
heard()
handle = double.trigger(n=int(sys.argv[1]))
say(handle.id, handle.result(timeout=60).output, kk.engine.status().pid)
"""
    )
    clients = [project.client(script, n) for n in range(16)]
    for client in clients:
        assert client.hear() == ["ready"]

    for client in clients:
        client.tell()
    said = [client.hear_all(within=60)[0] for client in clients]

    assert [output for _, output, _ in said] == [2 * n for n in range(16)]
    assert {pid for _, _, pid in said} == {project.engine()}
    assert [process.pid for process in project.engines()] == [project.engine()]
    assert project.home.engine_log.read_text().count("engine up") == 1
    assert len(project.keepers()) == 1


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """Another interpreter with the same packages, as a second virtual environment has them."""
    folder = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (site / "same.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{REPOSITORY}\n")
    return folder / "bin" / "python"


def test_two_interpreters_share_an_engine_and_have_a_keeper_each(project: Project, other_python: Path) -> None:
    texts = [
        f"""
@kk.task
async def where_{name}() -> str:
    return sys.executable

@kk.task
def where_{name}_plain() -> str:
    return sys.executable

runs = [where_{name}.trigger(), where_{name}_plain.trigger()]
say([run.result(timeout=60).output for run in runs], kk.engine.status().pid)
"""
        for name in ("first", "second")
    ]
    clients = [
        project.client(project.write(texts[0])),
        project.client(project.write(texts[1]), python=str(other_python)),
    ]

    (first, second) = [client.hear_all(within=60)[0] for client in clients]

    assert first == [[sys.executable] * 2, project.engine()]
    assert second == [[str(other_python)] * 2, project.engine()]
    assert sorted(environments(project.home)) == sorted([sys.executable, str(other_python)])
    assert {process.cmdline()[0] for process in project.keepers()} == {sys.executable, str(other_python)}
    assert len(project.engines()) == 1


def test_a_client_that_is_killed_leaves_its_runs_and_the_engine_alone(project: Project) -> None:
    client = project.client(
        """
@kk.task
def slow() -> int:
    note("start", os.getpid())
    time.sleep(0.5)
    note("end", os.getpid())
    return 1

say([slow.trigger().id for _ in range(3)])
heard()
"""
    )
    (ids,) = client.hear()
    until(lambda: project.noted("start"), "a body")
    client.end()

    until(lambda: len(project.noted("end")) == 3, "all ends")
    until(lambda: project.status()["executing"] == 0, "no run left")
    listed = json.loads(project.cli("runs", "--json").stdout)
    assert ids and len(project.noted("start")) == 3
    assert {run_id for run_id in ids if run_id in json.dumps(listed)} == set(ids)


SHARED_TASKS = """
@kk.task
async def who() -> str:
    return os.environ["WHO"]
"""

ASKS_WHO = """
os.environ["WHO"] = sys.argv[1]
from shared_tasks import who
say(who.trigger().result(timeout=30).output)
heard()
say(who.trigger().result(timeout=30).output)
os.environ["WHO"] += ", later"
say(who.trigger().result(timeout=30).output)
"""


def test_each_process_has_its_own_variables_though_they_share_a_module(project: Project) -> None:
    # The second process's definition took the first one's runs along: bundles of module functions hash alike.
    project.write(SHARED_TASKS, "shared_tasks.py")
    one = project.client(ASKS_WHO, "one")
    assert one.hear() == ["one"]
    two = project.client(ASKS_WHO, "two")
    assert two.hear() == ["two"]

    one.tell()
    two.tell()

    assert one.hear_all() == [["one"], ["one, later"]]
    assert two.hear_all() == [["two"], ["two, later"]]
