"""Telling one process from another, and one boot from another."""

from __future__ import annotations

import os
import subprocess
import sys

from kernelkit.wire import liveness


def test_a_zombie_and_a_reused_pid_are_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started_at = liveness.process_started_at(child.pid)
    assert liveness.is_alive(child.pid, started_at)
    assert not liveness.is_alive(child.pid, started_at - 60)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, not reaped
    assert not liveness.is_alive(child.pid, started_at)

    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert not liveness.is_alive(child.pid)
    assert liveness.process_started_at(child.pid) == 0.0


def test_the_boot_is_the_same_for_all() -> None:
    assert liveness.boot_id() == liveness.boot_id() != ""
