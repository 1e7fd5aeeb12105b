"""The part of `apply.py` that changes tokens. Like it, total and unconditional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from kernelkit.models import event as ev
from kernelkit.models.wait import Token

if TYPE_CHECKING:
    from kernelkit.engine.state import State

KEPT = 10_000
"""So many tokens that are completed or timed out can still be looked at and waited for."""


def made(state: State, event: ev.TokenMade) -> None:
    state.tokens[event.token.id] = event.token
    state.add_token(event.token)
    if len(state.tokens) % 1_024 == 0:
        _forget_oldest(state)


def aliased(state: State, event: ev.TokenAliased) -> None:
    state.aliases[event.token_id] = event.same_as


def completed(state: State, event: ev.TokenCompleted) -> None:
    token = replace(state.tokens[event.token_id], completed_by=event.by)
    _end(state, replace(token, status="COMPLETED", completed_at=event.at, value=event.value))


def timed_out(state: State, event: ev.TokenTimedOut) -> None:
    _end(state, replace(state.tokens[event.token_id], status="TIMED_OUT", completed_at=event.at))


def _end(state: State, token: Token) -> None:
    state.tokens[token.id] = token
    state.waiting.token_ended(token.id)


def _forget_oldest(state: State) -> None:
    ended = [token for token in state.tokens.values() if not token.is_open]
    for token in ended[: max(0, len(ended) - KEPT)]:
        del state.tokens[token.id]
        state.waiting.forgot(token)
    state.aliases = {alias: same for alias, same in state.aliases.items() if same in state.tokens}
