from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from kernelkit.authoring import track as module
from kernelkit.authoring.metadata import metadata
from kernelkit.authoring.scope import scope
from kernelkit.authoring.track import PROGRESS_KEY, track
from kernelkit.errors import InvalidOptionError, NotInTaskError
from tests.execution.attempts import Attempt


@pytest.fixture
def attempt() -> Iterator[Attempt]:
    made = Attempt()
    token = scope.set(made.scope)
    yield made
    scope.reset(token)


def bars() -> list[tuple[Any, ...]]:
    return [(bar["description"], bar["done"], bar["total"], bar["ended"]) for bar in metadata.get(PROGRESS_KEY)]


def test_a_loop_is_counted_from_its_beginning_to_its_end(attempt: Attempt) -> None:
    rows = track([1, 2, 3], description="Embedding")

    assert bars() == [("Embedding", 0, 3, False)]
    assert list(rows) == [1, 2, 3]
    assert bars() == [("Embedding", 3, 3, True)]


def test_it_is_shown_on_the_way_when_a_tenth_of_a_second_has_passed(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN_EVERY_S", 0.0)
    rows = track(iter("abc"), total=3)

    next(rows)
    next(rows)

    assert bars() == [("", 1, 3, False)]


def test_several_loops_have_a_bar_each_and_leaving_early_ends_one(attempt: Attempt) -> None:
    for _ in track([1, 2], description="outer"):
        for _ in track(iter("ab"), description="inner"):
            break

    assert bars() == [("outer", 2, 2, True), ("inner", 0, None, True), ("inner", 0, None, True)]


def test_async_loops_are_counted_too(attempt: Attempt) -> None:
    async def rows() -> AsyncIterator[int]:
        for n in range(3):
            yield n

    async def main() -> list[int]:
        return [n async for n in track(rows(), total=3)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert bars() == [("", 3, 3, True)]


def test_a_total_has_to_be_a_count(attempt: Attempt) -> None:
    with pytest.raises(InvalidOptionError):
        track([], total=-1)


def test_outside_a_run_it_explains_itself() -> None:
    with pytest.raises(NotInTaskError, match=r"kk\.track"):
        track([1])
