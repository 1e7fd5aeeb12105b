"""The engine's dice, loaded by the seed of the history."""

from __future__ import annotations

from random import Random


class Dice:
    """A `Roll`. Fences and ids are never given twice, across crashes of the engine too."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._given = 0

    def _next(self) -> int:
        self._given += 1
        return self._given

    def fence(self) -> str:
        return f"f{self._next()}"

    def worker_id(self) -> str:
        return f"w{self._next():04}"

    def jitter(self) -> float:
        return self._random.random()
