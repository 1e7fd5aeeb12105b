"""Who waits for what: an index over the open waits of all runs, made again from them when a snapshot is loaded.

A wait is named by its run and op key. What a newcomer would get wrong: that a wait is `complete` is not yet an event;
`waits.py` makes one of it in the same step, so that the run is told once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kernelkit.models.run import FINAL
from kernelkit.models.wait import Token, Wait

if TYPE_CHECKING:
    from kernelkit.engine.state import State

K = TypeVar("K")

Waiter = tuple[str, str]
"""A run and the op key of one of its waits."""


class Waiting:
    """The index. Times are not in it: they are timers of the runs."""

    def __init__(self) -> None:
        self.left: dict[Waiter, set[str]] = {}  # runs that a wait still needs the end of
        self.by_run: dict[str, set[Waiter]] = {}
        self.by_token: dict[str, set[Waiter]] = {}
        self.by_stream: dict[tuple[str, str], set[Waiter]] = {}  # run and key of an input stream
        self.by_name: dict[str, str] = {}
        self.by_key: dict[tuple[str, str], str] = {}  # kind and idempotency key of tokens
        self.complete: dict[Waiter, None] = {}  # nothing is missing, and the run was not told yet

    # ---- waits -----------------------------------------------------------------------------------------------------

    def opened(self, waiter: Waiter, wait: Wait, state: State) -> None:
        if wait.runs:
            left = {run_id for run_id in wait.runs if (run := state.runs.get(run_id)) and run.status not in FINAL}
            if not left:
                self.complete[waiter] = None
                return
            self.left[waiter] = left
            for run_id in left:
                self.by_run.setdefault(run_id, set()).add(waiter)
        elif wait.token:
            token = state.tokens.get(wait.token)
            if token is None or not token.is_open:
                self.complete[waiter] = None
            else:
                self.by_token.setdefault(wait.token, set()).add(waiter)
        elif wait.stream:
            length = state.runs[waiter[0]].streams.get(wait.stream)
            if length is not None and length.count > wait.index:
                self.complete[waiter] = None
            else:
                self.by_stream.setdefault((waiter[0], wait.stream), set()).add(waiter)

    def closed(self, waiter: Waiter, wait: Wait) -> None:
        """It is over, or nobody wants to know any more."""
        self.complete.pop(waiter, None)
        for run_id in self.left.pop(waiter, ()):
            _drop(self.by_run, run_id, waiter)
        if wait.token:
            _drop(self.by_token, wait.token, waiter)
        if wait.stream:
            _drop(self.by_stream, (waiter[0], wait.stream), waiter)

    def run_ended(self, run_id: str) -> None:
        if run_id not in self.by_run:
            return
        for waiter in sorted(self.by_run.pop(run_id)):
            left = self.left[waiter]
            left.discard(run_id)
            if not left:
                del self.left[waiter]
                self.complete[waiter] = None

    def appended(self, run_id: str, stream: str, state: State) -> None:
        """A stream of the run has grown: waits for values that it has now miss nothing any more."""
        run = state.runs[run_id]
        for waiter in sorted(self.by_stream.get((run_id, stream), ())):
            wait = run.waits[waiter[1]]
            if wait.index < run.streams[stream].count:
                _drop(self.by_stream, (run_id, stream), waiter)
                self.complete[waiter] = None

    # ---- tokens ----------------------------------------------------------------------------------------------------

    def made(self, token: Token) -> None:
        if token.name:
            self.by_name[token.name] = token.id
        if token.key:
            self.by_key[token.kind, token.key] = token.id

    def token_ended(self, token_id: str) -> None:
        for waiter in sorted(self.by_token.pop(token_id, ())):
            self.complete[waiter] = None

    def forgot(self, token: Token) -> None:
        if self.by_name.get(token.name) == token.id:
            del self.by_name[token.name]
        if self.by_key.get((token.kind, token.key)) == token.id:
            del self.by_key[token.kind, token.key]


def _drop(index: dict[K, set[Waiter]], key: K, waiter: Waiter) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(waiter)
        if not members:
            del index[key]
