"""Removes files that runs left: with their run, after thirty days, or the oldest when there is too much (decision 44).

The engine never reads them and hears nothing of them; it looks at the folders. What a newcomer would get wrong: a run
that is over is not in history at once, so what changed within the last hour is left alone.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelkit.config import EngineSettings, Home

LEFT_ALONE_S = 3600.0
_DAY = 86_400.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Folder:
    path: Path
    changed_at: float
    size: int

    @property
    def run_id(self) -> str:
        return self.path.name


def retain(
    home: Home,
    live: Collection[str],
    kept: Callable[[Sequence[str]], Collection[str]],
    now: float,
    settings: EngineSettings,
) -> int:
    """Remove what the settings say; how many runs lost their files. `kept` says which runs history still has."""
    folders = [folder for path in _children(home.artifacts) if (folder := _look(path)) is not None]
    quiet = [one for one in folders if one.run_id not in live and now - one.changed_at > LEFT_ALONE_S]
    known = set(kept([one.run_id for one in quiet]))
    oldest = now - settings.keep_artifacts_days * _DAY
    going = {one.run_id for one in quiet if one.run_id not in known or one.changed_at < oldest}
    excess = sum(one.size for one in folders if one.run_id not in going) - settings.keep_artifacts_bytes
    for one in sorted(quiet, key=lambda one: one.changed_at):
        if excess <= 0:
            break
        if one.run_id not in going:
            going.add(one.run_id)
            excess -= one.size
    for one in quiet:
        if one.run_id in going:
            shutil.rmtree(one.path, onerror=_say)
    return len(going)


def _children(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []


def _look(path: Path) -> _Folder | None:
    try:
        found = [each.stat() for each in (path, *path.iterdir())]
    except FileNotFoundError:  # a draft that became a file just now
        return None
    return _Folder(path, max(each.st_mtime for each in found), sum(each.st_size for each in found[1:]))


def _say(_: object, path: str, problem: object) -> None:
    logger.warning("artifact not removed", extra={"path": path, "problem": str(problem)})
