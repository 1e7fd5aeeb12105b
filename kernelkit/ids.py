"""Makes ids: a prefix, then nine characters of time, then nine of chance, so that ids sort by age.

Ids are opaque to everyone else; only paging relies on their order.
"""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, lower case
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]  # by ten bits, because a batch needs thousands of ids


def _nine(number: int) -> str:
    """The lowest 45 bits as nine characters."""
    pairs = _PAIRS
    last = _ALPHABET[number & 31]
    number >>= 5
    return (
        pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023]
        + pairs[number >> 10 & 1023]
        + pairs[number & 1023]
        + last
    )


def make_id(prefix: str, *, now_ms: int | None = None, entropy: int | None = None) -> str:
    """A new id such as `run_01k2n5qzx4c7r8d2m1`; `now_ms` and `entropy` (45 bits) fix it for tests.

    >>> make_id("run", now_ms=0, entropy=0)
    'run_000000000000000000'
    """
    moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    chance = int.from_bytes(os.urandom(6), "big") if entropy is None else entropy
    return f"{prefix}_{_nine(moment)}{_nine(chance)}"
