"""How busy an engine has been lately, as its panel is told (`engine/pulse.py` counts it)."""

from __future__ import annotations

import msgspec


class Beats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a panel is told, oldest step first; a step has 15 s and the last one is not over.

    `waits` are how long runs were queued before a worker got them: medians in seconds, -1 where none was started;
    `wait` and `wait_p95` are those of the last minute.
    """

    ended: tuple[int, ...] = ()
    waits: tuple[float, ...] = ()
    ended_a_minute: int = 0
    wait: float = -1.0
    wait_p95: float = -1.0
