"""Messages about tokens. Making and completing one are a client's requests, and inside a run reports, under an `op`."""

from __future__ import annotations

from kernelkit.models.run import RunRef
from kernelkit.models.value import Value
from kernelkit.models.wait import Token, TokenStatus
from kernelkit.wire.messages.message import Message


class MakeToken(Message, frozen=True):
    """→ `TokenReply`, or a report of an attempt under `op`. The id is the caller's; a key may mean another token."""

    token_id: str
    op: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    timeout_s: float = 0.0  # from when the engine takes it
    timeout_at: int = 0  # or a moment
    key: str = ""
    key_ttl: float = 0.0  # 0 = for ever
    question: str = ""
    context: str = ""  # JSON object
    schema: str = ""  # JSON Schema of the answer


class CompleteToken(Message, frozen=True):
    """→ `TokenReply`, as it is then; or a report under `op`. `token` is an id or a name; a name that nobody has used
    yet makes the token `new_id`. One that is completed stays as it is."""

    token: str
    value: Value
    new_id: str = ""
    op: str = ""
    by: str = ""  # who completes it, where that is no run


class RetrieveToken(Message, frozen=True):
    """→ `TokenReply`, by id or name.

    With `wait_s` it is answered when the token is not (any more) `seen_status` with `seen_waiting` runs, or after so
    many seconds.
    """

    token: str
    wait_s: float = 0.0
    seen_status: str = ""
    seen_waiting: int = 0


class TokenReply(Message, frozen=True):
    token: Token  # its value as text
    is_cached: bool = False  # it had been made before, under the same key
    waiting: tuple[RunRef, ...] = ()  # runs that wait for it now, the first 20
    waiting_count: int = 0


class ListTokens(Message, frozen=True):
    """→ `TokenPage`, newest first, without large values."""

    status: tuple[TokenStatus, ...] = ()
    tag: tuple[str, ...] = ()
    key: str = ""
    limit: int = 25
    after: str = ""


class TokenPage(Message, frozen=True):
    tokens: tuple[Token, ...]
    has_more: bool
    total: int
