"""Files in the home that nobody needs any more: bundles, and the surroundings tasks were defined in (decision 28).

What is needed is decided from the state; `remove` acts on it, off the loop. What a newcomer would get wrong: a client
writes a file, or marks one as used, before the engine hears of it, so a file goes only when it is also an hour old.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kernelkit.config import Home
from kernelkit.engine.placement import locked_version
from kernelkit.engine.state import State

LEFT_FOR_S = 3600.0  # clients mark what they use every half hour


class Needed(NamedTuple):
    """Names of files that stay, by folder."""

    bundles: frozenset[str]
    environments: frozenset[str]


class Removed(NamedTuple):
    files: int
    size: int


def needed(state: State, keepers: Iterable[str] = ()) -> Needed:
    """What the latest of each task, live runs, workers and keepers (by environment) may still read.

    Older code of a task whose `Task` object still lives is not among it: its client writes it again at a trigger.
    """
    latest = [version.spec for version in state.tasks.values()]
    bundles = {spec.bundle for spec in latest}
    environments = {spec.env_id for spec in latest}
    environments.update(keepers)
    environments.update(worker.env_id for worker in state.workers.values())
    for run in state.runs.values():
        bundles.add(run.bundle)
        environments.add(run.env_id or locked_version(state, run).spec.env_id)
    return Needed(frozenset(bundles), frozenset(f"{env_id}.json" for env_id in environments))


def remove(home: Home, kept: Needed, now_s: float) -> Removed:
    """Delete the other files that are old enough, drafts of writers that died among them."""
    count = size = 0
    for folder, names in ((home.bundles, kept.bundles), (home.environments, kept.environments)):
        for path, seen in _files(folder):
            if path.name in names or now_s - seen.st_mtime <= LEFT_FOR_S:
                continue
            try:
                if path.stat().st_mtime != seen.st_mtime:
                    continue  # marked while we looked at others
                path.unlink()
            except OSError:
                continue  # gone already, or not ours to remove: it costs space only
            count, size = count + 1, size + seen.st_size
    return Removed(count, size)


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    try:
        with os.scandir(folder) as found:
            return [(Path(entry.path), entry.stat(follow_symlinks=False)) for entry in found if entry.is_file()]
    except OSError:
        return []  # the home is disappearing; the daemon notices by itself
