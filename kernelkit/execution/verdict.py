"""What follows from an attempt's error: asks the catch_error hooks, and works out when the next attempt would be.

The moment that hooks are shown is the one that is used: it goes to the engine with the report, jitter included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kernelkit.authoring.hooks import Hook
from kernelkit.authoring.onerror import OnError
from kernelkit.authoring.options import Retry
from kernelkit.authoring.scope import Scope
from kernelkit.clock import MICROS, from_datetime, to_datetime
from kernelkit.errors import AbortTaskRunError, KernelKitError
from kernelkit.execution.body import Ended
from kernelkit.execution.ends import is_out_of_memory
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import delay_s
from kernelkit.wire.messages import StartAttempt

Ask = Callable[[Hook, dict[str, Any]], Awaitable[Ended]]


@dataclass(frozen=True)
class Verdict:
    """`is_final`: no further attempt. `retry_at` in microseconds; None leaves it to the engine."""

    error: BaseException
    is_final: bool
    retry_at: int | None = None
    crashed: bool = False
    message: str | None = None  # instead of the error's own


async def judge(scope: Scope, error: BaseException, hooks: tuple[Hook, ...], ask: Ask, *, retry: bool) -> Verdict:
    """What follows from `error`; `retry` is False for errors that are never tried again: nobody is asked about them."""
    start = scope.start
    is_last = start.attempt >= start.max_attempts
    if is_out_of_memory(error):  # the engine knows whether there is a larger machine to try
        return Verdict(error, is_final=True, crashed=True)
    if not retry or isinstance(error, AbortTaskRunError):
        return Verdict(error, is_final=True)
    if not hooks:
        return Verdict(error, is_final=is_last)
    now = scope.now()
    policy = start.retry or RetryPolicy()
    default = None if is_last else now + round(delay_s(policy, start.attempt, jitter_of(start.fence)) * MICROS)
    offered = {"error": error, **_shown(policy, start, default, now)}
    for hook in hooks:
        answer, raised = await ask(hook, offered)
        if raised is not None:
            return _raised(hook, raised, error)
        if answer is None:
            continue
        if not isinstance(answer, OnError):
            told = f"{hook.told} answered {answer!r}, which is neither None nor a kk.OnError(…)."
            return _raised(hook, KernelKitError(told), error)
        return _answered(answer, error, start, default, now, is_last=is_last)
    return Verdict(error, is_final=is_last, retry_at=default)


def jitter_of(fence: str) -> float:
    """Uniform in [0, 1), and for one attempt always the same: fences are random."""
    return int.from_bytes(hashlib.blake2b(fence.encode(), digest_size=4).digest()) / 2**32


def _shown(policy: RetryPolicy, start: StartAttempt, default: int | None, now: int) -> dict[str, Any]:
    retry_at: datetime | None = None if default is None else to_datetime(default)
    return {
        "retry": Retry(
            max_attempts=start.max_attempts,
            factor=policy.factor,
            min_timeout=policy.min_timeout,
            max_timeout=policy.max_timeout,
            randomize=policy.randomize,
        ),
        "retry_at": retry_at,
        "retry_in": None if default is None else (default - now) / MICROS,
    }


def _answered(
    answer: OnError, error: BaseException, start: StartAttempt, default: int | None, now: int, *, is_last: bool
) -> Verdict:
    told = error if answer.error is None else _instead(answer.error, error)
    if is_last or answer.skip_retrying:
        return Verdict(told, is_final=True)
    if answer.retry_at is not None:
        return Verdict(told, is_final=False, retry_at=from_datetime(answer.retry_at))
    if answer.retry_in is not None:
        return Verdict(told, is_final=False, retry_at=now + round(answer.retry_in * MICROS))
    if answer.retry is not None:
        seconds = delay_s(answer.retry.policy, start.attempt, jitter_of(start.fence))
        return Verdict(told, is_final=False, retry_at=now + round(seconds * MICROS))
    return Verdict(told, is_final=False, retry_at=default)


def _raised(hook: Hook, raised: BaseException, error: BaseException) -> Verdict:
    _instead(raised, error)
    if isinstance(raised, AbortTaskRunError):
        return Verdict(raised, is_final=True)
    own = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    words = f"{raised} – raised by {hook.told}, which was asked about the task's own error: {own}"
    return Verdict(raised, is_final=True, crashed=True, message=words)


def _instead(new: BaseException, error: BaseException) -> BaseException:
    """Keep what really happened in the new error's traceback."""
    if new is not error and new.__cause__ is None and new.__context__ is None:
        new.__cause__ = error
    return new
