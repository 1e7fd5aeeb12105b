"""The background loop: order, one wake for many, and a quiet end."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from kernelkit.client.portal import THREAD_NAME, Portal


def test_calls_come_in_order_on_the_portals_own_thread() -> None:
    portal = Portal()
    seen: list[int] = []
    done: Future[tuple[str, bool]] = Future()

    for number in range(100):
        portal.run_soon(seen.append, number)
    portal.run_soon(lambda: done.set_result((threading.current_thread().name, portal.is_here)))

    assert done.result(10) == (THREAD_NAME, True)
    assert seen == list(range(100))
    assert not portal.is_here
    portal.close()
    assert not portal.is_usable


def test_a_call_that_fails_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    portal = Portal()
    done: Future[bool] = Future()

    with caplog.at_level(logging.ERROR):
        portal.run_soon(lambda: 1 / 0)
        portal.run_soon(done.set_result, True)
        assert done.result(10)

    assert "portal call failed" in caplog.text
    portal.close()


def test_closing_does_the_last_thing_first_and_twice_is_fine() -> None:
    portal = Portal()
    seen: list[str] = []

    portal.close(lambda: seen.append("last"))
    portal.close()

    assert seen == ["last"]


def test_a_process_with_an_open_portal_ends_quietly_and_its_forks_have_none() -> None:
    script = (
        "import os, sys\n"
        "from kernelkit.client.portal import Portal\n"
        "portal = Portal()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(7 if not portal.is_usable and Portal().is_usable else 1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "assert portal.is_usable\n"
    )

    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script], capture_output=True, text=True, timeout=30
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
