"""`kk.wait`: waiting for time and for tokens inside a task, without holding a slot.

A wait for up to five seconds is slept through. A longer one, and every wait for a token, suspends the run: it is
WAITING, costs no compute and gives its slot to others. What a newcomer would get wrong: should the worker be gone
when the wait is over, the body is called again from its beginning, and given what it had come to (docs/waits.md).
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, overload

from kernelkit import ids
from kernelkit.authoring.durable import DurableWait, WaitInfo, moment_in
from kernelkit.authoring.pending import Pending, refuse_timeout
from kernelkit.authoring.scope import Scope, current_scope
from kernelkit.authoring.token import PendingToken, Token, TokenResult, name_of
from kernelkit.authoring.tokens import key_text
from kernelkit.clock import MICROS, from_datetime, to_datetime
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.wait import Wait
from kernelkit.wire.messages import WaitResult

T = TypeVar("T")

_UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0, "weeks": 604_800.0}
_CALENDAR = ("months", "years")


class WaitHelpers:
    """Waits of a run.

    await kk.wait.for_(minutes=5)
    await kk.wait.until(datetime(2027, 1, 1, tzinfo=UTC))
    approval = await kk.wait.for_token(token, timeout="2h")
    """

    __slots__ = ()

    def for_(
        self,
        duration: Duration | None = None,
        /,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        weeks: float = 0,
        months: int = 0,
        years: int = 0,
        idempotency_key: Any = None,
        idempotency_key_ttl: Duration | None = None,
    ) -> Pending[None]:
        """Wait so long: `for_(hours=2)`, `for_("1h30m")`, `for_(90)`. Zero and less return at once.

        Waits with the same `idempotency_key` share one moment, in the whole project: that of the first, for
        `idempotency_key_ttl`. Raises `NotInTaskError` outside of a run and `InvalidDurationError`.

            await kk.wait.for_(minutes=5)
        """
        scope = current_scope("kk.wait.for_(…)")
        amounts = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days, "weeks": weeks}
        given = {name: amount for name, amount in {**amounts, "months": months, "years": years}.items() if amount}
        told = "kk.wait.for_(" + ", ".join(f"{name}={amount:g}" for name, amount in given.items()) + ")"
        if duration is not None:
            if given:
                raise InvalidDurationError("kk.wait.for_ takes one duration, or units as keywords, not both.")
            total = to_seconds(duration, field="duration")
            told = f"kk.wait.for_({duration!r})"
        else:
            total = _total(amounts, given, scope)
        return _timed(scope, told, told, total, idempotency_key, idempotency_key_ttl)

    def until(
        self,
        moment: datetime,
        *,
        raise_if_past: bool = False,
        idempotency_key: Any = None,
        idempotency_key_ttl: Duration | None = None,
    ) -> Pending[None]:
        """Wait until a moment, an aware `datetime`. One that is over returns at once, or raises `InvalidOptionError`
        with `raise_if_past=True`.

            await kk.wait.until(datetime(2027, 1, 1, tzinfo=UTC))
        """
        scope = current_scope("kk.wait.until(…)")
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise InvalidDurationError(
                f"kk.wait.until takes a datetime with a time zone, not {moment!r}; for instance "
                "datetime(2027, 1, 1, tzinfo=UTC).",
                field="moment",
            )
        told = f"kk.wait.until({moment.astimezone(UTC).isoformat()})"
        left = (from_datetime(moment) - scope.now()) / MICROS
        waits = scope.waits
        if left <= 0 and raise_if_past and not waits.is_replaying:
            raise InvalidOptionError(f"{told}: that moment is over.", field="moment")
        return _timed(scope, told, told, left, idempotency_key, idempotency_key_ttl, until=from_datetime(moment))

    @overload
    def for_token(self, token: Token[T], *, timeout: Duration | datetime | None = None) -> PendingToken[T]: ...
    @overload
    def for_token(self, token: str, *, timeout: Duration | datetime | None = None) -> PendingToken[Any]: ...
    def for_token(self, token: Token[Any] | str, *, timeout: Duration | datetime | None = None) -> PendingToken[Any]:
        """Wait until somebody completes a token; the answer is a `Result` with what it was completed with.

        `token` is one that `kk.tokens.create` made, its id, or any other text, which names a token that is made at its
        first use. `timeout` is this wait's own, besides the token's: afterwards `.ok` is False, and `.unwrap()` raises
        `WaitTimeoutError`. Raises `UnknownTokenError` for an id that is not kept.

        Of a token object that was made with a `schema` the answer is of that type; one that the type's own validators
        refuse raises `PayloadValidationError` here.

            approval = await kk.wait.for_token("invoice-17", timeout="2h")
        """
        scope = current_scope("kk.wait.for_token(…)")
        name = name_of(token)
        told = f"kk.wait.for_token({name!r})"
        until = _timeout_moment(scope, timeout)

        def asked() -> DurableWait[TokenResult[Any]]:
            info = WaitInfo("token", token=name, date=to_datetime(until) if until else None)
            wait = Wait("token", until, token=name)
            answer = partial(_token_result, token)
            return DurableWait(told, "token", name, info, wait, answer, new_id=ids.make_id("waitpoint"))

        def start() -> Awaitable[TokenResult[Any]]:
            return scope.waits.wait(asked())

        def plain(given: Duration | None) -> TokenResult[Any]:
            refuse_timeout(given, told)
            return scope.waits.wait_sync(asked())

        return PendingToken(told, start, plain)

    def __repr__(self) -> str:
        return "<kk.wait: for_(minutes=5), until(moment), for_token(token, timeout=…)>"


def _total(amounts: dict[str, float], given: dict[str, float], scope: Scope) -> float:
    for name, amount in given.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount != amount:
            raise InvalidDurationError(f"{name}={amount!r} is not a number.", field=name)
        if name in _CALENDAR and amount != int(amount):
            raise InvalidDurationError(f"{name}={amount!r} is not a whole number.", field=name)
    total = sum(_UNITS[name] * amount for name, amount in amounts.items())
    if abs(total) > 1e12:
        raise InvalidDurationError(f"{total:g} seconds are too long a wait.")
    months = int(given.get("months", 0)) + 12 * int(given.get("years", 0))
    if not months:
        return total
    now = to_datetime(scope.now())
    return total + (_months_later(now, months) - now).total_seconds()


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of a month that is too short."""
    count = moment.year * 12 + moment.month - 1 + months
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=count // 12, month=count % 12 + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=count // 12, month=count % 12 + 1)


