"""`await kk.heartbeats.yield_()`: lets a hot loop in an `async def` task breathe.

A worker answers the engine between two steps of its loop. A body that computes for minutes without awaiting anything
keeps it, and every other run in that process, from answering; after the setting `stalled_after` (5 minutes) the
worker counts as stalled and is killed. What a newcomer would get wrong: a plain `def` task needs none of this. It has
a process of its own, which answers while the body computes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from kernelkit.authoring.scope import scope

_EVERY_S: Final = 0.05
_TURNS: Final = 3  # of the loop: a question comes in with one, and its answer goes out with the next


class Heartbeats:
    """`kk.heartbeats`: gives the worker's loop room to answer the engine."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0.0

    async def yield_(self) -> None:
        """Let the loop turn if it has not for 50 ms; otherwise, and outside a run, do nothing.

        Cheap enough for every step of a hot loop: `for row in rows: weigh(row); await kk.heartbeats.yield_()`.

        >>> import asyncio
        >>> asyncio.run(heartbeats.yield_())
        """
        now = time.monotonic()
        if now - self._last < _EVERY_S or scope.get() is None:
            return
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._last = time.monotonic()


heartbeats = Heartbeats()
