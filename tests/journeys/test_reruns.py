"""A cell that shows live views is executed two hundred times: what earlier executions left behind is gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.magics.test_in_a_kernel import Kernel

TIMES = 200
SETUP = """\
%load_ext kernelkit
import json, threading, time
import comm, ipywidgets
import kernelkit as kk
from kernelkit.ui.run_cards import cards

@kk.task
async def long() -> None:
    await kk.wait.for_(hours=1)

run = long.trigger()
def held():
    return {
        "comms": len(comm.get_comm_manager().comms),
        "widgets": len(ipywidgets.widgets.widget._instances),
        "threads": threading.active_count(),
        "cards": sum(len(feed.cards) for feed in cards._feeds.values()),
    }
def settled(most):
    end = time.monotonic() + 20
    while any(held()[name] > most[name] for name in most) and time.monotonic() < end:
        time.sleep(0.05)
    return held()
while run.status != "WAITING":
    time.sleep(0.05)"""
SHOW = "display(run); run.tree()"


class Cells(Kernel):
    """A kernel that is told which cell is executed, as JupyterLab does."""

    def execute(self, source: str, cell: str) -> None:
        client = self._client
        message = client.session.msg(
            "execute_request", {"code": source, "silent": False, "store_history": True, "allow_stdin": False}
        )
        message["metadata"]["cellId"] = cell
        client.shell_channel.send(message)
        about_it = message["header"]["msg_id"]
        while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != about_it:
            pass
        assert reply["content"]["status"] == "ok", reply["content"]
        while True:  # or the kernel throws away what nobody reads
            shown = client.get_iopub_msg(timeout=60)
            is_idle = shown["msg_type"] == "status" and shown["content"]["execution_state"] == "idle"
            if is_idle and shown["parent_header"].get("msg_id") == about_it:
                return


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of jupyter_client
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_hundred_executions_leave_no_comm_widget_thread_or_subscription(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    kernel = Cells(tmp_path)
    try:
        kernel.run(SETUP)
        kernel.execute(SHOW, "shows")
        once = json.loads(kernel.run("print(json.dumps(held()))"))
        assert once["cards"] == 1
        assert once["comms"] >= 4, "a card and a tree, each with its layout"

        for _ in range(TIMES):
            kernel.execute(SHOW, "shows")

        left = json.loads(kernel.run(f"print(json.dumps(settled({once})))"))
        assert left == once
    finally:
        kernel.run("run.cancel()\n%engine stop")
        kernel.close()
