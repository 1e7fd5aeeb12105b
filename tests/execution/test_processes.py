"""Ending whole trees of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from kernelkit.execution import processes
from kernelkit.wire.liveness import is_alive

FAMILY = """
import os, subprocess, sys
child = [sys.executable, "-c", "import time; time.sleep(60)"]
group = subprocess.Popen(child)
session = subprocess.Popen(child, start_new_session=True)
print(group.pid, session.pid, flush=True)
group.wait()
"""


@pytest.mark.parametrize("new_session", [True, False])
def test_a_killed_tree_takes_children_with_sessions_of_their_own_along(new_session: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True, start_new_session=new_session
    ) as root:
        assert root.stdout is not None
        below = {int(pid) for pid in root.stdout.readline().split()}

        found = processes.kill_tree(root.pid)

        assert found == below | {root.pid}
        assert root.wait() == -9
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in below):  # the signal is sent, dying takes a moment
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killing_what_is_gone_is_no_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    processes.kill_tree(gone.pid)
    processes.kill_group(gone.pid)


def test_our_own_group_is_never_killed() -> None:
    processes.kill_group(os.getpgrp())


def test_facts_of_a_living_process_can_be_read() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "x = b'x' * 50_000_000; print(1, flush=True); input()"],
        env={**os.environ, "KERNELKIT_TEST_MARK": "a=b"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()

        assert child.pid in processes.children()
        assert processes.variable_of(child.pid, "KERNELKIT_TEST_MARK") == "a=b"
        assert processes.variable_of(child.pid, "KERNELKIT_OTHER") is None
        assert (processes.peak_memory(child.pid) or 0) > 50_000_000
        child.kill()
    assert processes.peak_memory(child.pid) is None
    assert processes.variable_of(child.pid, "HOME") is None
