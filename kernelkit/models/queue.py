"""A queue as everyone outside the engine sees it, and the rate at which it may start runs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

QueueType = Literal["task", "custom"]
TASK_PREFIX = "task/"

PERIODS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
"""Seconds of the letters of a rate."""


class RateLimit(msgspec.Struct, frozen=True, gc=False):
    """`count` starts per second, minute, hour or day; as text `100/m`."""

    count: int
    per: Literal["s", "m", "h", "d"]

    def __str__(self) -> str:
        return f"{self.count}/{self.per}"


class QueueKey(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The copy of a queue for one concurrency key; "" is for runs without a key."""

    key: str
    running: int
    queued: int
    oldest_queued_at: datetime | None = None


class Concurrency(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How many runs of a queue, or of its copy for a concurrency key, execute at once; None is no limit.

    `current` holds: the `override` of `kk.queues.set_concurrency` if there is one, else the `base` of its definition.
    """

    current: int | None = None
    base: int | None = None
    override: int | None = None
    overridden_at: datetime | None = None


class QueueInfo(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A snapshot of a queue; `kk.queues.retrieve(name)` takes a newer one. Moments are aware, in UTC.

    `running` counts the slots in use, `queued` the runs with status QUEUED. `keys` are the queue's copies with runs in
    them, at most 100, those with the most queued runs first; `key_count` says how many there are.
    """

    name: str
    type: QueueType
    running: int = 0
    queued: int = 0
    paused: bool = False
    concurrency: Concurrency = Concurrency()
    rate_limit: str | None = None  # "100/m"
    next_start_at: datetime | None = None  # while the rate limit lets nobody start
    keys: tuple[QueueKey, ...] = ()
    key_count: int = 0
    oldest_queued_at: datetime | None = None  # since when the queued run is that was triggered first

    @property
    def concurrency_limit(self) -> int | None:
        """The limit that holds now, None for none."""
        return self.concurrency.current
