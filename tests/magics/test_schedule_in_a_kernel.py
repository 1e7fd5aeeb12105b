"""A schedule made by a cell, in a real kernel, with an engine that is killed around its slot."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.magics.test_in_a_kernel import Kernel

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets of jupyter_client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SLOTS = (
    "sorted(str(kk.runs.retrieve(run.id).output) for run in kk.runs.list(schedule=schedule.id, limit=100).runs"
    " if kk.runs.retrieve(run.id).status == 'COMPLETED')"
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    (tmp_path / ".git").mkdir()
    made = Kernel(tmp_path)
    try:
        made.run("%load_ext kernelkit")
        yield made
        made.run("%engine start\n%engine stop")
    finally:
        made.close()


def test_a_cell_with_cron_is_a_schedule_and_a_stopped_engine_is_told_of(kernel: Kernel) -> None:
    shown = kernel.run('%%task report() --cron "0 7 * * 1-5" --timezone Europe/Rome\nreturn 1')
    table = kernel.run("found = kk.schedules.list(task=report)\nfound")
    kernel.run("%engine stop")

    assert re.match(r"report  version \d{8}\.1  \(\)", shown)
    assert "Monday through Friday in Europe/Rome" in table or "At 07:00" in table
    assert "No engine runs" not in table
    assert "No engine runs, so none of these fires." in kernel.run("found")
    assert "No engine runs, so no schedule fires." in kernel.run("%schedules")
    assert "Europe/Tokio" in kernel.run('%%task report() --cron "0 7 * * *" --timezone Europe/Tokio\nreturn 1')


@pytest.mark.slow
def test_a_slot_has_one_run_though_the_engine_is_killed_before_and_after(kernel: Kernel) -> None:
    """It is dead while the slot comes, makes up for it when it is back, and is killed again as soon as it has."""
    kernel.run(
        '%%task tick(timestamp: str) --cron "* * * * *" --timezone Europe/Rome --isolation shared\nreturn timestamp'
    )
    kernel.run("(schedule,) = kk.schedules.list(task=tick)")
    if 60 - time.time() % 60 < 8:
        time.sleep(8)  # the engine is to be killed before the slot
    slot = (time.time() // 60 + 1) * 60
    _kill(kernel)
    time.sleep(max(0.0, slot + 0.5 - time.time()))
    moment = time.strftime("%H:%M", time.gmtime(slot))

    kernel.run("kk.engine.start()")
    deadline = time.monotonic() + 30
    while "run_" not in kernel.run("[run.id for run in kk.runs.list(schedule=schedule.id).runs]"):
        assert time.monotonic() < deadline, "the slot was not made up for"
    _kill(kernel)
    kernel.run("kk.engine.start()")
    while moment not in (ended := kernel.run(SLOTS)):
        assert time.monotonic() < deadline, "the run did not end"

    slots = re.findall(r"\d{4}-\d\d-\d\d[T ](\d\d:\d\d)", ended)
    assert slots.count(moment) == 1
    assert len(slots) == len(set(slots))


def _kill(kernel: Kernel) -> None:
    pid = int(re.findall(r"\d+", kernel.run("kk.engine.status().pid"))[0])
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=20)
