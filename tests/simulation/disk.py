"""What survives a crash of the simulated engine: the events of finished commits, as text, and snapshots of them."""

from __future__ import annotations

from kernelkit.engine.apply import apply
from kernelkit.engine.state import State
from kernelkit.models import event as ev


class Disk:
    """Events become durable at `commit`; `crash` forgets the others."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.pending: list[ev.AnyEvent] = []
        self.runs: set[str] = set()  # runs whose trigger is on disk
        self._snapshots: list[tuple[int, bytes]] = []

    @property
    def seq(self) -> int:
        """The number of the last event, committed or not."""
        return len(self.log) + len(self.pending)

    def write(self, event: ev.AnyEvent) -> None:
        self.pending.append(event)

    def commit(self) -> None:
        for event in self.pending:
            self.log.append(ev.to_json(event))
            if isinstance(event, ev.RunTriggered | ev.RunRefused):
                self.runs.add(event.run_id)
        self.pending.clear()

    def crash(self) -> None:
        self.pending.clear()

    def keep_snapshot(self, state: State) -> None:
        """Only of a state whose events are all on disk."""
        if not self.pending:
            self._snapshots.append((state.seq, state.dump()))

    def committed(self) -> list[ev.AnyEvent]:
        return [ev.from_json(text) for text in self.log]

    def recover(self) -> State:
        """As a new engine begins: the last snapshot, then the events after it."""
        seq, state = 0, State()
        if self._snapshots:
            seq, body = self._snapshots[-1]
            state = State.load(body)
        for text in self.log[seq:]:
            apply(state, ev.from_json(text))
        return state

    def refold(self) -> State:
        """The state of the whole log, without any snapshot."""
        state = State()
        for event in [*self.committed(), *self.pending]:
            apply(state, event)
        return state
