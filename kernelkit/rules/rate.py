"""Rates of queues: how they are written, and the token bucket that keeps them.

A bucket holds `count` tokens and fills evenly, `count` in each period; every start takes one. So a queue that has been
quiet may start `count` runs at once, and over any time `t` it starts at most `count + count * t / period`. Whole
numbers throughout: a token of any rate is as many units as a day has microseconds, and every period goes into the day
without remainder. So nothing is ever rounded, also when a queue goes from `1/m` to `1/s` and back.
"""

from __future__ import annotations

import re

from kernelkit.clock import MICROS
from kernelkit.errors import InvalidOptionError
from kernelkit.models.queue import PERIODS, RateLimit

MAX_RATE = 1_000_000
TOKEN = PERIODS["d"] * MICROS
"""Units of one token."""

_RATE = re.compile(r"([0-9]{1,7})/([smhd])")


def check_rate(given: object) -> RateLimit | None:
    """What `100/m` says, None for None; raises `InvalidOptionError`.

    >>> check_rate("100/m")
    RateLimit(count=100, per='m')
    """
    if given is None or isinstance(given, RateLimit):
        return given
    read = _RATE.fullmatch(given) if isinstance(given, str) else None
    if read is None or not 1 <= int(read[1]) <= MAX_RATE:
        raise InvalidOptionError(
            f"rate_limit={given!r} is not a rate. Write how many runs may start in a second, minute, hour or day: "
            f"'10/s', '100/m', '1000/h' or '5000/d', from 1 to {MAX_RATE:,}.",
            field="rate_limit",
        )
    return RateLimit(int(read[1]), read[2])  # type: ignore[arg-type]  # the pattern allows these four only


def full(rate: RateLimit) -> int:
    """Units of a full bucket.

    >>> full(RateLimit(2, "s")) // TOKEN
    2
    """
    return rate.count * TOKEN


def filled(rate: RateLimit, level: int, at: int, now: int) -> int:
    """The level at `now` of a bucket that had `level` at `at`."""
    return min(full(rate), level + _per_micro(rate) * max(0, now - at))


def next_token(rate: RateLimit, level: int, at: int) -> int:
    """The first moment at which a bucket that had `level` at `at` has a whole token.

    >>> next_token(RateLimit(2, "s"), 0, 0)
    500000
    """
    missing = TOKEN - level
    return at + max(0, -(-missing // _per_micro(rate)))


def refilled(old: RateLimit, level: int, new: RateLimit) -> int:
    """The level once a bucket's rate was changed: what has been used of the old one is used of the new one."""
    return max(0, full(new) - (full(old) - level))


def _per_micro(rate: RateLimit) -> int:
    """Units that a microsecond brings."""
    return rate.count * (PERIODS["d"] // PERIODS[rate.per])
