"""`kk.retry.fetch`: one HTTP request, tried again as its rules say. Loaded at its first use: httpx2 is slow to import.

`rules/fetch_retry.py` decides; this room sends, reads the clock and waits. There is one implementation, async, which
`.result()` runs on a loop of its own. What a newcomer would get wrong: the test engine's clock is virtual, but a
server's answer takes real time, so a scope may have a way (`aside`) to wait for one while its own clock stands still.
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import httpx2

from kernelkit.authoring.options import Retry, refuse_unknown
from kernelkit.authoring.retry import pause, tell
from kernelkit.authoring.scope import scope
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidOptionError, KernelKitError
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.fetch_retry import (
    DEFAULT_STATUSES,
    MAX_TRIES,
    RESET_FORMATS,
    FetchRules,
    IfBody,
    Strategy,
    UntilReset,
    check_key,
    fits,
    wait_after,
    wait_after_status,
)

CONNECT_S = 5.0  # httpx2's own default; without `timeout` there is no limit on the whole try
_OPTIONS = ("max_attempts", "by_status", "timeout", "connection_error", "condition")
_POLICY = ("max_attempts", "factor", "min_timeout", "max_timeout", "randomize")
_HEADERS = ("strategy", "reset_header", "reset_format", "limit_header", "remaining_header", "body_filter")

Condition = Callable[[httpx2.Response | None, Exception | None], Any]  # true or false


class Fetching:
    """A request that has not been sent yet: `await` it, or `.result()` where there is no `await`."""

    __slots__ = ("_condition", "_method", "_redirects", "_request", "_rules", "_timeout_s", "_url")

    def __init__(
        self,
        url: str,
        *,
        method: str,
        timeout: Duration | None,
        retry: Mapping[str, Any] | None,
        follow_redirects: bool,
        request: dict[str, Any],
    ) -> None:
        self._url = url
        self._method = method
        self._timeout_s = None if timeout is None else to_seconds(timeout, field="timeout")
        self._rules, self._condition = read_rules(retry or {})
        self._redirects = follow_redirects
        self._request = request

    def __await__(self) -> Generator[Any, None, httpx2.Response]:
        return self._run().__await__()

    def result(self) -> httpx2.Response:
        """The answer, for plain functions: blocks, also between the tries."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._run())
        raise KernelKitError("An event loop runs here: write `await kk.retry.fetch(…)` in place of `.result()`.")

    async def _run(self) -> httpx2.Response:
        tries = 0
        while True:
            tries += 1
            response, error = await self._try(tries)
            delay = self._delay(response, error, tries)
            if delay is None:
                return response if response is not None else _raise(error)
            tell(f"retry.fetch: try {tries} of {self._shown} {_told(response, error)}; the next in {delay:g} s")
            await pause(delay, None)
            found = scope.get()
            if found is not None and found.stopping:  # the run is to end: what there is has to do
                return response if response is not None else _raise(error)

    def _delay(self, response: httpx2.Response | None, error: Exception | None, tries: int) -> float | None:
        """Seconds until the next try, or None when this one is the last."""
        rules, jitter = self._rules, random.random()
        if self._condition is not None:
            if not self._condition(response, error):
                return None
            return wait_after(rules, rules.by_condition, tries=tries, jitter=jitter)
        if response is not None:
            if response.is_success:
                return None
            now = datetime.now(UTC)
            return wait_after_status(
                rules,
                response.status_code,
                response.headers,
                tries=tries,
                now=now,
                jitter=jitter,
                body=response.content,
            )
        policy = rules.timeout if _is_timeout(error) else rules.connection_error
        return wait_after(rules, policy, tries=tries, jitter=jitter)

    async def _try(self, tries: int) -> tuple[httpx2.Response | None, Exception | None]:
        """The answer or what kept it from coming; errors that no further try would mend are raised."""
        found = scope.get()
        sending = self._send(tries)
        try:
            return await (sending if found is None or found.line.aside is None else found.line.aside(sending)), None
        except (TimeoutError, httpx2.TransportError) as error:
            if isinstance(error, httpx2.UnsupportedProtocol):
                raise
            return None, error

    async def _send(self, tries: int) -> httpx2.Response:
        headers = httpx2.Headers(self._request.get("headers"))
        headers["x-retry-count"] = str(tries - 1)
        request = {**self._request, "headers": headers}
        limits = httpx2.Timeout(None, connect=self._timeout_s or CONNECT_S)
        async with httpx2.AsyncClient(timeout=limits, follow_redirects=self._redirects, verify=_tls()) as client:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await client.request(self._method, self._url, **request)
            except TimeoutError as cause:
                told = f"{self._shown} took longer than {self._timeout_s:g} s"
                raise httpx2.ReadTimeout(told) from cause

    @property
    def _shown(self) -> str:
        return f"{self._method} {self._url}"

    def __repr__(self) -> str:
        return f"<kk.retry.fetch of {self._shown}: await it, or call .result()>"


