"""One token, what came of it, and a page of them.

A token asks the engine whenever something of it is read, until it has ended; from then on it answers from here. What a
newcomer would get wrong: its answer has the type that was asked for only where this handle knows it, else it is JSON.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, cast, overload

import msgspec
from typing_extensions import TypeVar

from kernelkit import ids, jsonvalues
from kernelkit.authoring import caller as callers
from kernelkit.authoring import display
from kernelkit.authoring.caller import Caller
from kernelkit.authoring.waited import PendingWaited, Waited
from kernelkit.clock import to_datetime
from kernelkit.errors import InvalidOptionError, WaitTimeoutError
from kernelkit.models import wait as models
from kernelkit.models.error import Error
from kernelkit.models.value import Value
from kernelkit.models.wait import TokenStatus
from kernelkit.wire.messages import CompleteToken, ListTokens, RetrieveToken, TokenPage, TokenReply

if TYPE_CHECKING:
    from kernelkit.authoring.answer import Answer

T = TypeVar("T", default=Any)

MAX_KEY = 2_048


class TokenResult(Waited[T]):
    """What came of a token: `.ok`, `.output`, `.error`; `.unwrap()` is the output, or raises `WaitTimeoutError`.

    approval = await kk.wait.for_token(token)
    if approval.ok and approval.output["approved"]: ...
    """

    __slots__ = ("id", "name")

    def __init__(self, token_id: str, name: str, output: T | None, *, timed_out: bool) -> None:
        super().__init__(output, timed_out=timed_out)
        self.id = token_id
        self.name = name

    def _told(self) -> str:
        named = self.name if self.name == self.id else f"{self.name!r} ({self.id})"
        return f"Nobody completed the token {named} in time."

    def _facts(self) -> dict[str, Any]:
        return {"token": self.id}

    def __repr__(self) -> str:
        shown = f"output={self.output!r}" if self.ok else "timed out"
        return f"<TokenResult of {self.id}: {shown}>"


class PendingToken(PendingWaited[TokenResult[T], T]):
    """A `Pending` of a `TokenResult`; `.unwrap()` is a Pending of what the token was completed with."""

    __slots__ = ()


class Token(display.Shown, Generic[T]):
    """A token: `.id`, `.status`, `.tags`, `.output`; `.complete(data)` completes it.

    token = kk.tokens.create(timeout="1h", tags=["invoice"])
    token.complete({"approved": True})
    """

    __slots__ = ("_caller", "_kind", "_seen", "id", "is_cached")

    def __init__(
        self,
        token_id: str,
        kind: Any = Any,
        *,
        caller: Caller | None = None,
        seen: models.Token | None = None,
        is_cached: bool = False,
    ) -> None:
        self.id = token_id
        self._kind = kind  # of the answer
        self.is_cached = is_cached
        """Whether it had been made before, under the same idempotency key. Inside a run that is not known: False."""
        self._caller = caller
        self._seen = seen

    @property
    def url(self) -> str:
        """Where a POST with JSON completes it, once the HTTP gateway is on; until then empty."""
        return ""

    def refresh(self) -> Token[T]:
        """Ask the engine how it is now; returns the token itself."""
        reply = self._caller_now().call(RetrieveToken(self.id))
        assert isinstance(reply, TokenReply)
        self._seen = reply.token
        return self

    def complete(self, data: Any = None) -> Token[T]:
        """Complete it with a JSON value. The first completion counts; a later one changes nothing, without an error.

        Raises `PayloadValidationError` for one that does not fit the token's schema; the token stays open.
        """
        return complete_token(self._caller_now(), self, data)

    def _now(self) -> models.Token:
        if self._seen is None or self._seen.is_open:
            self.refresh()
        assert self._seen is not None
        return self._seen

    @property
    def seen(self) -> models.Token | None:
        """The token as it was when the engine last spoke of it, without asking again."""
        return self._seen

    @property
    def status(self) -> TokenStatus:
        """WAITING, COMPLETED or TIMED_OUT, as it is now."""
        return self._now().status

    @property
    def name(self) -> str | None:
        """Of a token that was made by being named."""
        return self._now().name or None

    @property
    def tags(self) -> tuple[str, ...]:
        return self._now().tags

    @property
    def idempotency_key(self) -> str | None:
        return self._now().key or None

    @property
    def question(self) -> str | None:
        """What a person is asked."""
        return self._now().question or None

    @property
    def context(self) -> dict[str, Any]:  # any JSON object
        """What they were given to answer it."""
        context: dict[str, Any] = jsonvalues.decode(self._now().context or "{}")
        return context

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema that the answer has to fit, or None where any JSON will do."""
        schema: dict[str, Any] | None = jsonvalues.decode(self._now().schema or "null")
        return schema

    @property
    def completed_by(self) -> str | None:
        """The id of the run that completed it, or the notebook, module or kernel that did."""
        return self._now().completed_by or None

    @property
    def created_at(self) -> datetime:
        return to_datetime(self._now().created_at)

    @property
    def timeout_at(self) -> datetime | None:
        """When it times out by itself."""
        return _moment(self._now().timeout_at)

    @property
    def completed_at(self) -> datetime | None:
        """When it was completed, or timed out."""
        return _moment(self._now().completed_at)

    @property
    def output(self) -> T:
        """What it was completed with, of the type that was asked for; None until then."""
        value = self._now().value
        return cast(T, None if value is None or value.text is None else self._revived(value.text))

    def _revived(self, text: str) -> T:
        """An answer as the type that was asked for; raises `PayloadValidationError` for one that is none."""
        return cast(T, jsonvalues.decode(text) if self._kind is Any else answer_of(self._kind, self.id).revive(text))

    @property
    def error(self) -> Error | None:
        """Why it has no output, once it has timed out."""
        now = self._now()
        if now.status != "TIMED_OUT":
            return None
        moment = to_datetime(now.completed_at).isoformat()
        return Error(name=WaitTimeoutError.__name__, message=f"Token timed out at {moment}", code=WaitTimeoutError.code)

    def _caller_now(self) -> Caller:
        if self._caller is None:
            self._caller = callers.current()
        return self._caller

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Token, (self.id, self._kind))

    def __repr__(self) -> str:
        known = "" if self._seen is None else f": {self._seen.status}"
        return f"<Token {self.id}{known}>"


