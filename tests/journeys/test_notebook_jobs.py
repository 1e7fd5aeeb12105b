"""Notebook jobs as a person meets them: a real engine, a real worker, a real kernel for each run."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import kernelkit as kk
from kernelkit.authoring.artifacts import Artifact
from kernelkit.execution.processes import variable_of
from kernelkit.testing import RealEngine, engine
from kernelkit.ui.run_cards import run_handle_bundle
from kernelkit.wire.messages import EngineStatus, GetStatus
from kernelkit.wire.parent import PARENT_VARIABLE
from tests.execution.notebooks.making import make_notebook

pytestmark = pytest.mark.timeout(180)

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    with engine(home=tmp_path_factory.mktemp("jobs"), real_time=True, workers=2) as made:
        assert isinstance(made, RealEngine)
        yield made


@pytest.fixture
def folder(running: RealEngine, tmp_path: Path) -> Iterator[Path]:
    with running.caller.use():
        yield tmp_path


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.02)


def kernels_of(run: kk.RunHandle[Any]) -> list[psutil.Process]:
    """Processes that belong to the kernel of a run, those included that it started."""
    return [process for process in psutil.process_iter() if _lives(process) and _run_of(process) == run.id]


def _run_of(process: psutil.Process) -> str:
    return (variable_of(process.pid, PARENT_VARIABLE) or "").partition(" ")[0]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def cells_of(artifact: Artifact) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(artifact.read_text())["cells"]
    return cells


def text_of(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


# ---- a run that goes well --------------------------------------------------------------------------------------------


def test_a_notebook_runs_with_its_parameters_and_leaves_itself_and_a_page(folder: Path) -> None:
    (folder / "helper.py").write_text("def double(n): return 2 * n\n")
    path = make_notebook(
        folder / "daily.ipynb",
        "md:# The report",
        ("region: str = 'EU'\ndays = 7\nother = [1]", "parameters"),
        "import os, helper\nprint(region, days, other, helper.double(days), os.getcwd())",
        "from IPython.display import HTML\nHTML('<b>42 sold</b>')",
    )

    run = kk.notebook(path, id="daily-report", retries=1).trigger(region="US", days="3")
    result = run.result(timeout=WITHIN_S)

    assert result.ok, result.error
    executed, page = run.artifacts["daily.ipynb"], run.artifacts["daily.html"]
    assert result.output == {"notebook": str(executed.path), "html": str(page.path), "cells": 4}
    cells = cells_of(executed)
    assert cells[2]["metadata"]["tags"] == ["injected-parameters"]
    assert cells[2]["source"] == "# Parameters\nregion = 'US'\ndays = 3\n"
    assert text_of(cells[3]) == f"US 3 [1] 6 {folder}\n"
    assert [cell.get("execution_count") for cell in cells] == [None, 1, 2, 3, 4]
    shown = run_handle_bundle(run)
    assert page.path.as_uri() in shown["text/html"] and executed.path.as_uri() in shown["text/html"]
    assert "files   daily.html" in shown["text/plain"]
    assert "42 sold" in page.read_text() and "The report" in page.read_text()
    assert "http" not in page.read_text().replace("http://www.w3.org", ""), "a page needs no network"
    assert {executed.path.stat().st_mode & 0o777, page.path.stat().st_mode & 0o777} == {0o600}
    assert run.metadata["parameters"] == {"region": "US", "days": 3, "other": [1]}
    assert run.metadata["kk.progress"][0]["done"] == 4
    assert run.metadata["cell"] == "4 of 4: from IPython.display import HTML"
    shown = run.metadata["kk.notebook"]
    assert (shown["file"], shown["kernel"], shown["cells"], shown["done"]) == ("daily.ipynb", "python3", 4, 4)
    assert [line.text for line in run.logs().lines] == [f"US 3 [1] 6 {folder}"]
    assert kk.runs.artifacts(run.id)[0].name == "daily.html"
    assert not kernels_of(run)


CURRENT = "import pathlib, time\nprint('waiting')\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)"


def test_its_cells_are_seen_while_it_runs(folder: Path) -> None:
    path = make_notebook(
        folder / "steps.ipynb",
        "first = 'done'\nprint(first)",
        CURRENT,
    )
    run = kk.notebook(path, id="steps").trigger()

    until(lambda: run.metadata.get("output") == "waiting", "the last output")
    assert run.metadata["cell"] == "2 of 2: import pathlib, time"
    job = run.metadata["kk.notebook"]
    assert (job["cell"], job["done"], job["source"]) == (2, 1, CURRENT)
    shown = run_handle_bundle(run)
    assert "1 of 2 cells · executing cell 2 for" in shown["text/plain"] and "steps.ipynb" in shown["text/html"]
    assert text_of(cells_of(run.artifacts["steps.ipynb"])[0]) == "done\n", "it is written after every cell"
    (folder / "go").touch()

    assert run.result(timeout=WITHIN_S).ok


def test_a_live_notebook_runs_as_it_is_and_a_snapshot_as_it_was(folder: Path) -> None:
    path = make_notebook(folder / "both.ipynb", ("n = 1\nm = 1", "parameters"), "print('old', n)")
    live = kk.notebook(path, id="live", source="live", retries=1)
    snapshot = kk.notebook(path, id="snapshot", retries=1)
    make_notebook(path, ("n = 1", "parameters"), "print('new', n)")

    runs = [live.trigger(n=2), snapshot.trigger(n=2), live.trigger(m=2)]
    results = [run.result(timeout=WITHIN_S) for run in runs]

    assert [line.text for line in runs[0].logs().lines] == ["new 2"]
    assert [line.text for line in runs[1].logs().lines] == ["old 2"]
    assert results[2].error is not None and "no parameter 'm': the notebook was changed" in results[2].error.message


def test_too_much_output_is_cut_and_the_rest_goes_on(folder: Path) -> None:
    path = make_notebook(folder / "loud.ipynb", "for _ in range(300): print('x' * 999)", "print('still here')")

    run = kk.notebook(path, id="loud", output_limit=100_000).trigger()

    assert run.result(timeout=WITHIN_S).ok
    loud, quiet = cells_of(run.artifacts["loud.ipynb"])
    assert len(text_of(loud)) == 100_000
    assert "200,000 bytes of output left out" in str(loud["outputs"][-1]["data"])
    assert text_of(quiet) == "still here\n"


def test_hooks_batches_and_retries_are_those_of_any_task(folder: Path) -> None:
    path = make_notebook(
        folder / "flaky.ipynb",
        ("name = ''", "parameters"),
        "import pathlib\nmark = pathlib.Path(name)",
        "if not mark.exists():\n    mark.touch()\n    raise OSError('not yet')",
    )
    flaky = kk.notebook(path, id="flaky", retry=kk.Retry(max_attempts=2, min_timeout=0.01, max_timeout=0.01))

    @flaky.on_success
    def tell(output: dict[str, Any]) -> None:
        kk.metadata.set("told", output["cells"])

    batch = flaky.batch_trigger([{"name": "a"}, {"name": "b"}])
    results = batch.result(timeout=WITHIN_S)

    assert [result.ok for result in results] == [True, True]
    for run in batch.runs:
        first, second = run.refresh().attempts
        assert first.error is not None and "OSError: not yet" in first.error.message
        assert (second.status, run.metadata["told"]) == ("COMPLETED", 4)
        assert (run.metadata["kk.notebook"]["done"], run.metadata["output"]) == (4, ""), "the first attempt's is gone"


def test_what_a_notebook_triggers_is_a_child_of_its_run(folder: Path) -> None:
    path = make_notebook(
        folder / "parent.ipynb",
        "import kernelkit as kk\n%load_ext kernelkit",
        "%%task square(n: int)\nreturn n * n",
        "run = square.trigger(n=7)\nprint(run.result(timeout=60).unwrap())",
        "batch = square.batch_trigger([{'n': 1}, {'n': 2}])\nprint([result.output for result in await batch])",
    )
    run = kk.notebook(path, id="parent").trigger()

    result = run.result(timeout=120)

    assert result.ok, result.error
    assert [line.text for line in run.logs().lines if line.level == "stdout"][-2:] == ["49", "[1, 4]"]
    children = kk.runs.list(parent=run).runs
    assert {(child.task_id, child.parent_id, child.root_id, child.depth) for child in children} == {
        ("square", run.id, run.id, 1)
    }
    assert len(children) == run.refresh().children == 3


# ---- and badly -------------------------------------------------------------------------------------------------------


def test_a_cell_that_raises_is_named_and_its_traceback_is_kept(folder: Path) -> None:
    path = make_notebook(folder / "bad.ipynb", "def f(x):\n    return 1 / x", "# how much?\nf(0)", "print('never')")

    run = kk.notebook(path, id="bad", retries=1).trigger()
    error = run.result(timeout=WITHIN_S).error

    assert error is not None
    assert (error.name, error.code) == ("NotebookCellError", "notebook_cell")
    assert error.message == "Cell [2] of bad.ipynb (f(0)) raised ZeroDivisionError: division by zero"
    assert "----> 2     return 1 / x" in error.traceback and "\x1b" not in error.traceback
    assert [(frame.file, frame.line, frame.source) for frame in error.frames] == [
        ("<cell [2] of bad.ipynb>", 2, "f(0)"),
        ("<cell [1] of bad.ipynb>", 2, "    return 1 / x"),
    ]
    assert "ZeroDivisionError" in run.artifacts["bad.html"].read_text()
    assert not kernels_of(run)


def test_a_kernel_that_dies_and_one_that_does_not_start_are_errors_of_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = make_notebook(folder / "dies.ipynb", "import os\nprint('x')", "os.kill(os.getpid(), 9)")
    spec = {"argv": ["python", "-c", "raise SystemExit('no such thing')"], "display_name": "x", "language": "python"}
    (folder / "kernels" / "broken").mkdir(parents=True)
    (folder / "kernels" / "broken" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    broken = make_notebook(folder / "broken.ipynb", "1", kernel="broken")

    runs = [kk.notebook(dies, id="dies", retries=1).trigger(), kk.notebook(broken, id="broken", retries=1).trigger()]
    errors = [run.result(timeout=WITHIN_S).error for run in runs]

    assert [error and error.name for error in errors] == ["NotebookKernelError"] * 2
    assert errors[0] is not None and errors[1] is not None
    assert errors[0].message.startswith(
        "The kernel died in Cell [2] of dies.ipynb (os.kill(os.getpid(), 9)): killed by"
    )
    assert "ended as it started (exit code 1). It wrote:\n\nno such thing" in errors[1].message
    assert text_of(cells_of(runs[0].artifacts["dies.ipynb"])[0]) == "x\n"
    assert not [kernel for run in runs for kernel in kernels_of(run)]


def test_a_cell_that_takes_too_long_is_interrupted_and_one_that_is_deaf_is_killed(folder: Path) -> None:
    slow = make_notebook(folder / "slow.ipynb", "import time\ntry:\n    time.sleep(60)\nfinally:\n    print('tidy')")
    deaf = make_notebook(
        folder / "deaf.ipynb", "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)", "time.sleep(60)"
    )

    runs = [kk.notebook(path, id=path.stem, retries=1, cell_timeout="1s").trigger() for path in (slow, deaf)]
    errors = [run.result(timeout=WITHIN_S).error for run in runs]

    assert errors[0] is not None and errors[1] is not None
    assert [error.name for error in errors if error] == ["NotebookTimeoutError"] * 2
    assert (
        errors[1].message
        == "Cell [2] of deaf.ipynb (time.sleep(60)) was interrupted: it took longer than cell_timeout, 1 s."
    )
    assert [line.text for line in runs[0].logs().lines] == ["tidy"]
    assert not [kernel for run in runs for kernel in kernels_of(run)]


def test_a_cell_may_say_that_there_is_no_point_in_trying_again(folder: Path) -> None:
    path = make_notebook(folder / "abort.ipynb", "import kernelkit as kk\nraise kk.AbortTaskRunError('account closed')")

    run = kk.notebook(path, id="abort", retries=5).trigger()
    error = run.result(timeout=WITHIN_S).error

    assert error is not None and (error.name, error.message) == ("AbortTaskRunError", "account closed")
    assert run.refresh().attempt_number == 1


def test_memory_is_the_kernels_and_a_machine_caps_it(folder: Path) -> None:
    path = make_notebook(folder / "large.ipynb", ("mb = 300", "parameters"), "held = bytearray(mb * 2**20)\nlen(held)")

    fits = kk.notebook(path, id="large", retries=1).trigger()
    capped = kk.notebook(path, id="capped", retries=1, machine="small-1x").trigger(mb=700)

    assert fits.result(timeout=WITHIN_S).ok and (fits.refresh().peak_memory or 0) > 300 * 2**20
    error = capped.result(timeout=WITHIN_S).error
    assert capped.status == "CRASHED" and error is not None
    assert (error.name, "MemoryError" in error.message) == ("OutOfMemoryError", True)


# ---- no kernel is left -----------------------------------------------------------------------------------------------

SLEEPS = "import subprocess, time\nchild = subprocess.Popen(['sleep', '300'])\nprint('begun')\ntime.sleep(300)"
TIDY = "try: time.sleep(300)\nfinally: print('tidy')"
WAITS = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)"


def begun(run: kk.RunHandle[Any]) -> bool:
    return run.metadata.get("output") == "begun"


def test_canceling_in_a_cell_interrupts_it_and_leaves_no_process(folder: Path) -> None:
    path = make_notebook(
        folder / "long.ipynb", SLEEPS.replace("time.sleep(300)", "try: time.sleep(300)\nfinally: print('tidy')")
    )
    run = kk.notebook(path, id="long").trigger()
    until(lambda: begun(run), "the cell")
    assert len(kernels_of(run)) == 2

    run.cancel()

    until(lambda: not kernels_of(run), "the kernel's end")
    until(lambda: text_of(cells_of(run.artifacts["long.ipynb"])[0]) == "begun\ntidy\n", "its last output")
    assert run.status == "CANCELED"


def test_time_that_is_up_and_kernels_that_are_just_starting(folder: Path) -> None:
    path = make_notebook(folder / "long.ipynb", SLEEPS)
    slow = kk.notebook(path, id="too-long", max_duration="2s").trigger()
    starting = [kk.notebook(path, id="starting").trigger() for _ in range(3)]
    for run in starting:
        until(lambda run=run: bool(kernels_of(run)) or run.is_completed, "a kernel")  # type: ignore[misc]
        run.cancel()

    assert slow.result(timeout=WITHIN_S).run.status == "TIMED_OUT"
    for run in (slow, *starting):
        until(lambda run=run: not kernels_of(run), "the kernel's end")  # type: ignore[misc]


def test_a_worker_that_is_killed_takes_its_kernel_along(folder: Path, running: RealEngine) -> None:
    path = make_notebook(folder / "long.ipynb", SLEEPS)
    run = kk.notebook(path, id="orphaned", retries=1).trigger()
    until(lambda: begun(run), "the cell")
    (worker,) = {psutil.Process(kernel.pid).ppid() for kernel in kernels_of(run)} & _workers(running)

    os.kill(worker, signal.SIGKILL)

    error = run.result(timeout=WITHIN_S).error
    assert error is not None and error.name == "WorkerLostError"
    until(lambda: not kernels_of(run), "the kernel's end")


def test_a_job_survives_a_crash_of_the_engine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = make_notebook(
        folder / "through.ipynb",
        "print('begun')",
        "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.02)",
    )
    client = kk.Client(home=tmp_path_factory.mktemp("crash") / ".kernelkit")
    try:
        with client.use():
            run = kk.notebook(path, id="through").trigger()
            until(lambda: run.metadata.get("cell", "").startswith("2 of 2"), "the second cell")
            os.kill(client.engine.status().pid, signal.SIGKILL)
            (folder / "go").touch()
            assert run.result(timeout=WITHIN_S).ok
            assert run.refresh().attempt_number == 1
            assert not kernels_of(run)
            client.engine.stop()
    finally:
        client.close()


def _workers(running: RealEngine) -> set[int]:
    status = running.caller.call(GetStatus())
    assert isinstance(status, EngineStatus)
    return {worker.pid for worker in status.workers}
