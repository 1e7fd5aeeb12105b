"""`kk.retry`: trying again inside one attempt, without failing it.

`on_throw` calls a function of yours, `fetch` sends an HTTP request (`authoring/fetching.py`, loaded at its first use).
Both give back something lazy: `await` it in an `async def` task, call `.result()` on it in a `def` task; until then
nothing has happened. What a newcomer would get wrong: these tries are not attempts of the run. They begin again with
the body when the run itself is retried, and `AbortTaskRunError` passes straight through them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import random
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from kernelkit.authoring.options import Retry
from kernelkit.authoring.scope import scope
from kernelkit.durations import Duration
from kernelkit.errors import AbortTaskRunError, CompleteTaskWithOutput, InvalidOptionError
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.backoff import retry_delay_s

if TYPE_CHECKING:
    import httpx2

    from kernelkit.authoring.fetching import Fetching

T = TypeVar("T")


class Trying(Generic[T]):
    """Calls of one function until one succeeds: `await` it, or `.result()` where there is no `await`."""

    __slots__ = ("_asks", "_function", "_policy")

    def __init__(self, function: Callable[..., Any], policy: RetryPolicy) -> None:
        if not callable(function):
            raise InvalidOptionError(
                f"kk.retry.on_throw takes a function to call, not {function!r}. Write kk.retry.on_throw(f), or "
                "kk.retry.on_throw(lambda: f(x)).",
                field="fn",
            )
        self._function = function
        self._policy = policy
        self._asks = _parameters(function)

    def __await__(self) -> Generator[Any, None, T]:
        return self._run().__await__()

    def result(self) -> T:
        """The value, for plain functions: blocks, also between the tries."""
        tries = 0
        while True:
            tries += 1
            try:
                value = self._call(tries)
                return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value  # type: ignore[no-any-return]  # what the function gave
            except Exception as error:
                pause_sync(self._wait_after(error, tries), error)

    async def _run(self) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                value = self._call(tries)
                return await value if inspect.isawaitable(value) else value  # type: ignore[no-any-return]  # as above
            except Exception as error:
                await pause(self._wait_after(error, tries), error)

    def _call(self, tries: int) -> Any:
        told = {"attempt": tries, "max_attempts": self._policy.max_attempts}
        return self._function(**{name: told[name] for name in self._asks})

    def _wait_after(self, error: Exception, tries: int) -> float:
        """Seconds until the next try; raises the error itself when it was the last."""
        final = isinstance(error, AbortTaskRunError | CompleteTaskWithOutput)
        delay = retry_delay_s(
            self._policy,
            attempt=tries,
            max_attempts=self._policy.max_attempts,
            may_retry=not final,
            jitter=random.random(),
        )
        if delay is None:
            raise error
        told = f"try {tries} of {self._policy.max_attempts} failed with {type(error).__name__}: {error}"
        tell(f"retry.on_throw: {told}; the next in {delay:g} s")
        return delay

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", repr(self._function))
        return f"<kk.retry.on_throw of {name}: await it, or call .result()>"


class RetryHelpers:
    """Retries inside a task's body.

    value = await kk.retry.on_throw(lambda: flaky(row), max_attempts=5)
    response = await kk.retry.fetch("https://api.example.com/rows", retry={"max_attempts": 5})
    """

    __slots__ = ()

    @overload
    def on_throw(
        self,
        fn: Callable[..., Awaitable[T]],
        *,
        max_attempts: int = ...,
        factor: float = ...,
        min_timeout: Duration = ...,
        max_timeout: Duration = ...,
        randomize: bool = ...,
    ) -> Trying[T]: ...

    @overload
    def on_throw(
        self,
        fn: Callable[..., T],
        *,
        max_attempts: int = ...,
        factor: float = ...,
        min_timeout: Duration = ...,
        max_timeout: Duration = ...,
        randomize: bool = ...,
    ) -> Trying[T]: ...

    def on_throw(
        self,
        fn: Callable[..., Any],
        *,
        max_attempts: int = 3,
        factor: float = 2.0,
        min_timeout: Duration = 1.0,
        max_timeout: Duration = 60.0,
        randomize: bool = True,
    ) -> Trying[Any]:
        """Call `fn` until it returns, `max_attempts` times at most, waiting longer each time as `kk.Retry` says.

        `fn` is a plain or async function; if it takes parameters named `attempt` or `max_attempts` it is given them.
        After the last failure the error is raised as it is, and `AbortTaskRunError` at once. Works outside a run too.

            data = await kk.retry.on_throw(lambda: load(url), max_attempts=5)     # async def task
            data = kk.retry.on_throw(lambda: load(url), max_attempts=5).result()  # def task
        """
        chosen = Retry(
            max_attempts=max_attempts,
            factor=factor,
            min_timeout=min_timeout,
            max_timeout=max_timeout,
            randomize=randomize,
        )
        return Trying(fn, chosen.policy)

    def fetch(
        self,
        url: str | httpx2.URL,
        *,
        method: str = "GET",
        timeout: Duration | None = None,
        retry: Mapping[str, Any] | None = None,
        follow_redirects: bool = True,
        **request: Any,  # whatever httpx2's request takes: headers, params, json, data, files, content, cookies, auth
    ) -> Fetching:
        """Send an HTTP request and try again where that helps; gives an `httpx2.Response`, its body read.

        `timeout` is for each try as a whole. `retry` may hold:

        * `max_attempts`: tries in all; never more than 10.
        * `by_status`: status keys (`429`, `"500-599"`, `"5xx"`, `"42x"`, `"408,409"`, `"all"`) to a `kk.Retry`, to its
          fields, to None (never), or to `{"strategy": "headers", "reset_header": …, "reset_format": …}`, which waits
          until the moment that header names (`unix_timestamp_in_ms`, the default, `unix_timestamp`, `iso_8601`,
          `iso_8601_duration_openai_variant`). The first key that fits counts. Default: 429, 408, 409 and 5xx.
          Either dict may hold `body_filter` as well, a function of the answer's JSON, or a pattern of what it must
          have, such as `{"error": {"code": ["busy", "slow"]}}`; answers it does not fit are left to the next keys.
        * `timeout` and `connection_error`: a `kk.Retry`, its fields, or None.
        * `condition(response, error)`: says alone, after every try, whether to try again; one of the two is None.

        An answer that is not, or no longer, tried again is returned whatever its status; `response.raise_for_status()`
        turns it into an error. Timeouts and connection errors are raised after the last try, as httpx2's own errors.
        Each try carries the header `x-retry-count`, 0 for the first.

            response = await kk.retry.fetch(url, timeout="10s", retry={"by_status": {"5xx": kk.Retry(max_attempts=5)}})
            rows = kk.retry.fetch(url, method="POST", json=query).result().json()  # def task
        """
        fetching: type[Fetching] = importlib.import_module("kernelkit.authoring.fetching").Fetching
        return fetching(
            str(url), method=method, timeout=timeout, retry=retry, follow_redirects=follow_redirects, request=request
        )

    def __repr__(self) -> str:
        return "<kk.retry>"


def tell(text: str) -> None:
    """Write to the run's log that something is tried again."""
    found = scope.get()
    if found is not None:
        found.emit("warn", text)


async def pause(seconds: float, error: BaseException | None) -> None:
    """Wait before the next try. A run that is asked to stop tries no more: then `error` is raised."""
    found = scope.get()
    if found is None or not found.takes_signal:  # any other body is cancelled instead
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await found.signal.wait()
    if found.signal.is_set() and error is not None:
        raise error


def pause_sync(seconds: float, error: BaseException | None) -> None:
    """As `pause`, for plain functions; an interrupt of the body gets through."""
    found = scope.get()
    if found is None:
        time.sleep(seconds)
    elif found.signal.wait_sync(seconds) and error is not None:
        raise error


async def _awaited(value: Awaitable[T]) -> T:
    return await value


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of `attempt` and `max_attempts` the function asks for."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # functions of C code may not tell
        return ()
    offered = ("attempt", "max_attempts")
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and (name not in offered or parameter.kind is parameter.POSITIONAL_ONLY):
            raise InvalidOptionError(
                f"kk.retry.on_throw calls its function without arguments, but {name!r} is required. Write "
                "kk.retry.on_throw(lambda: f(x)). It may take attempt and max_attempts.",
                field="fn",
            )
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name in offered if name in parameters and parameters[name].kind in by_name)


retry = RetryHelpers()
