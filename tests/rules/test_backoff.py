from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import delay_s, retry_delay_s


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(randomize=False), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
        (RetryPolicy(randomize=False, min_timeout=0.5, factor=1.8), [0.5, 0.9, 1.62, 2.916]),
        (RetryPolicy(randomize=False, factor=1.0), [1.0, 1.0, 1.0]),
        (RetryPolicy(randomize=False, min_timeout=0.0), [0.0, 0.0]),
        (RetryPolicy(randomize=False, min_timeout=90.0), [60.0, 60.0]),
    ],
)
def test_delays_grow_by_the_factor_up_to_the_cap(policy: RetryPolicy, delays: list[float]) -> None:
    assert [delay_s(policy, attempt, 0.99) for attempt in range(1, len(delays) + 1)] == delays


def test_jitter_lengthens_at_most_to_the_double_and_the_cap_comes_after_it() -> None:
    policy = RetryPolicy()

    assert [delay_s(policy, 2, jitter) for jitter in (0.0, 0.5, 0.999)] == [2.0, 3.0, 3.998]
    assert delay_s(policy, 6, 0.999) == 60.0


@pytest.mark.parametrize(
    ("attempt", "max_attempts", "may_retry", "delay"),
    [(1, 3, True, 1.0), (2, 3, True, 2.0), (3, 3, True, None), (1, 1, True, None), (1, 3, False, None)],
)
def test_a_run_is_tried_again_until_its_attempts_are_spent_or_its_error_forbids_it(
    attempt: int, max_attempts: int, may_retry: bool, delay: float | None
) -> None:
    policy = RetryPolicy(randomize=False)

    assert delay == retry_delay_s(policy, attempt=attempt, max_attempts=max_attempts, may_retry=may_retry, jitter=0.0)


@given(
    attempt=st.integers(1, 250),
    jitter=st.floats(0, 1, exclude_max=True),
    factor=st.floats(1, 1_000),
    least=st.floats(0, 3_600),
    most=st.floats(0, 86_400),
)
def test_no_delay_is_negative_or_over_the_cap_however_many_attempts_there_were(
    attempt: int, jitter: float, factor: float, least: float, most: float
) -> None:
    policy = RetryPolicy(factor=factor, min_timeout=least, max_timeout=most)

    assert 0 <= delay_s(policy, attempt, jitter) <= most + 0.0005  # delays are rounded to milliseconds
