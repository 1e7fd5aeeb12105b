"""`kk.tokens`: something that a person or another program completes, and that runs wait for.

A token belongs to the project. It may be completed before anybody waits, many runs may wait for one, and the first
completion counts. What a newcomer would get wrong: a text that is no token's id *names* a token, which is made when
that name is first waited for or completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, overload

from typing_extensions import TypeVar

from kernelkit import ids, jsonvalues
from kernelkit.authoring import caller as callers
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.idempotency import IdempotencyKey
from kernelkit.authoring.tags import new_tags
from kernelkit.authoring.token import MAX_KEY, Token, TokenList, answer_of, complete_token, name_of
from kernelkit.clock import from_datetime
from kernelkit.durations import Duration, to_seconds
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.wait import TokenStatus
from kernelkit.rules.limits import check_question
from kernelkit.wire.messages import ListTokens, MakeToken, RetrieveToken, TokenReply

T = TypeVar("T", default=Any)

PAGE = 100
_STATUSES: tuple[TokenStatus, ...] = ("WAITING", "COMPLETED", "TIMED_OUT")


class Tokens:
    """The tokens of the project.

    token = kk.tokens.create(timeout="1h", tags=["invoice"])
    kk.tokens.complete(token.id, {"approved": True})
    kk.tokens.list(status="WAITING")
    """

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller

    def _current(self) -> Caller:
        return self._caller or callers.current()

    @overload
    def create(
        self,
        *,
        schema: type[T],
        timeout: Duration | datetime | None = None,
        tags: str | Iterable[str] = (),
        question: str = "",
        context: Mapping[str, Any] | None = None,
        idempotency_key: Any = None,
        idempotency_key_ttl: Duration | None = None,
    ) -> Token[T]: ...
    @overload
    def create(
        self,
        *,
        schema: Any = None,
        timeout: Duration | datetime | None = None,
        tags: str | Iterable[str] = (),
        question: str = "",
        context: Mapping[str, Any] | None = None,
        idempotency_key: Any = None,
        idempotency_key_ttl: Duration | None = None,
    ) -> Token[Any]: ...
    def create(
        self,
        *,
        schema: Any = None,
        timeout: Duration | datetime | None = None,
        tags: str | Iterable[str] = (),
        question: str = "",
        context: Mapping[str, Any] | None = None,
        idempotency_key: Any = None,
        idempotency_key_ttl: Duration | None = None,
    ) -> Token[Any]:
        """Make a token, inside a run or outside. Without `timeout` (a duration, or an aware moment) it waits for ever.

        A notebook shows it with Approve and Reject, under its `question` and the fields of its `context` (4 kB of
        JSON at most).

        `schema` is what the answer has to be: a pydantic model, a dataclass or any other type, or a JSON Schema as a
        dict. A notebook asks for it with a form, what does not fit is refused wherever it comes from while the token
        stays open, and whoever waits with this token gets the answer as that type. Without it any JSON value goes.

        With an `idempotency_key` that has a token already, and whose `idempotency_key_ttl` is not over, that token is
        given. Raises `InvalidOptionError`.

            token = kk.tokens.create(timeout="1h", question="Pay invoice 17?", context={"amount": "18,400.00 EUR"})
        """
        told = _context(context)
        check_question(question, told)
        timeout_s, timeout_at = _timeout(timeout)
        token_id = ids.make_id("waitpoint")
        body = MakeToken(
            token_id,
            tags=new_tags(tags),
            timeout_s=timeout_s,
            timeout_at=timeout_at,
            key="" if idempotency_key is None else key_text(idempotency_key),
            key_ttl=0.0 if idempotency_key_ttl is None else to_seconds(idempotency_key_ttl, field="key_ttl"),
            question=question,
            context=told,
            schema="" if schema is None else answer_of(schema, token_id).schema_text(),
        )
        caller = self._current()
        reply = caller.call(body)
        assert isinstance(reply, TokenReply)
        seen = None if caller.inside_run else reply.token
        kind = Any if schema is None or isinstance(schema, Mapping) else schema
        return Token(reply.token.id, kind, caller=caller, seen=seen, is_cached=reply.is_cached)

    def complete(self, token: Token[Any] | str, data: Any = None) -> Token[Any]:
        """Complete a token, by object, id or name, with a JSON value; whoever waits for it goes on.

        The first completion counts; a later one changes nothing, without an error. Raises `UnknownTokenError`, and
        `PayloadValidationError` for an answer that does not fit the token's schema; the token stays open then. Inside a
        run such a refusal comes at its next call.

            kk.tokens.complete("invoice-17", {"approved": True})
        """
        return complete_token(self._current(), token if isinstance(token, Token) else name_of(token), data)

    def retrieve(self, token: Token[Any] | str) -> Token[Any]:
        """The token of that id or name as it is now; raises `UnknownTokenError`."""
        caller = self._current()
        reply = caller.call(RetrieveToken(name_of(token)))
        assert isinstance(reply, TokenReply)
        kind = token._kind if isinstance(token, Token) else Any
        return Token(reply.token.id, kind, caller=caller, seen=reply.token)

    def list(
        self,
        *,
        status: str | Iterable[str] = (),
        tag: str | Iterable[str] = (),
        idempotency_key: Any = None,
        limit: int = 25,
        after: Token[Any] | str = "",
    ) -> TokenList:
        """Tokens that match all filters, newest first. Those that have ended are kept up to 10,000."""
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= PAGE:
            raise InvalidOptionError(f"limit={limit!r} is not a number from 1 to {PAGE}.", field="limit")
        asked = ListTokens(
            status=tuple(_status(one) for one in ([status] if isinstance(status, str) else status)),
            tag=(tag,) if isinstance(tag, str) else tuple(tag),
            key="" if idempotency_key is None else key_text(idempotency_key),
            limit=limit,
            after=name_of(after) if after else "",
        )
        return TokenList(self._current(), asked)

    def __repr__(self) -> str:
        return "<kk.tokens: create(timeout=…), complete(token, data), retrieve(token), list()>"


def key_text(key: Any) -> str:
    """An idempotency key as text: a text, a list of texts, or what `kk.idempotency_keys.create` made."""
    parts = [key] if not isinstance(key, list | tuple) else key
    text = "\x1f".join(str(part) for part in parts)
    if (
        not all(isinstance(part, str) or isinstance(part, IdempotencyKey) for part in parts)
        or not 0 < len(text) <= MAX_KEY
    ):
        raise InvalidOptionError(
            f"idempotency_key={key!r} is not a text of 1 to {MAX_KEY:,} characters, nor a list of texts.",
            field="idempotency_key",
        )
    return text


def _context(given: Mapping[str, Any] | None) -> str:
    if given is None:
        return ""
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise InvalidOptionError(
            f"context={given!r} has no named fields; give a dict such as {{'amount': 12}}.", field="context"
        )
    return jsonvalues.encode(dict(given), what="the context of a token")


def _timeout(given: Duration | datetime | None) -> tuple[float, int]:
    if given is None:
        return 0.0, 0
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise InvalidDurationError(f"timeout={given!r} has no time zone.", field="timeout")
        return 0.0, from_datetime(given)
    seconds = to_seconds(given, field="timeout")
    if not seconds:
        raise InvalidDurationError("timeout=0 leaves no time to complete the token.", field="timeout")
    return seconds, 0


def _status(given: str) -> TokenStatus:
    wanted = str(given).upper()
    if wanted not in _STATUSES:
        raise InvalidOptionError(f"status={given!r} is none of {', '.join(_STATUSES)}.", field="status")
    return wanted


tokens = Tokens()
