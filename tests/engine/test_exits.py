from __future__ import annotations

import pytest

from kernelkit.engine.exits import ended_worker, last_words
from kernelkit.wire.messages import WorkerExited


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (-9, "killed from outside (signal 9), for instance by a person or because memory ran out"),
        (-11, "segmentation fault (signal 11)"),
        (-6, "aborted (signal 6)"),
        (-7, "bus error (signal 7)"),
        (-15, "asked to end from outside (signal 15)"),
        (-10, "ended by signal 10 (SIGUSR1)"),
        (-60, "ended by signal 60"),
        (3, "It exited with code 3, for instance by os._exit(3)"),
        (0, "It exited with code 0"),
    ],
)
def test_the_end_of_a_worker_is_told_in_plain_words(returncode: int, words: str) -> None:
    command = ended_worker(WorkerExited("w1", returncode))

    assert words in command.error.message
    assert (command.error.name, command.error.code) == ("WorkerLostError", "worker_lost")
    assert command.worker_id == "w1"


def test_its_last_words_are_passed_on_and_its_peak_of_memory() -> None:
    exited = WorkerExited("w1", 1, stderr_tail="  no module named numpy\n", peak_memory=7)

    command = ended_worker(exited, undelivered=frozenset({"run_1"}))

    assert command.error.message.endswith("Its last words on stderr: no module named numpy")
    assert (command.peak_memory, command.undelivered) == (7, frozenset({"run_1"}))


@pytest.mark.parametrize(
    ("why", "words"),
    [("it was deaf", "KernelKit killed it because it was deaf."), ("", "KernelKit killed it.")],
)
def test_a_worker_that_kernelkit_killed_is_said_to_be(why: str, words: str) -> None:
    command = ended_worker(WorkerExited("w1", -9, killed=True, stderr_tail="noise"), killed_for=why)

    assert words in command.error.message
    assert "noise" not in command.error.message


def test_of_runs_that_shared_a_process_nobody_is_blamed_alone() -> None:
    for returncode in (5, -11):
        message = ended_worker(WorkerExited("w1", returncode), sharing=3).error.message
        assert "3 runs shared this process, and one of them ended it." in message
    for exited in (WorkerExited("w1", -9), WorkerExited("w1", -9, killed=True)):
        assert "shared" not in ended_worker(exited, sharing=3).error.message
    assert "shared" not in ended_worker(WorkerExited("w1", 5)).error.message


LIB = "/usr/lib/python3.11"
CRASH = f"""warning: an older line
Fatal Python error: Segmentation fault

Thread 0x00007f1fdd5ed6c0 (most recent call first):
  File "{LIB}/selectors.py", line 468 in select
  File "{LIB}/threading.py", line 982 in run

Current thread 0x00007f1fde9c6b80 (most recent call first):
  File "{LIB}/ctypes/__init__.py", line 519 in string_at
  File "<Cell [3]>", line 4 in deref
  File "/home/ada/kernelkit/jobs.py", line 5 in boom
  File "/venv/lib/python3.11/site-packages/kernelkit/execution/body.py", line 46 in _call
  File "{LIB}/asyncio/events.py", line 80 in _run
  File "{LIB}/concurrent/futures/thread.py", line 58 in run
  File "<frozen runpy>", line 88 in _run_code

Extension modules: {", ".join(f"numpy.part_{n}" for n in range(300))} (total: 300)"""


def test_of_a_crash_in_c_code_the_persons_own_calls_are_told() -> None:
    assert last_words(CRASH) == (
        "Fatal Python error: Segmentation fault\n"
        "Calls, the latest first:\n"
        f'  File "{LIB}/ctypes/__init__.py", line 519 in string_at\n'
        '  File "<Cell [3]>", line 4 in deref\n'
        '  File "/home/ada/kernelkit/jobs.py", line 5 in boom'
    )
    assert "line 4 in deref" in ended_worker(WorkerExited("w1", -11, stderr_tail=CRASH)).error.message


def test_a_deep_crash_is_told_by_its_first_lines() -> None:
    calls = "\n".join(f'  File "<Cell [3]>", line {n} in deep' for n in range(100))

    lines = last_words(f"Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n{calls}")

    assert len(lines.splitlines()) == 12
    assert lines.endswith("line 8 in deep\n  …")


def test_other_last_words_are_whole_lines() -> None:
    assert last_words("\n".join(f"line {n}" for n in range(100))) == "\n".join(f"line {n}" for n in range(88, 100))
    assert last_words("a" * 1_000 + "\n" + "b" * 1_000 + "\n") == "b" * 1_000
    assert last_words("x" * 9_000) == "…" + "x" * 1_500
    assert last_words(" \n") == ""
