"""Where a project's home is, what lies in it, and which settings an engine has (`settings.py` reads them).

The home is `.kernelkit/` in the nearest ancestor that has one, else beside the nearest `pyproject.toml` or `.git`, else
in the working directory; `KERNELKIT_HOME` overrides. Finding a home creates nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec

HOME_NAME = ".kernelkit"


@dataclass(frozen=True)
class Home:
    """The folder of one project, and the names of everything in it."""

    path: Path

    @cached_property  # some are asked for at each trigger
    def database(self) -> Path:
        return self.path / "engine.duckdb"

    @cached_property
    def lock(self) -> Path:
        """Held by the engine for life (`flock`); its text names the owner, for humans only."""
        return self.path / "engine.lock"

    @cached_property
    def engine_log(self) -> Path:
        return self.path / "engine.log"

    @cached_property
    def settings(self) -> Path:
        """What `kernelkit config set` has kept, JSON."""
        return self.path / "settings.json"

    @cached_property
    def down_mark(self) -> Path:
        """Present after `kernelkit down`: only an explicit call starts the engine again."""
        return self.path / "down"

    @cached_property
    def bundles(self) -> Path:
        """Code and captured globals, files of mode 0600 named by hash."""
        return self.path / "bundles"

    @cached_property
    def environments(self) -> Path:
        """`<env id>.json`, mode 0600: interpreter, folder, path and variables of a defining process."""
        return self.path / "environments"

    @cached_property
    def orphans(self) -> Path:
        """Results that found no engine for 60 s, one file a worker, taken in by the next engine."""
        return self.path / "orphans"

    @cached_property
    def artifacts(self) -> Path:
        """`<run id>/`: files that runs left, of mode 0600, removed with their run or when there is too much."""
        return self.path / "artifacts"

    @cached_property
    def archive(self) -> Path:
        """Removed runs as Parquet files, where the settings ask for it; exports on their way are below it."""
        return self.path / "archive"

    def create(self) -> Home:
        """Make the folders, closed to other users, and a `.gitignore` that keeps them out of git."""
        for folder in (self.path, self.bundles, self.environments, self.orphans, self.artifacts):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return self


def find_home(start: Path | str | None = None, *, explicit: Path | str | None = None) -> Home:
    """The home for a process whose working directory is `start` (default: the current one)."""
    named = explicit or os.environ.get("KERNELKIT_HOME")
    if named:
        return Home(Path(named).expanduser().resolve())
    here = Path(start or Path.cwd()).resolve()
    folders = [here, *here.parents]
    for folder in folders:
        if (folder / HOME_NAME).is_dir():
            return Home(folder / HOME_NAME)
    for folder in folders:
        if (folder / "pyproject.toml").exists() or (folder / ".git").exists():
            return Home(folder / HOME_NAME)
    return Home(here / HOME_NAME)


Whole = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tool.kernelkit.engine]` of pyproject.toml and `kernelkit config`; read by the engine alone. Times in seconds,
    sizes in bytes."""

    concurrency_limit: Whole = 100  # executing attempts of the whole project
    exclusive_workers: Whole = 2 * (os.cpu_count() or 1)
    shared_workers: Annotated[int, msgspec.Meta(ge=1)] = max(1, (os.cpu_count() or 1) // 2)  # per environment
    queue_size_limit: Whole = 0  # runs that may wait in one queue; 0 = any number
    machine_vcpus: Amount = 0.0  # for machine presets; 0 = what the host has
    machine_memory_bytes: Whole = 0  # the same
    strict_machines: bool = False  # refuse a preset larger than the host, instead of clamping it to that
    environment: str = "dev"  # the name that `ctx.environment` tells
    suspend_after: Amount = 5.0  # a wait for time up to this long is slept through, with its slot
    hold_for: Amount = 60.0  # how long the process of a suspended `def` attempt is kept
    held_workers: Whole = 2 * (os.cpu_count() or 1)  # how many such processes are kept
    idle_stop: Amount = 600.0
    keep_runs_days: Amount = 30.0
    keep_runs: Whole = 1_000_000
    keep_logs_days: Amount = 7.0
    keep_logs_bytes: Whole = 1_000_000_000
    keep_streams_days: Amount = 7.0
    keep_artifacts_days: Amount = 30.0
    keep_artifacts_bytes: Whole = 5_000_000_000
    archive_runs: bool = False  # write finished runs to the home's archive folder, as Parquet, before they are removed
    min_free_bytes: Whole = 64 * 1024 * 1024  # below this nothing new is taken
    snapshot_every: int = 20_000  # events between snapshots: folding as many takes a new engine about half a second
    cancel_grace: Amount = 5.0  # between cancellation or interrupt and the kill
    stalled_after: Amount = 300.0  # a worker that answers nothing for so long is killed; 0 = never
    adopt_within: Amount = 20.0  # how long a living worker of a former engine may take to dial in
