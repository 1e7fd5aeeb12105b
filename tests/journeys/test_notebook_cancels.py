"""Fifty notebook jobs canceled in a cell and twenty while their kernel starts: no kernel is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import kernelkit as kk
from kernelkit.execution.processes import variable_of
from kernelkit.testing import RealEngine, engine
from kernelkit.wire.parent import PARENT_VARIABLE
from tests.execution.notebooks.making import make_notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

AT_ONCE = 5
WITHIN_S = 900.0
SLEEPS = "import subprocess, time\nchild = subprocess.Popen(['sleep', '900'])\nprint('begun')\ntime.sleep(900)"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with engine(home=tmp_path, real_time=True, workers=AT_ONCE) as made:
        assert isinstance(made, RealEngine)
        yield tmp_path


def kernels_of(run_ids: set[str]) -> list[int]:
    """Processes of these runs' kernels, and those below them, that have not ended."""
    found = []
    for process in psutil.process_iter(["status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if (variable_of(process.pid, PARENT_VARIABLE) or "").partition(" ")[0] in run_ids:
            found.append(process.pid)
    return found


def all_gone(runs: list[kk.RunHandle[Any]]) -> None:
    run_ids = {run.id for run in runs}
    deadline = time.monotonic() + 60
    while left := kernels_of(run_ids):
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.1)
    assert {run.status for run in runs} == {"CANCELED"}


def test_fifty_canceled_in_a_cell_leave_no_kernel(folder: Path) -> None:
    job = kk.notebook(make_notebook(folder / "long.ipynb", SLEEPS), retries=1)
    waiting = list(job.batch_trigger([None] * 50).runs)
    runs = list(waiting)
    seen = 0
    deadline = time.monotonic() + WITHIN_S
    while waiting:
        assert time.monotonic() < deadline
        for run in list(waiting):
            if run.metadata.get("output") == "begun":
                seen += len(kernels_of({run.id})) == 2  # the kernel, and what its cell has started
                run.cancel()
                waiting.remove(run)
        time.sleep(0.05)

    all_gone(runs)
    assert seen == 50


def test_twenty_canceled_while_their_kernel_starts_leave_none(folder: Path) -> None:
    job = kk.notebook(make_notebook(folder / "long.ipynb", SLEEPS), retries=1)
    runs = []
    seen = 0
    for number in range(20):
        run = job.trigger()
        runs.append(run)
        deadline = time.monotonic() + 60
        while not (found := kernels_of({run.id})):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(0.03 * (number % 10))  # from the moment the process exists to when it is about to answer
        seen += len(found)
        run.cancel()

    all_gone(runs)
    assert seen >= 20
