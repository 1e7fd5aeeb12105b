"""Tells clients what became of runs, each no more often than it can use.

A follower is told once, when the run is final. A watcher is told of each status change at once and of anything else
five times a second at most. Nothing here is durable: a client that dials in again says again what it follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kernelkit.engine.core import Core
from kernelkit.engine.logbook import Logbook
from kernelkit.engine.offloop import read_now
from kernelkit.engine.subscriptions import Subscriptions
from kernelkit.models.run import FINAL, Logs, Run, RunStatus
from kernelkit.models.stream import StreamTail
from kernelkit.wire import messages as m

PACE_S = 0.2
STREAM_TAIL = 2_000  # bytes of JSON, of each stream that a card shows


class Peer(Protocol):
    """Whoever messages for a client can be given to."""

    def send(self, message: m.AnyMessage) -> None: ...


Later = Callable[[float, Callable[[], None]], object]


class Notices:
    """Who wants to hear of which run."""

    def __init__(self, core: Core, logbook: Logbook, later: Later) -> None:
        self._core = core
        self._logbook = logbook
        self._later = later
        self._followers: dict[str, set[Peer]] = {}
        self._watchers: dict[str, set[Peer]] = {}
        self._due: set[str] = set()  # watched runs with a notice under way
        self._tails: dict[str, tuple[StreamTail, ...]] = {}  # of watched runs: the ends of their output streams …
        self._grown: set[str] = set()  # … and which of them are to be read again
        self.subscriptions = Subscriptions(core, later)
        core.notices = self

    # ---- what the core tells -------------------------------------------------------------------------------------

    @property
    def are_heard(self) -> bool:
        """Whether anybody hears of changes now. One who begins between a change and its commit needs no notice of it:
        what that one is told at the start, or lists, is read off a state that has it."""
        return bool(self._watchers or self.subscriptions)

    def changed(self, run_id: str, *, status_changed: bool) -> None:
        if self.subscriptions:
            self.subscriptions.changed(run_id, status_changed=status_changed)
        self._changed_watched(run_id, status_changed=status_changed)

    def _changed_watched(self, run_id: str, *, status_changed: bool) -> None:
        if run_id not in self._watchers:
            return
        if status_changed:
            self._tell_watchers(run_id)
        elif run_id not in self._due:
            self._due.add(run_id)
            self._later(PACE_S, lambda: self._pace_over(run_id))

    def ended(self, run: Run) -> None:
        followers = self._followers.pop(run.id, None)
        if followers:
            notice = m.RunEnded(run)
            for peer in followers:
                peer.send(notice)
        if run.id in self._watchers:
            self._tell_watchers(run.id, run)
        if self.subscriptions:
            self.subscriptions.ended(run)

    def queues_changed(self) -> None:
        """What is set for a queue has changed: watched runs that are queued may say another reason."""
        for run_id in self._watchers:
            run = self._core.state.runs.get(run_id)
            if run is not None and run.status is RunStatus.QUEUED:
                self.changed(run_id, status_changed=True)

    def lines_came(self, run_id: str) -> None:
        """Captured lines have come in."""
        self._changed_watched(run_id, status_changed=False)

    def stream_grew(self, run_id: str) -> None:
        """A stream of the run has more in it."""
        if run_id in self._watchers:
            self._grown.add(run_id)
            self._changed_watched(run_id, status_changed=False)

    # ---- what clients ask for ------------------------------------------------------------------------------------

    def follow(self, peer: Peer, run_ids: tuple[str, ...], unknown: Callable[[Exception], None]) -> None:
        """Have `peer` told when each run is final, at once where it is."""
        for run_id in run_ids:
            run = self._core.state.runs.get(run_id)
            if run is not None and run.status not in FINAL:
                self._followers.setdefault(run_id, set()).add(peer)
            elif (ended := self._core.at_hand(run_id)) is not None:
                self._say(peer, m.RunEnded(ended))
            else:
                self._read_ended(peer, run_id, unknown)

    def _read_ended(self, peer: Peer, run_id: str, unknown: Callable[[Exception], None]) -> None:
        read_now(self._core, self._core.read_run(run_id), lambda run: peer.send(m.RunEnded(run)), unknown)

    def _say(self, peer: Peer, message: m.AnyMessage) -> None:
        """Send what was read off the state, once the events it was read off are on disk."""
        self._core.after_commit(lambda: peer.send(message))

    def watch(self, peer: Peer, run_id: str) -> None:
        """Have `peer` told of changes, beginning with how the run is now."""
        self._watchers.setdefault(run_id, set()).add(peer)
        if self._logbook.is_kept(run_id):
            self._tell(peer, run_id)
            return

        def ends_read(found: tuple[Logs, list[StreamTail]]) -> None:
            logs, tails = found
            if run_id in self._watchers:
                self._logbook.begin(run_id, logs.lines)
                self._tails[run_id] = _of_output(tails)
                self._tell(peer, run_id)

        store = self._core.store
        self._core.read(lambda: (store.lines(run_id, 50), store.streams(run_id, STREAM_TAIL)), ends_read)

    def unwatch(self, peer: Peer, run_id: str) -> None:
        watchers = self._watchers.get(run_id)
        if watchers is not None:
            watchers.discard(peer)
            if not watchers:
                del self._watchers[run_id]
                self._logbook.end(run_id)
                self._tails.pop(run_id, None)
                self._grown.discard(run_id)

    def forget(self, peer: Peer) -> None:
        """The client has gone."""
        self.subscriptions.forget(peer)
        for run_id in [run_id for run_id, peers in self._watchers.items() if peer in peers]:
            self.unwatch(peer, run_id)
        for run_id in [run_id for run_id, peers in self._followers.items() if peer in peers]:
            self._followers[run_id].discard(peer)
            if not self._followers[run_id]:
                del self._followers[run_id]

    # ---- inside --------------------------------------------------------------------------------------------------

    def _pace_over(self, run_id: str) -> None:
        self._due.discard(run_id)
        if run_id in self._watchers:
            self._tell_watchers(run_id)

    def _tell_watchers(self, run_id: str, run: Run | None = None) -> None:
        if run_id in self._grown:
            self._grown.discard(run_id)

            def tails_read(found: list[StreamTail]) -> None:
                if run_id in self._watchers:
                    self._tails[run_id] = _of_output(found)
                self._tell_watchers(run_id, run)

            self._core.read(lambda: self._core.store.streams(run_id, STREAM_TAIL), tails_read)
            return
        for peer in tuple(self._watchers.get(run_id, ())):
            self._tell(peer, run_id, run)

    def _tell(self, peer: Peer, run_id: str, run: Run | None = None) -> None:
        run = run or self._core.view(run_id)
        if run is not None:
            self._say(peer, self._changed(run))
            return

        def tell(found: Run | None) -> None:
            if found is not None:
                peer.send(self._changed(found))

        self._core.read(lambda: self._core.store.run(run_id), tell)

    def _changed(self, run: Run) -> m.RunChanged:
        tokens = self._core.state.tokens
        asked = [tokens[wait.token_id] for wait in run.waiting_for if wait.token_id in tokens]
        token = next((token for token in asked if token.is_open), None)
        return m.RunChanged(run, self._logbook.tail(run.id), self._tails.get(run.id, ()), token)


def _of_output(tails: list[StreamTail]) -> tuple[StreamTail, ...]:
    return tuple([tail for tail in tails if not tail.is_input])
