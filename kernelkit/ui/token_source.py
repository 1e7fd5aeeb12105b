"""The live token card: it turns when the token is answered, here or elsewhere, and a click answers it."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import msgspec

from kernelkit.authoring.caller import Caller
from kernelkit.authoring.token import Token, complete_with_text
from kernelkit.errors import KernelKitError
from kernelkit.ui import words
from kernelkit.ui.faces import Bundle
from kernelkit.ui.polled import Polled, named
from kernelkit.ui.refusals import field_errors
from kernelkit.ui.token_card import token_card
from kernelkit.ui.tokens import token_html, token_row, token_text
from kernelkit.wire.messages import ReplyBody, RetrieveToken, TokenReply

EVERY_S = 5.0  # beside what the engine says at once
WAIT_S = 20.0


class TokenSource(Polled):
    """A `Source` of `ui/live_view.py`."""

    def __init__(self, token: Token, caller: Caller) -> None:
        super().__init__(caller)
        self._caller = caller
        self._id = token.id
        self._reply: TokenReply | None = None
        self._news: Future[ReplyBody] | None = None

    @property
    def is_over(self) -> bool:  # type: ignore[override]  # a plain attribute elsewhere
        return not self._known.token.is_open

    def ask(self) -> None:
        reply = self._caller.call(RetrieveToken(self._id))
        assert isinstance(reply, TokenReply)
        self._reply = reply
        if not self.is_over and (self._news is None or self._news.done()):
            seen = reply.token.status, reply.waiting_count
            self._news = self._caller.submit(RetrieveToken(self._id, WAIT_S, *seen))
            self._news.add_done_callback(self._came)

    def shown(self) -> dict[str, Any]:
        reply = self._known
        card = token_card(
            reply.token, reply.waiting, reply.waiting_count, now=datetime.now(UTC), zone=words.local_zone()
        )
        view: dict[str, Any] = msgspec.to_builtins(card)
        return view

    def bundle(self) -> Bundle:
        row = token_row(self._known.token, now=datetime.now(UTC), zone=words.local_zone())
        return {"text/plain": token_text(row), "text/html": token_html(row)}

    def act(self, content: dict[str, Any]) -> str:
        if content.get("do") != "complete":
            raise KernelKitError(f"The token card knows no {content.get('do')!r}.")
        complete_with_text(self._caller, self._id, named(content, "data"))
        return ""

    def problem(self, problem: KernelKitError) -> dict[str, Any]:
        return {"errors": field_errors(problem)}

    def close(self) -> None:
        if self._news is not None:
            self._news.cancel()

    def _came(self, news: Future[ReplyBody]) -> None:
        if not news.cancelled():
            self.wake.set()
            self.urgent.set()

    @property
    def _known(self) -> TokenReply:
        assert self._reply is not None, "it has been asked for"
        return self._reply
