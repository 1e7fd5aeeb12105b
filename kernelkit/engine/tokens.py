"""What clients ask about tokens, and the answers. What follows from it is decided in `waits.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from kernelkit.engine import commands as c
from kernelkit.engine.core import Core
from kernelkit.engine.waits import matching, shown_value, unknown_token
from kernelkit.models.run import RunRef
from kernelkit.models.value import Value
from kernelkit.models.wait import Token
from kernelkit.wire import messages as m

MAX_PAGE = 100
_SHOWN = 20  # waiting runs that are told by name


class Answer(Protocol):
    def __call__(self, answer: m.ReplyBody, /) -> None: ...


@dataclass(eq=False, slots=True)
class _Asker:
    peer: object
    body: m.RetrieveToken
    reply: Answer
    until: float


class Tokens:
    """Tokens as clients see them."""

    def __init__(self, core: Core, monotonic: Callable[[], float]) -> None:
        self._core = core
        self._time = monotonic
        self._waiting: dict[str, list[_Asker]] = {}  # by id of the token
        core.on_token = self._changed

    def change(self, body: m.MakeToken | m.CompleteToken, reply: Answer) -> None:
        """Make or complete a token, and answer with it once that is on disk."""
        self._core.refuse_if_full()
        asked = body.token_id if isinstance(body, m.MakeToken) else body.token
        self._core.take(c.ChangeToken(body), lambda: self._tell(self._known(asked), asked, reply))

    def retrieve(self, peer: object, body: m.RetrieveToken, reply: Answer) -> None:
        """Answer with the token of an id or name, now or when it has changed; raises `UnknownTokenError`."""
        token = self._known(body.token)
        asker = _Asker(peer, body, reply, self._time() + body.wait_s)
        self._core.after_commit(lambda: self._look(token.id, asker))

    def tend(self) -> None:
        """Called about once a second: whoever has waited long enough is told how it is."""
        now = self._time()
        for token_id, askers in list(self._waiting.items()):
            for asker in [asker for asker in askers if asker.until <= now]:
                self._drop(token_id, asker)
                self._look(token_id, asker)

    def forget(self, peer: object) -> None:
        """Whoever asked has gone."""
        for token_id, askers in list(self._waiting.items()):
            for asker in [asker for asker in askers if asker.peer is peer]:
                self._drop(token_id, asker)

    def _look(self, token_id: str, asker: _Asker) -> None:
        token = self._core.state.tokens.get(token_id)
        if token is None:  # it ended long ago and made room for others meanwhile
            return
        body = asker.body
        is_news = (token.status, self._waiters(token_id)) != (body.seen_status, body.seen_waiting)
        if is_news or asker.until <= self._time():
            self._tell(token, body.token, asker.reply)
        else:
            self._waiting.setdefault(token_id, []).append(asker)

    def _changed(self, token_id: str) -> None:
        for asker in self._waiting.pop(token_id, ()):
            self._look(token_id, asker)

    def _drop(self, token_id: str, asker: _Asker) -> None:
        self._waiting[token_id].remove(asker)
        if not self._waiting[token_id]:
            del self._waiting[token_id]

    def _waiters(self, token_id: str) -> int:
        return len(self._core.state.waiting.by_token.get(token_id, ()))

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
        state, value = self._core.state, token.value
        waiting = sorted(state.waiting.by_token.get(token.id, ()))
        runs = [state.runs[run_id] for run_id, _ in waiting[:_SHOWN]]
        told = m.TokenReply(
            token,
            asked in state.aliases,
            tuple([RunRef(run.id, run.task_id, run.status) for run in runs]),
            len(waiting),
        )

        def tell(text: str) -> None:
            reply(replace(told, token=replace(token, value=Value(text=text, size=len(text.encode())))))

        if value is None:
            reply(told)
        else:
            self._core.text_of(value, tell)