def _timed(
    scope: Scope, told: str, key: str, seconds: float, idempotency_key: Any, ttl: Duration | None, *, until: int = 0
) -> Pending[None]:
    key_ttl = 0.0 if ttl is None else to_seconds(ttl, field="idempotency_key_ttl")
    shared = "" if idempotency_key is None else key_text(idempotency_key)

    def asked() -> DurableWait[None]:
        moment = until or moment_in(scope, seconds)
        info = WaitInfo("duration", date=to_datetime(moment))
        made = ids.make_id("waitpoint") if shared else ""
        wait = Wait("duration", moment)
        return DurableWait(told, "duration", f"{key} {shared}", info, wait, _nothing, made, shared, key_ttl)

    def is_short() -> bool:
        # A moment may have been far when it was first waited for; then its result is among the checkpoints.
        return seconds <= scope.start.suspend_after and not (until and scope.waits.is_replaying)

    def start() -> Awaitable[None]:
        scope.check()
        scope.waits.refuse_here(told, plain=False)
        return scope.waits.sleep(max(0.0, seconds)) if is_short() else scope.waits.wait(asked())

    def plain(given: Duration | None) -> None:
        refuse_timeout(given, told)
        scope.check()
        scope.waits.refuse_here(told, plain=True)
        if is_short():
            scope.waits.sleep_sync(max(0.0, seconds))
        else:
            scope.waits.wait_sync(asked())

    return Pending(told, start, plain)


def _timeout_moment(scope: Scope, timeout: Duration | datetime | None) -> int:
    if timeout is None:
        return 0
    if isinstance(timeout, datetime):
        if timeout.tzinfo is None:
            raise InvalidDurationError(f"timeout={timeout!r} has no time zone.", field="timeout")
        return from_datetime(timeout)
    return moment_in(scope, to_seconds(timeout, field="timeout"))


def _nothing(result: WaitResult) -> None:
    """The answer to a wait for time."""


def _token_result(token: Token[Any] | str, result: WaitResult) -> TokenResult[Any]:
    known = token if isinstance(token, Token) else Token(token)
    value = None if result.value is None else known._revived(result.value.text or "null")
    return TokenResult(result.token, known.id, value, timed_out=result.timed_out)


wait = WaitHelpers()
