from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kernelkit.execution import begun
from kernelkit.execution.begun import BegunNotes, make_memory, read_memory

FENCES = [f"{number:016x}" for number in range(200)]


@pytest.fixture
def memory() -> Iterator[int]:
    made = make_memory()
    yield made
    os.close(made)


def test_the_keeper_reads_what_has_begun_and_is_not_over(memory: int) -> None:
    notes = BegunNotes(os.dup(memory))
    assert read_memory(memory) == ()

    for fence in FENCES:
        notes.begin(fence)
    for fence in FENCES[::2]:
        notes.over(fence)

    told = read_memory(memory)
    assert told is not None
    assert sorted(told) == FENCES[1::2]


def test_places_are_used_again(memory: int) -> None:
    notes = BegunNotes(os.dup(memory))
    for fence in FENCES:
        notes.begin(fence)
        notes.over(fence)
    notes.begin(FENCES[7])

    assert read_memory(memory) == (FENCES[7],)
    assert notes._used == 1


def test_an_attempt_that_never_began_may_be_over(memory: int) -> None:
    notes = BegunNotes(os.dup(memory))

    notes.over(FENCES[0])

    assert read_memory(memory) == ()


@pytest.mark.parametrize("fence", ["short", "f" * 17])
def test_what_cannot_be_noted_makes_all_of_it_unknown(memory: int, fence: str) -> None:
    notes = BegunNotes(os.dup(memory))
    notes.begin(FENCES[0])

    notes.begin(fence)
    notes.begin(FENCES[1])

    assert read_memory(memory) is None


def test_more_than_there_is_room_for_makes_all_of_it_unknown(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "_SLOTS", 3)
    notes = BegunNotes(os.dup(memory))

    for fence in FENCES[:3]:
        notes.begin(fence)
    assert read_memory(memory) == tuple(FENCES[:3])
    notes.begin(FENCES[3])

    assert read_memory(memory) is None


def test_it_works_without_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "_memfd", None)
    made = make_memory()

    BegunNotes(os.dup(made)).begin(FENCES[5])

    assert read_memory(made) == (FENCES[5],)
    os.close(made)


def test_a_process_that_is_gone_has_still_noted(memory: int) -> None:
    child = os.fork()
    if child == 0:
        BegunNotes(memory).begin(FENCES[9])
        os._exit(0)
    os.waitpid(child, 0)

    assert read_memory(memory) == (FENCES[9],)
