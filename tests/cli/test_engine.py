"""`up`, `down`, `restart`, `status` and `doctor` with a real engine."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from kernelkit.config import Home
from tests.cli.conftest import KernelKit


def pid_of(kernelkit: KernelKit) -> int:
    pid: int = json.loads(kernelkit("status", "--json"))["pid"]
    return pid


def test_an_engine_that_is_up_is_the_same_one_until_it_is_down(kernelkit: KernelKit) -> None:
    kernelkit("up")
    first = pid_of(kernelkit)
    kernelkit("up")

    assert pid_of(kernelkit) == first
    assert "has stopped" in kernelkit("down")
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    assert "`kernelkit up` starts it" in kernelkit("status", wanted=3)


def test_an_engine_that_would_stop_when_idle_is_replaced_by_one_that_stays(home: Home, kernelkit: KernelKit) -> None:
    home.create()
    kernelkit("runs")
    started_by_need = pid_of(kernelkit)

    kernelkit("up")

    kept = pid_of(kernelkit)
    assert kept != started_by_need
    assert "--keep" in psutil.Process(kept).cmdline()


def test_restart_brings_up_another_process_on_the_same_home(kernelkit: KernelKit) -> None:
    kernelkit("up")
    first = pid_of(kernelkit)

    kernelkit("restart")

    assert pid_of(kernelkit) != first


def test_up_takes_the_mark_of_down_away(home: Home, kernelkit: KernelKit) -> None:
    kernelkit("up")
    kernelkit("down")

    kernelkit("up")
    kernelkit("restart")

    assert not home.down_mark.exists()
    assert pid_of(kernelkit)


def test_doctor_is_content_with_a_healthy_engine_and_names_it(kernelkit: KernelKit) -> None:
    kernelkit("up")

    told = json.loads(kernelkit("doctor", "--json"))["findings"]

    assert {found["check"]: found["level"] for found in told} == dict.fromkeys(
        ("versions", "home", "disk", "lock", "socket", "engine", "keepers"), "ok"
    )
    assert f"pid {pid_of(kernelkit)}" in next(found["text"] for found in told if found["check"] == "engine")


def test_a_killed_engine_leaves_nothing_that_the_next_one_minds(kernelkit: KernelKit) -> None:
    kernelkit("up")
    killed = psutil.Process(pid_of(kernelkit))
    killed.kill()
    killed.wait(5)

    assert "left behind" in kernelkit("doctor")
    kernelkit("status", wanted=3)
    kernelkit("up")
    assert pid_of(kernelkit) != killed.pid


def test_what_is_not_known_is_told_in_words_with_exit_code_1(kernelkit: KernelKit) -> None:
    kernelkit("up")

    assert "There is no task 'nope'" in kernelkit("trigger", "nope", "a=1", wanted=1)
    assert "run_0" in kernelkit("runs", "run_0", wanted=1)
    assert "run_0" in kernelkit("cancel", "run_0", "run_1", wanted=1)


@pytest.mark.slow
def test_an_engine_that_does_not_answer_is_ended_by_restart(kernelkit: KernelKit) -> None:
    kernelkit("up")
    first = pid_of(kernelkit)
    os.kill(first, signal.SIGSTOP)

    assert "does not answer" in kernelkit("doctor", wanted=1)
    kernelkit("restart")

    assert pid_of(kernelkit) != first
