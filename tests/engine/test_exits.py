from __future__ import annotations

import pytest

from kernelkit.engine.exits import ended_worker
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
    command = ended_worker(WorkerExited("w1", returncode), blocked=False)

    assert words in command.error.message
    assert (command.error.name, command.error.code) == ("WorkerLostError", "worker_lost")
    assert command.worker_id == "w1"


def test_its_last_words_are_passed_on_and_its_peak_of_memory() -> None:
    exited = WorkerExited("w1", 1, stderr_tail="  no module named numpy\n", peak_memory=7)

    command = ended_worker(exited, blocked=False, undelivered=frozenset({"run_1"}))

    assert command.error.message.endswith("Its last words on stderr: no module named numpy")
    assert (command.peak_memory, command.undelivered) == (7, frozenset({"run_1"}))


@pytest.mark.parametrize(
    ("blocked", "words"),
    [(True, "because another attempt in the same process did not stop"), (False, "KernelKit killed it.")],
)
def test_a_worker_that_kernelkit_killed_is_said_to_be(blocked: bool, words: str) -> None:
    command = ended_worker(WorkerExited("w1", -9, killed=True, stderr_tail="noise"), blocked=blocked)

    assert words in command.error.message
    assert "noise" not in command.error.message
