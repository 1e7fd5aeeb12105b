"""Buckets of tokens, and what changing a rate does to them."""

from __future__ import annotations

import pytest

from kernelkit.models.queue import RateLimit
from kernelkit.rules import rate

MINUTE = RateLimit(1, "m")


@pytest.mark.parametrize("other", [RateLimit(1, "s"), RateLimit(7, "h"), RateLimit(3, "d")])
def test_a_rate_that_is_changed_and_set_back_rounds_nothing(other: RateLimit) -> None:
    level = rate.filled(MINUTE, 0, 0, 23_650_001)

    there = rate.refilled(MINUTE, level, other)
    back = rate.refilled(other, there, MINUTE)

    assert back == level
    assert rate.next_token(MINUTE, back, 23_650_001) == 60_000_000


def test_the_next_token_is_the_first_moment_that_has_one() -> None:
    thrice = RateLimit(3, "m")
    for at in (0, 1, 17):
        moment = rate.next_token(thrice, 5, at)

        assert rate.filled(thrice, 5, at, moment) >= rate.TOKEN > rate.filled(thrice, 5, at, moment - 1)
