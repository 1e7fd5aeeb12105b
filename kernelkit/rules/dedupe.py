"""When a trigger means a run that is there already: pure decisions about idempotency keys and debounce.

What a newcomer would get wrong: keys are counted by `State.clock`, which never goes back, so a key is not dropped
before its time because somebody set the machine's clock.
"""

from __future__ import annotations

import hashlib

from kernelkit.clock import MICROS
from kernelkit.models.run import RunStatus

DEFAULT_KEY_TTL_S = 30 * 86_400.0
MAX_KEY_LENGTH = 2_048
MAX_DEBOUNCE_KEY_LENGTH = 512
MIN_DEBOUNCE_S = 1.0

FREEING = frozenset(
    {RunStatus.FAILED, RunStatus.CRASHED, RunStatus.SYSTEM_FAILURE, RunStatus.TIMED_OUT, RunStatus.EXPIRED}
)
"""A run that ended so no longer stands for its key; one that completed, or was canceled, does until the key's time."""


def digest_of(task_id: str, key_hash: str) -> bytes:
    """The key of a task in 16 bytes, which is all that is held of it.

    >>> digest_of("charge", "abc") == digest_of("refund", "abc")
    False
    """
    return hashlib.blake2b(f"{task_id}\0{key_hash}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def pushed_to(due: int, now: int, delay_s: float) -> int:
    """The moment of a debounced run after one more trigger: in whole seconds, and never earlier than it was.

    >>> pushed_to(3_000_000, 1_700_000, 5.0)
    6000000
    """
    moment = now + round(delay_s * MICROS)
    return max(due, moment - moment % MICROS)


def may_push(created_at: int, now: int, delay_s: float, max_delay_s: float | None) -> bool:
    """Whether a trigger at `now` may push a run made at `created_at`, or has to start another.

    >>> may_push(0, 24_000_000, 5.0, 30.0), may_push(0, 26_000_000, 5.0, 30.0)
    (True, False)
    """
    return max_delay_s is None or now + round(delay_s * MICROS) <= created_at + round(max_delay_s * MICROS)
