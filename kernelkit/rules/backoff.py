"""When to try again."""

from __future__ import annotations

from kernelkit.models.task import RetryPolicy

KEEPS_SLOT_BELOW_S = 5.0


def delay_s(policy: RetryPolicy, attempt: int, jitter: float) -> float:
    """Seconds before the attempt after number `attempt`; `jitter` is uniform in [0, 1).

    As in Trigger.dev: jitter only lengthens, at most to the double, and the cap applies after it.

    >>> [delay_s(RetryPolicy(randomize=False, min_timeout=0.5, factor=1.8), n, 0.0) for n in (1, 2, 3)]
    [0.5, 0.9, 1.62]
    """
    stretch = 1.0 + jitter if policy.randomize else 1.0
    try:
        grown = policy.factor ** (attempt - 1)
    except OverflowError:
        return policy.max_timeout
    return round(min(policy.max_timeout, stretch * policy.min_timeout * grown), 3)


def retry_delay_s(
    policy: RetryPolicy, *, attempt: int, max_attempts: int, may_retry: bool, jitter: float
) -> float | None:
    """Seconds until the next attempt, or None when the run has failed for good.

    `attempt` is the number of the one that failed; `may_retry` is False when its error says "never again".
    """
    if not may_retry or attempt >= max_attempts:
        return None
    return delay_s(policy, attempt, jitter)
