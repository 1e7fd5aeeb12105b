"""Whether an HTTP request is tried again, and when: pure decisions over a status, headers and what went wrong.

What a newcomer would get wrong: every rule counts all tries of the request, whichever rule asked for them, and no rule
gets past `MAX_TRIES`. An answer that no rule wants again is no error: it is handed to the caller as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from kernelkit.errors import InvalidOptionError
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import delay_s

MAX_TRIES = 10
DEFAULT_STATUSES = "429,408,409,5xx"

ResetFormat = Literal["unix_timestamp", "unix_timestamp_in_ms", "iso_8601", "iso_8601_duration_openai_variant"]
RESET_FORMATS: tuple[ResetFormat, ...] = (
    "unix_timestamp",
    "unix_timestamp_in_ms",
    "iso_8601",
    "iso_8601_duration_openai_variant",
)

_KEY = re.compile(r"all|\d{3}|\d{3}\s*-\s*\d{3}|\d(?:\d|[xX])[xX]")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


@dataclass(frozen=True, slots=True)
class UntilReset:
    """Try again at the moment that a header of the answer names."""

    header: str
    format: ResetFormat = "unix_timestamp_in_ms"


Strategy = RetryPolicy | UntilReset


@dataclass(frozen=True, slots=True)
class IfBody:
    """A strategy for those answers only whose JSON body `fits`; others are left to the keys that follow."""

    strategy: Strategy
    fits: Callable[[Any], Any]  # the body to true or false


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What is tried again. `by_status` maps keys of statuses, in order of precedence; None = never for that cause.

    `by_condition` is the policy of a caller's own condition, which then is the only one to say whether.
    """

    by_status: Mapping[str, Strategy | IfBody | None]
    timeout: RetryPolicy | None
    connection_error: RetryPolicy | None
    max_tries: int = MAX_TRIES
    by_condition: RetryPolicy | None = None


def check_key(key: str) -> str:
    """`key` itself; raises `InvalidOptionError` when it names no statuses.

    >>> check_key("429,5xx,600-610")
    '429,5xx,600-610'
    """
    parts = [part.strip() for part in key.split(",")]
    if not all(_KEY.fullmatch(part) for part in parts):
        raise InvalidOptionError(
            f"by_status: {key!r} names no statuses. Write a code (429), a range (500-599), a wildcard (5xx, 42x), "
            "several of them with commas, or all.",
            field="by_status",
        )
    return key


def matches(key: str, status: int) -> bool:
    """Whether `key` names `status`.

    >>> [matches(key, 503) for key in ("503", "500-599", "5xx", "50x", "429, 5xx", "all", "429", "42x")]
    [True, True, True, True, True, True, False, False]
    """
    return any(_part_matches(part.strip().lower(), status) for part in key.split(","))


def _part_matches(part: str, status: int) -> bool:
    if part == "all":
        return True
    if "-" in part:
        low, _, high = part.partition("-")
        return int(low) <= status <= int(high)
    text = str(status)
    return len(text) == len(part) and all(wanted in ("x", digit) for wanted, digit in zip(part, text, strict=True))


def fits(pattern: Any, body: Any) -> bool:
    """Whether a JSON value fits a pattern of nested dicts, whose innermost are a value or a list of possible ones.

    Where the body has a list, one of its elements is enough.

    >>> [fits({"error": {"code": ["busy", "slow"]}}, {"error": {"code": code}}) for code in ("busy", "bad")]
    [True, False]
    """
    if isinstance(pattern, Mapping):
        return isinstance(body, Mapping) and all(key in body and fits(one, body[key]) for key, one in pattern.items())
    if isinstance(body, list):
        return any(fits(pattern, one) for one in body)
    if isinstance(pattern, list | tuple):
        return any(fits(one, body) for one in pattern)
    return bool(pattern == body) and isinstance(pattern, bool) == isinstance(body, bool)  # True is no 1 in JSON


def strategy_of(
    by_status: Mapping[str, Strategy | IfBody | None], status: int, body: bytes | str = b""
) -> Strategy | None:
    """The strategy of the first key that names `status` and, where it asks for that, whose filter fits `body`."""
    for key, strategy in by_status.items():
        if not matches(key, status):
            continue
        if not isinstance(strategy, IfBody):
            return strategy
        try:
            value = json.loads(body)
        except ValueError:  # no JSON fits nothing
            continue
        if strategy.fits(value):
            return strategy.strategy
    return None


def wait_after_status(
    rules: FetchRules,
    status: int,
    headers: Mapping[str, str],
    *,
    tries: int,
    now: datetime,
    jitter: float,
    body: bytes | str = b"",
) -> float | None:
    """Seconds until the next try after an answer, or None when it is to be handed over.

    `tries` counts this one; a header that is missing or cannot be read is no reason to try again. `body` is the
    answer's, for strategies that look into it.

    >>> rules = FetchRules({"429": UntilReset("x-reset", "unix_timestamp")}, None, None)
    >>> now = datetime(2027, 1, 1, tzinfo=UTC)
    >>> wait_after_status(rules, 429, {"x-reset": str(now.timestamp() + 30)}, tries=1, now=now, jitter=0.0)
    30.0
    """
    strategy = strategy_of(rules.by_status, status, body)
    if not isinstance(strategy, UntilReset):
        return wait_after(rules, strategy, tries=tries, jitter=jitter)
    if tries >= rules.max_tries:
        return None
    moment = reset_moment(headers.get(strategy.header), strategy.format, now)
    return None if moment is None else max(0.0, moment - now.timestamp())


def wait_after(rules: FetchRules, policy: RetryPolicy | None, *, tries: int, jitter: float) -> float | None:
    """Seconds until the next try by `policy`, or None when there is none."""
    if policy is None or tries >= min(rules.max_tries, policy.max_attempts):
        return None
    return delay_s(policy, tries, jitter)


def reset_moment(text: str | None, form: ResetFormat, now: datetime) -> float | None:
    """The moment that a reset header names, in seconds since 1970, or None when it cannot be read.

    >>> now = datetime(2027, 1, 1, tzinfo=UTC)
    >>> reset_moment("6m0s", "iso_8601_duration_openai_variant", now) - now.timestamp()
    360.0
    >>> reset_moment("2027-01-01T00:00:10Z", "iso_8601", now) - now.timestamp()
    10.0
    """
    text = (text or "").strip()
    if not text:
        return None
    if form == "iso_8601":
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if form == "iso_8601_duration_openai_variant":
        seconds = _openai_duration(text)
        return None if seconds is None else now.timestamp() + seconds
    if not re.fullmatch(r"\d{1,18}(?:\.\d+)?", text):
        return None
    return float(text) / (1_000 if form == "unix_timestamp_in_ms" else 1)


def _openai_duration(text: str) -> float | None:
    """Seconds of `1d2h3m4s5ms` and its parts."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    parts: Sequence[str | None] = found.groups()
    weights = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
    return sum(float(part) * weight for part, weight in zip(parts, weights, strict=True) if part)
