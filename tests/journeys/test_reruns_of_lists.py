"""As test_reruns.py, of the views about many runs or lines, which never end by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journeys.test_reruns import SETUP, Cells

TIMES = 25
MORE = """
batch = long.batch_trigger([{} for _ in range(20)])"""
SHOW = "display(kk.runs.list(), batch, run.logs())\n%runs"


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of jupyter_client
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tables_batches_and_logs_leave_no_comm_widget_thread_or_subscription(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    kernel = Cells(tmp_path)
    try:
        kernel.run(SETUP + MORE)
        kernel.execute(SHOW, "shows")
        once = json.loads(kernel.run("print(json.dumps(held()))"))
        assert once["comms"] >= 8, "four widgets, each with its layout"

        for _ in range(TIMES):
            kernel.execute(SHOW, "shows")

        assert json.loads(kernel.run(f"print(json.dumps(settled({once})))")) == once
    finally:
        kernel.run("run.cancel()\nbatch.cancel()\n%engine stop")
        kernel.close()
