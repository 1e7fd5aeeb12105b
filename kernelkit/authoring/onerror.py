"""`kk.OnError`: what a `catch_error` hook answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Never

from kernelkit.authoring.options import Retry, refuse_unknown
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError

_ANSWERS = ("skip_retrying", "retry_at", "retry_in", "retry")


class OnError:
    """What shall follow from an attempt's error. At most one of the four, and `error` beside it or alone.

    `skip_retrying` fails the run now; `retry_at` (an aware datetime) and `retry_in` say when to try again; `retry` is
    another policy for the wait before the next attempt. `error` replaces the error; alone it leaves the task's own
    policy standing. None of them makes more attempts than the run may have.

    >>> OnError(retry_in="5m")
    OnError(retry_in=300.0)
    """

    __slots__ = ("error", "retry", "retry_at", "retry_in", "skip_retrying")

    def __init__(
        self,
        *,
        skip_retrying: bool = False,
        retry_at: datetime | None = None,
        retry_in: Duration | None = None,
        retry: Retry | None = None,
        error: BaseException | None = None,
        **unknown: Never,
    ) -> None:
        refuse_unknown(unknown, (*_ANSWERS, "error"), "kk.OnError")
        if not isinstance(skip_retrying, bool):
            raise InvalidOptionError(f"skip_retrying={skip_retrying!r} is not True or False.", field="skip_retrying")
        answers = (skip_retrying or None, retry_at, retry_in, retry)
        given = [name for name, answer in zip(_ANSWERS, answers, strict=True) if answer is not None]
        if len(given) > 1:
            raise InvalidOptionError(f"{' and '.join(given)} contradict each other. Give one.", field=given[1])
        if not given and error is None:
            raise InvalidOptionError(
                "kk.OnError() says nothing. Return None to let the task's policy stand, or give one of: "
                f"{', '.join((*_ANSWERS, 'error'))}.",
                field="error",
            )
        if retry_at is not None and (not isinstance(retry_at, datetime) or retry_at.tzinfo is None):
            raise InvalidOptionError(
                f"retry_at={retry_at!r} is not a datetime with a time zone, such as "
                f"datetime.now(UTC) + timedelta(minutes=5).",
                field="retry_at",
            )
        if retry is not None and not isinstance(retry, Retry):
            raise InvalidOptionError(f"retry={retry!r} is not a kk.Retry(…).", field="retry")
        if error is not None and not isinstance(error, BaseException):
            raise InvalidOptionError(f"error={error!r} is not an exception, such as ValueError('…').", field="error")
        self.skip_retrying = skip_retrying
        self.retry_at = None if retry_at is None else retry_at.astimezone(UTC)
        self.retry_in = None if retry_in is None else to_seconds(retry_in, field="retry_in")
        self.retry = retry
        self.error = error

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in (*_ANSWERS, "error")}
        if not self.skip_retrying:
            del values["skip_retrying"]
        return f"OnError({', '.join(f'{name}={value!r}' for name, value in values.items() if value is not None)})"