class TokenList(display.Shown, Sequence[Token[Any]]):
    """Some tokens, newest first, without large outputs; `.next()` is the page after."""

    __slots__ = ("_asked", "_caller", "has_more", "tokens", "total")

    def __init__(self, caller: Caller, asked: ListTokens) -> None:
        reply = caller.call(asked)
        assert isinstance(reply, TokenPage)
        self._caller = caller
        self._asked = asked
        self.tokens = tuple(Token(each.id, caller=caller, seen=each) for each in reply.tokens)
        self.has_more = reply.has_more
        self.total = reply.total
        """How many match in all."""

    def next(self) -> TokenList | None:
        """The page after this one, None after the last."""
        if not self.has_more or not self.tokens:
            return None
        return TokenList(self._caller, msgspec.structs.replace(self._asked, after=self.tokens[-1].id))

    @overload
    def __getitem__(self, index: int) -> Token[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Token[Any], ...]: ...
    def __getitem__(self, index: int | slice) -> Token[Any] | tuple[Token[Any], ...]:
        return self.tokens[index]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return "\n".join(line for line in token_lines(self.tokens)) or "No tokens match."


def token_lines(tokens: Iterable[Token[Any]]) -> Iterable[str]:
    """One line of text for each token, as it was seen last."""
    for token in tokens:
        seen = token.seen
        if seen is None:
            yield token.id
            continue
        parts = [token.id, f"{seen.status:<9}", seen.name, " ".join(f"#{tag}" for tag in seen.tags)]
        if seen.timeout_at and seen.is_open:
            parts.append(f"until {to_datetime(seen.timeout_at):%Y-%m-%d %H:%M:%S} UTC")
        yield "  ".join(part for part in parts if part)


def name_of(token: Token[Any] | str) -> str:
    """Id or name of a token; raises `InvalidOptionError`."""
    name = token.id if isinstance(token, Token) else token
    if not isinstance(name, str) or not 0 < len(name) <= MAX_KEY:
        raise InvalidOptionError(
            f"{token!r} is neither a token nor its id or name, a text of 1 to {MAX_KEY:,} characters.", field="token"
        )
    return name


def complete_with_text(caller: Caller, token: str, text: str) -> Token[Any]:
    """Complete a token with JSON that a person wrote; raises `InvalidOptionError` for what is none."""
    try:
        data = json.loads(text)
    except ValueError as cause:
        raise InvalidOptionError(f"The answer is not JSON: {cause}.", field="data") from cause
    return complete_token(caller, token, data)


def complete_token(caller: Caller, token: Token[T] | str, data: Any) -> Token[T]:
    """Complete a token, by object, id or name; raises `PayloadValidationError` where its type is known and not met."""
    name, kind = (token.id, token._kind) if isinstance(token, Token) else (token, Any)
    text = jsonvalues.encode(data, what="the data of the token") if kind is Any else answer_of(kind, name).encode(data)
    value = Value(text=text, size=len(text.encode()))
    by = "" if caller.inside_run else str(caller.owner)
    reply = caller.call(CompleteToken(name, value, new_id=ids.make_id("waitpoint"), by=by))
    assert isinstance(reply, TokenReply)
    return Token(reply.token.id, kind, caller=caller, seen=None if caller.inside_run else reply.token)


def answer_of(kind: Any, token: str) -> Answer[Any]:
    """What checks the answer to a token; its room needs pydantic, which nobody shall wait for who asks without it."""
    made: Answer[Any] = importlib.import_module("kernelkit.authoring.answer").Answer(kind, token)
    return made


def _moment(micros: int) -> datetime | None:
    return to_datetime(micros) if micros else None
