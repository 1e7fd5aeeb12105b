"""`up`, `down`, `restart`, `status` and `doctor` with a real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kernelkit.config import Home
from kernelkit.wire.discovery import is_locked


def run(*words: str, home: Home, wanted: int = 0) -> str:
    """What the program prints, run as a program; its exit code must be `wanted`."""
    command = [sys.executable, "-m", "kernelkit", *words, "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == wanted, done.stdout + done.stderr
    return done.stdout + done.stderr


def pid_of(home: Home) -> int:
    pid: int = json.loads(run("status", "--json", home=home))["pid"]
    return pid


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / ".kernelkit")
    yield found
    if is_locked(found):
        run("down", "--now", home=found)


def test_an_engine_that_is_up_is_the_same_one_until_it_is_down(home: Home) -> None:
    run("up", home=home)
    first = pid_of(home)
    run("up", home=home)

    assert pid_of(home) == first
    assert "has stopped" in run("down", home=home)
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    assert "`kernelkit up` starts it" in run("status", home=home, wanted=3)


def test_an_engine_that_would_stop_when_idle_is_replaced_by_one_that_stays(home: Home) -> None:
    home.create()
    run("runs", home=home)
    started_by_need = pid_of(home)

    run("up", home=home)

    kept = pid_of(home)
    assert kept != started_by_need
    assert "--keep" in psutil.Process(kept).cmdline()


def test_restart_brings_up_another_process_on_the_same_home(home: Home) -> None:
    run("up", home=home)
    first = pid_of(home)

    run("restart", home=home)

    assert pid_of(home) != first


def test_up_takes_the_mark_of_down_away(home: Home) -> None:
    run("up", home=home)
    run("down", home=home)

    run("up", home=home)
    run("restart", home=home)

    assert not home.down_mark.exists()
    assert pid_of(home)


def test_doctor_is_content_with_a_healthy_engine_and_names_it(home: Home) -> None:
    run("up", home=home)

    told = json.loads(run("doctor", "--json", home=home))["findings"]

    assert {found["check"]: found["level"] for found in told} == dict.fromkeys(
        ("versions", "home", "disk", "lock", "socket", "engine", "keepers"), "ok"
    )
    assert f"pid {pid_of(home)}" in next(found["text"] for found in told if found["check"] == "engine")


def test_a_killed_engine_leaves_nothing_that_the_next_one_minds(home: Home) -> None:
    run("up", home=home)
    killed = psutil.Process(pid_of(home))
    killed.kill()
    killed.wait(5)

    assert "left behind" in run("doctor", home=home)
    run("status", home=home, wanted=3)
    run("up", home=home)
    assert pid_of(home) != killed.pid


def test_what_is_not_known_is_told_in_words_with_exit_code_1(home: Home) -> None:
    run("up", home=home)

    assert "There is no task 'nope'" in run("trigger", "nope", "a=1", home=home, wanted=1)
    assert "run_0" in run("runs", "run_0", home=home, wanted=1)
    assert "run_0" in run("cancel", "run_0", "run_1", home=home, wanted=1)


@pytest.mark.slow
def test_an_engine_that_does_not_answer_is_ended_by_restart(home: Home) -> None:
    run("up", home=home)
    first = pid_of(home)
    os.kill(first, signal.SIGSTOP)

    assert "does not answer" in run("doctor", home=home, wanted=1)
    run("restart", home=home)

    assert pid_of(home) != first
