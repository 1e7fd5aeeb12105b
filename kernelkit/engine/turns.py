"""Whose turn it is: an index over the runs that wait for a slot, which finds the next one without looking at all.

The runs of a queue, or of its copy for one concurrency key, that need the same kind of worker form a lane, in the order
of their priority and age. Between copies slots are shared: the one that holds the fewest goes first, and among equals
the one that has waited longest since it was last served. So neither a flood of runs nor their priority lets one key
starve another; what a newcomer would get wrong is that priority counts within a copy, not between them.

Heaps in two steps: each queue's copies by rank, and over them the queues by the rank of their best copy. A queue that
may not start anything stands aside as a whole. Entries that are no longer right are dropped when they come to the top.
A copy that changes is only noted; its rank is looked up when somebody asks whose turn it is, once for all its changes.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kernelkit.engine.liverun import LiveRun
    from kernelkit.engine.state import State

Rank = tuple[int, int, str]
"""Slots that a copy holds, the event since which it waits for its turn, and its name; the lowest goes first."""

Need = Literal["shared", "process", "machine"]
Kind = Literal["shared", "process", "machine", "shared again", "process again", "machine again"]
"""What a run needs besides a slot: room in a shared worker, a worker of its own, or one with a machine's memory. A run
that goes on after a wait ("again") needs no token of its queue's rate any more, so those have lanes of their own."""

SHARED: tuple[Kind, ...] = ("shared", "shared again")
MACHINES: tuple[Kind, ...] = ("machine", "machine again")
AGAIN: tuple[Kind, ...] = ("shared again", "process again", "machine again")
KINDS: tuple[Kind, ...] = ("shared", "process", "machine", *AGAIN)
_AGAIN: dict[Need, Kind] = {"shared": "shared again", "process": "process again", "machine": "machine again"}

Place = tuple[str, Kind]
"""A queue and one kind."""


def kind_of(need: Need, *, resumes: bool) -> Kind:
    return _AGAIN[need] if resumes else need


class Turns:
    """The copies of queues with runs in line, by rank."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changed: dict[str, str] = {}  # copies, and their queues, whose rank is to be looked up
        self._copies: dict[Place, list[Rank]] = {}
        self._entered: dict[tuple[str, Kind], Rank] = {}  # by lane: the entry of it that counts
        self._queues: dict[Kind, list[tuple[Rank, str]]] = {kind: [] for kind in KINDS}
        self._offered: dict[Place, Rank] = {}  # the entry of a queue that counts
        self.throttled: dict[str, None] = {}  # queues with somebody in line that stand aside for want of a token

    def changed(self, queue: str, slots: str) -> None:
        """Something about a copy has changed: it takes part with the rank it has when a turn is asked for."""
        if slots in self._state.since:
            self._changed[slots] = queue

    def _settle(self) -> None:
        """Give each copy that has changed the rank it has now, if it may start anything."""
        state = self._state
        for slots, queue in self._changed.items():
            if slots not in state.since or state.is_full(queue, slots):
                continue
            rank = (state.holding(slots), state.since[slots], slots)
            for kind in state.lanes.get(slots, ()):
                lane = (slots, kind)
                if self._entered.get(lane) != rank:
                    self._entered[lane] = rank
                    heapq.heappush(self._copies.setdefault((queue, kind), []), rank)
                    self._offer((queue, kind), rank)
        self._changed.clear()

    def leave(self, slots: str) -> None:
        """Nobody of a copy is queued any more."""
        self._changed.pop(slots, None)
        if self._entered:
            for kind in KINDS:
                self._entered.pop((slots, kind), None)

    def firsts(self, kinds: tuple[Kind, ...], moment: int) -> list[tuple[Rank, LiveRun]]:
        """The first run of each of these kinds that has one."""
        if len(self._state.since) == 1:
            return self._of_one(kinds, moment)
        self._settle()
        queues = self._queues
        return [first for kind in kinds if queues[kind] and (first := self._first(kind, moment)) is not None]

    def _of_one(self, kinds: tuple[Kind, ...], moment: int) -> list[tuple[Rank, LiveRun]]:
        """The same where only one copy has anybody in line: no rank is needed, and what has changed stays noted."""
        state = self._state
        (slots,) = state.since
        lanes = state.lanes.get(slots, {})
        found: list[tuple[Rank, LiveRun]] = []
        for kind in kinds:
            run = state.head((slots, kind)) if kind in lanes else None
            if run is None:
                continue
            if state.queues and (queue := run.queue) in state.queues:
                if state.is_full(queue, slots):
                    break
                if not self._may_start((queue, kind), moment):
                    if not state.is_paused(queue):
                        self.throttled[queue] = None
                    continue
            found.append(((0, 0, slots), run))
        return found

    def first(self, kind: Kind, moment: int) -> tuple[Rank, LiveRun] | None:
        """The run that goes first of those of this kind, with the rank of its copy."""
        self._settle()
        return self._first(kind, moment)

    def _first(self, kind: Kind, moment: int) -> tuple[Rank, LiveRun] | None:
        queues = self._queues[kind]
        while queues:
            rank, queue = queues[0]
            place = (queue, kind)
            if self._offered.get(place) == rank:
                best = self._best(place)
                if best is not None and self._may_start(place, moment):
                    if best[0] == rank:
                        return best
                    self._offered[place] = best[0]
                    heapq.heapreplace(queues, (best[0], queue))
                    if queues[0] == (best[0], queue):
                        return best
                    continue
                del self._offered[place]
                if best is not None and not self._state.is_paused(queue):
                    self.throttled[queue] = None
            heapq.heappop(queues)
        return None

    def _may_start(self, place: Place, moment: int) -> bool:
        queue, kind = place
        return not self._state.is_paused(queue) if kind in AGAIN else self._state.may_start(queue, moment)

    def wake(self, moment: int) -> None:
        """Let those that had to wait for a token take part again as soon as there is one."""
        for queue in list(self.throttled):
            if self._state.is_paused(queue) or self._state.may_start(queue, moment):
                del self.throttled[queue]
                self.offer_all(queue)

    def offer_all(self, queue: str) -> None:
        """The queue may start runs again."""
        for kind in KINDS:
            copies = self._copies.get((queue, kind))
            if copies:
                self._offer((queue, kind), copies[0])

    def _offer(self, place: Place, rank: Rank) -> None:
        queue, kind = place
        offered = self._offered.get(place)
        if (queue not in self.throttled or kind in AGAIN) and (offered is None or rank < offered):
            self._offered[place] = rank
            heapq.heappush(self._queues[kind], (rank, queue))

    def _best(self, place: Place) -> tuple[Rank, LiveRun] | None:
        """The best copy of a queue that may start a run, and that run."""
        queue, kind = place
        copies = self._copies[place]
        state = self._state
        while copies:
            rank = copies[0]
            slots = rank[2]
            lane = (slots, kind)
            if self._entered.get(lane) == rank:
                run = None if state.is_full(queue, slots) else state.head(lane)
                if run is not None:
                    return rank, run
                del self._entered[lane]
            heapq.heappop(copies)
        del self._copies[place]
        return None
