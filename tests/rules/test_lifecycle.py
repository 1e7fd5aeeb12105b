from __future__ import annotations

import pytest

from kernelkit.models.run import FINAL, RunStatus
from kernelkit.rules.lifecycle import MOVES, allows

S = RunStatus


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(MOVES) == set(RunStatus)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_final_status_is_final(status: RunStatus) -> None:
    assert not any(allows(status, after) for after in RunStatus)


def test_every_status_can_be_reached_and_every_other_can_end() -> None:
    reached = {after for moves in MOVES.values() for after in moves}
    endable: set[RunStatus] = set(FINAL)
    while grown := {status for status, moves in MOVES.items() if moves & endable} - endable:
        endable |= grown

    assert set(RunStatus) - reached <= {S.DELAYED, S.PENDING_VERSION}
    assert endable == set(RunStatus)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - FINAL))
def test_whatever_is_not_over_can_be_canceled(status: RunStatus) -> None:
    assert allows(status, S.CANCELED)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (S.QUEUED, S.DEQUEUED, True),
        (S.QUEUED, S.EXECUTING, False),
        (S.QUEUED, S.COMPLETED, False),
        (S.DEQUEUED, S.COMPLETED, True),
        (S.DEQUEUED, S.QUEUED, True),
        (S.EXECUTING, S.EXECUTING, True),
        (S.EXECUTING, S.WAITING, True),
        (S.WAITING, S.EXECUTING, False),
        (S.WAITING, S.QUEUED, True),
        (S.WAITING, S.COMPLETED, False),
    ],
)
def test_the_moves_that_matter(before: RunStatus, after: RunStatus, allowed: bool) -> None:
    assert allows(before, after) is allowed
