"""Clients that want to hear of every run of a kind: with certain tags, or of a batch.

Each change of a matching run is pushed: of its status at once, of anything else five times a second at most. What a
newcomer would get wrong: only changes are told here. How the runs are now, and what changed while a client had no
connection, it lists by itself; so nothing needs to be kept for clients that are away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kernelkit.clock import from_datetime
from kernelkit.engine.core import Core
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import Run
from kernelkit.rules.matching import matches
from kernelkit.wire import messages as m

PACE_S = 0.2


class Peer(Protocol):
    """Whoever messages for a client can be given to."""

    def send(self, message: m.AnyMessage) -> None: ...


class Subscriptions:
    """Filters by client, each under a key of the client's making."""

    def __init__(self, core: Core, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._core = core
        self._later = later
        self._filters: dict[Peer, dict[str, RunFilter]] = {}
        self._due: set[str] = set()  # runs with a notice under way

    def __bool__(self) -> bool:
        return bool(self._filters)

    def begin(self, peer: Peer, key: str, asked: RunFilter) -> None:
        """Tell `peer` of changes from now on; the same key again replaces."""
        self._filters.setdefault(peer, {})[key] = asked.frozen(self._core.clock.now())

    def end(self, peer: Peer, key: str) -> None:
        filters = self._filters.get(peer, {})
        filters.pop(key, None)
        if not filters:
            self._filters.pop(peer, None)

    def forget(self, peer: Peer) -> None:
        """The client has gone."""
        self._filters.pop(peer, None)

    def changed(self, run_id: str, *, status_changed: bool) -> None:
        """A run has changed, and the change is on disk."""
        if status_changed:
            self._tell(run_id)
        elif run_id not in self._due:
            self._due.add(run_id)
            self._later(PACE_S, lambda: self._pace_over(run_id))

    def ended(self, run: Run) -> None:
        """A run is final, and that is on disk."""
        created_at = from_datetime(run.created_at)
        wanted = [
            (peer, key)
            for peer, filters in self._filters.items()
            for key, asked in filters.items()
            if matches(run, created_at, asked)
        ]
        self._say(wanted, run)

    def _pace_over(self, run_id: str) -> None:
        self._due.discard(run_id)
        if self._filters:
            self._tell(run_id)

    def _tell(self, run_id: str) -> None:
        live = self._core.state.runs.get(run_id)
        if live is None:
            view = self._core.view(run_id)
            if view is not None:
                self.ended(view)
            return
        wanted = [
            (peer, key)
            for peer, filters in self._filters.items()
            for key, asked in filters.items()
            if matches(live, live.created_at, asked)
        ]
        if wanted:
            view = self._core.view(run_id, count_ahead=False)
            assert view is not None, "it is live"
            self._say(wanted, view)

    def _say(self, wanted: list[tuple[Peer, str]], run: Run) -> None:
        """Send what was read off the state, once the events it was read off are on disk."""
        for peer, key in wanted:
            self._core.after_commit(lambda peer=peer, key=key: peer.send(m.SubscribedRun(key, run)))  # type: ignore[misc]  # mypy cannot type a lambda's defaults
