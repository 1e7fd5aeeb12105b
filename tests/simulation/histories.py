"""Runs histories by their seeds, and says how to see a failing one again."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.simulation.laws import BrokenLaw
from tests.simulation.world import World


class BrokenHistory(AssertionError):
    """A law broke, or the engine itself; the text says how to play the history again."""


def run_history(seed: int) -> World:
    """One history to its end."""
    world = World(seed)
    try:
        world.run()
    except Exception as problem:  # whatever the engine does wrong belongs to this seed
        raise BrokenHistory(
            f"seed {seed}, after {world.facts.events} events: {type(problem).__name__}: {problem}\n"
            f"See it again with: KK_SEED={seed} python -m pytest tests/simulation/test_histories.py"
        ) from problem
    return world


def first_broken_law(seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first seed that shows a mistake, and the law it breaks."""
    for seed in seeds:
        try:
            World(seed).run()
        except BrokenLaw as broken:
            return seed, broken.law
        except Exception:  # a mutant may break the engine in any way
            return seed, "an_error_of_the_engine"
    return None


def seed_of_shell() -> int | None:
    """The one seed that was asked for, as KK_SEED."""
    text = os.environ.get("KK_SEED")
    return int(text) if text else None