def read_rules(retry: Mapping[str, Any]) -> tuple[FetchRules, Condition | None]:  # what a person wrote
    """The rules of `retry=`, checked; raises `InvalidOptionError` for what it cannot mean.

    >>> rules, condition = read_rules({"max_attempts": 5, "by_status": {"5xx": Retry(max_attempts=2)}})
    >>> rules.max_tries, list(rules.by_status), rules.timeout.max_attempts, condition
    (5, ['5xx'], 5, None)
    """
    if not isinstance(retry, Mapping):
        raise InvalidOptionError(f"retry={retry!r} is a dict of {', '.join(_OPTIONS)}.", field="retry")
    refuse_unknown(retry, _OPTIONS, "retry= of kk.retry.fetch")
    max_tries = MAX_TRIES
    usual = RetryPolicy()
    if "max_attempts" in retry:
        usual = Retry(max_attempts=retry["max_attempts"]).policy
        max_tries = min(usual.max_attempts, MAX_TRIES)
    by_status: dict[str, Strategy | IfBody | None] = {DEFAULT_STATUSES: usual}
    if "by_status" in retry:
        given = retry["by_status"] or {}
        if not isinstance(given, Mapping):
            raise InvalidOptionError(f"by_status={given!r} is a dict of status keys and strategies.", field="by_status")
        by_status = {check_key(str(key)): _strategy(strategy, f"by_status[{key!r}]") for key, strategy in given.items()}
    condition: Condition | None = retry.get("condition")
    if condition is not None and not callable(condition):
        raise InvalidOptionError(
            f"condition={condition!r} is a function of the response and the error, one of which is None.",
            field="condition",
        )
    rules = FetchRules(
        by_status=by_status,
        timeout=_policy(retry.get("timeout", usual), "timeout"),
        connection_error=_policy(retry.get("connection_error", usual), "connection_error"),
        max_tries=max_tries,
        by_condition=usual if condition is not None else None,
    )
    return rules, condition


def _strategy(given: Any, where: str) -> Strategy | IfBody | None:
    if not isinstance(given, Mapping) or "body_filter" not in given:
        return _plain_strategy(given, where)
    strategy = _plain_strategy({name: value for name, value in given.items() if name != "body_filter"}, where)
    wanted = given["body_filter"]
    if wanted is None or strategy is None:
        return strategy
    return IfBody(strategy, _body_filter(wanted, f"{where}: body_filter"))


def _body_filter(given: Any, where: str) -> Callable[[Any], Any]:
    if callable(given):
        return given  # type: ignore[no-any-return]  # what it answers is taken as true or false
    operators = _operators(given)
    if not isinstance(given, Mapping) or operators:
        told = f" ({', '.join(operators)} is no pattern here)" if operators else ""
        raise InvalidOptionError(
            f"{where}={given!r} is neither a function of the JSON body nor a dict of values that the body must "
            f'have, such as {{"error": {{"code": ["busy", "slow"]}}}}{told}.',
            field="body_filter",
        )
    return functools.partial(fits, given)


def _operators(pattern: Any) -> list[str]:
    """Keys such as `$gt`, which other systems' patterns have."""
    if isinstance(pattern, list | tuple):
        return [name for one in pattern for name in _operators(one)]
    if not isinstance(pattern, Mapping):
        return []
    own = [str(name) for name in pattern if str(name).startswith("$")]
    return own + [name for one in pattern.values() for name in _operators(one)]


def _plain_strategy(given: Any, where: str) -> Strategy | None:
    if not isinstance(given, Mapping) or given.get("strategy", "backoff") == "backoff":
        return _policy(given, where)
    if given["strategy"] != "headers":
        told = given["strategy"]
        raise InvalidOptionError(f"{where}: strategy={told!r} is neither backoff nor headers.", field=where)
    refuse_unknown(given, _HEADERS, where)
    form, header = given.get("reset_format", "unix_timestamp_in_ms"), given.get("reset_header")
    if form not in RESET_FORMATS or not isinstance(header, str):
        raise InvalidOptionError(
            f"{where}: the strategy headers needs reset_header, a header's name, and a reset_format out of "
            f"{', '.join(RESET_FORMATS)}.",
            field=where,
        )
    return UntilReset(header, form)


def _policy(given: Any, where: str) -> RetryPolicy | None:
    if given is None or isinstance(given, RetryPolicy):
        return given
    if isinstance(given, Retry):
        return given.policy
    if isinstance(given, Mapping):
        fields = {name: value for name, value in given.items() if name != "strategy"}
        refuse_unknown(fields, _POLICY, where)
        return Retry(**fields).policy
    raise InvalidOptionError(f"{where}={given!r} is no kk.Retry, dict of its fields, or None.", field=where)


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # takes 80 ms, so once a process


def _is_timeout(error: Exception | None) -> bool:
    return isinstance(error, TimeoutError | httpx2.TimeoutException)


def _told(response: httpx2.Response | None, error: Exception | None) -> str:
    if response is not None:
        return f"was answered {response.status_code}"
    return f"failed with {type(error).__name__}: {error}"


def _raise(error: Exception | None) -> NoReturn:
    assert error is not None, "a try has an answer or an error"
    raise error
