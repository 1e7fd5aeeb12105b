"""What clients ask about tokens, and the answers. What follows from it is decided in `waits.py`."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.waits import matching, shown_value, unknown_token
from kernelkit.models.value import Value
from kernelkit.models.wait import Token
from kernelkit.wire import messages as m

MAX_PAGE = 100


class Answer(Protocol):
    def __call__(self, answer: m.ReplyBody, /) -> None: ...


class Tokens:
    """Tokens as clients see them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def change(self, body: m.MakeToken | m.CompleteToken, reply: Answer) -> None:
        """Make or complete a token, and answer with it once that is on disk."""
        self._core.refuse_if_full()
        asked = body.token_id if isinstance(body, m.MakeToken) else body.token
        self._core.take(c.ChangeToken(body), lambda: self._tell(self._known(asked), asked, reply))

    def retrieve(self, asked: str, reply: Answer) -> None:
        """Answer with the token of an id or name; raises `UnknownTokenError`."""
        token = self._known(asked)
        self._core.after_commit(lambda: self._tell(token, asked, reply))

    def page(self, asked: m.ListTokens) -> m.TokenPage:
        found = matching(self._core.state.tokens.values(), asked)
        rest = [token for token in found if not asked.after or token.id < asked.after]
        limit = max(1, min(asked.limit, MAX_PAGE))
        shown = tuple(replace(token, value=shown_value(token.value)) for token in rest[:limit])
        return m.TokenPage(shown, has_more=len(rest) > limit, total=len(found))

    def _known(self, asked: str) -> Token:
        token = self._core.state.token(asked)
        if token is None or token.kind != "token":
            raise unknown_token(asked)
        return token

    def _tell(self, token: Token, asked: str, reply: Answer) -> None:
        is_cached, value = asked in self._core.state.aliases, token.value

        def tell(text: str) -> None:
            reply(m.TokenReply(replace(token, value=Value(text=text, size=len(text.encode()))), is_cached))

        if value is None:
            reply(m.TokenReply(token, is_cached))
        else:
            self._core.text_of(value, tell)
