"""What the fleet knows of one keeper and of one worker: their connections, and what is on its way to them.

Nothing of it is kept over a crash: all of it is made anew from the Hellos that come in. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kernelkit.wire import messages as m
from kernelkit.wire.channel import Channel


@dataclass
class Keeper:
    """One environment's keeper, as far as it is known."""

    env_id: str
    channel: Channel | None = None
    asked: dict[str, float] = field(default_factory=dict)  # workers to be spawned, and by when they must have dialled
    since: float = 0.0  # of the loss of its connection, or of its launch


@dataclass
class WorkerLink:
    """One worker's connection."""

    id: str
    env_id: str
    channel: Channel | None = None
    waiting: dict[str, m.StartAttempt] = field(default_factory=dict)  # not sent yet, by run id
    exited: m.WorkerExited | None = None  # the keeper's word; the channel may still hold reports
    silent_since: float = 0.0  # no connection
    idle_since: float = 0.0
    pinged_at: float = 0.0
    ponged_at: float = 0.0
    watched: tuple[float, float] | None = None  # of an exclusive one: silent since when, and its processor time then
    kills: dict[str, float] = field(default_factory=dict)  # run ids of stopped attempts: kill the process by then
    killed_for: str = ""  # why its keeper was told to kill it
    greeted: bool = False  # it has dialled in, to this engine or a former one

    def silent_for(self, now: float) -> float:
        """How long a connected worker's loop has not answered."""
        waiting = self.channel is not None and self.pinged_at > self.ponged_at
        return now - self.pinged_at if waiting else 0.0
