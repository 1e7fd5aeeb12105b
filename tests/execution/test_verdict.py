"""What becomes of a failure, after its hooks were asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from kernelkit.authoring.onerror import OnError
from kernelkit.authoring.options import Retry
from kernelkit.clock import MICROS, from_datetime
from kernelkit.errors import (
    AbortTaskRunError,
)
from kernelkit.execution.verdict import jitter_of
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import delay_s
from tests.execution.attempts import Attempt, start_of
from tests.execution.hooked import (
    FAILING,
    failure,
    plain_failing,
    run,
)


@FAILING
def test_the_delay_that_hooks_see_is_the_one_that_is_reported(body: Any) -> None:
    policy = RetryPolicy(max_attempts=5, min_timeout=2.0, factor=3.0)
    start = start_of(attempt=2, max_attempts=5, retry=policy)
    seen: list[Any] = []

    def shown(error: BaseException, retry: Any, retry_at: datetime, retry_in: float) -> None:
        seen.extend([type(error), retry.policy, retry_at, retry_in])

    attempt = Attempt(start)
    outcome = failure(run(body, ("catch_error", shown), attempt=attempt))

    kind, told, retry_at, retry_in = seen
    assert (kind, told) == (ValueError, policy)
    assert retry_in == delay_s(policy, 2, jitter_of(start.fence))
    assert 6.0 <= retry_in <= 12.0
    assert outcome.retry_at == from_datetime(retry_at)


@FAILING
def test_without_catch_error_the_engine_says_when(body: Any) -> None:
    outcome = failure(run(body, ("on_failure", lambda: None)))

    assert (outcome.retry, outcome.retry_at, outcome.crashed) == (True, None, False)


def test_on_the_last_attempt_there_is_no_moment_and_no_answer_makes_one() -> None:
    seen: list[Any] = []

    def stubborn(retry_at: Any, retry_in: Any) -> OnError:
        seen.extend([retry_at, retry_in])
        return OnError(retry_in=1)

    attempt = Attempt(start_of(attempt=3, max_attempts=3))
    outcome = failure(
        run(
            plain_failing,
            ("catch_error", stubborn),
            ("on_failure", lambda error: seen.append(str(error))),
            ("on_complete", lambda result: seen.append(result.ok)),
            attempt=attempt,
        )
    )

    assert seen == [None, None, "the body's", False]
    assert outcome.retry_at is None


def test_a_moment_in_an_answer_is_reported_as_it_is() -> None:
    moment = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

    outcome = failure(run(plain_failing, ("catch_error", lambda: OnError(retry_at=moment, error=OSError("later")))))

    assert (outcome.retry, outcome.retry_at) == (True, from_datetime(moment))
    assert (outcome.error.name, outcome.error.message) == ("OSError", "later")


def test_another_policy_in_an_answer_gives_the_wait() -> None:
    attempt = Attempt(start_of(attempt=2))
    given = Retry(min_timeout=7.0, randomize=False)
    outcome = failure(run(plain_failing, ("catch_error", lambda: OnError(retry=given)), attempt=attempt))

    assert outcome.retry_at is not None
    assert (outcome.retry_at - outcome.finished_at) / MICROS == pytest.approx(14.0, abs=1.0)


@FAILING
def test_an_error_of_catch_error_crashes_the_attempt_and_keeps_both(body: Any) -> None:
    def broken() -> None:
        raise KeyError("typo")

    told: list[str] = []
    outcome = failure(run(body, ("catch_error", broken), ("on_failure", lambda: told.append("told"))))

    assert (outcome.crashed, outcome.retry, told) == (True, False, [])
    assert outcome.error.name == "KeyError"
    assert "ValueError: the body's" in outcome.error.traceback


def test_aborting_in_catch_error_is_no_crash() -> None:
    def gives_up() -> None:
        raise AbortTaskRunError("enough")

    told: list[str] = []
    outcome = failure(
        run(plain_failing, ("catch_error", gives_up), ("on_failure", lambda error: told.append(str(error))))
    )

    assert (outcome.crashed, outcome.retry, outcome.error.message, told) == (False, False, "enough", ["enough"])
