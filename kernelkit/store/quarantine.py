"""Moves a database that does not open out of the way, on a person's word, and deletes nothing.

Knows only files, so that the command line can offer it without loading DuckDB.
"""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from kernelkit.config import Home
from kernelkit.errors import HomeLockedError, StoreError


def wal_of(database: Path) -> Path:
    """The write-ahead log beside a database; commits since the last checkpoint live only there."""
    return database.with_name(database.name + ".wal")


def stamp_of(database: Path) -> Path:
    """The small file beside a database that says who can read it."""
    return database.with_name(database.name + ".version")


def quarantine(home: Home) -> Path:
    """Move the home's database, its log and its stamp to dated names, leave a note, and return the new path."""
    database = home.database
    parts = [path for path in home.path.glob(database.name + "*") if path.name == database.name or _belongs(path, home)]
    if not parts:
        raise StoreError(f"There is no database at {database}; nothing was moved.")
    if database.exists():
        _refuse_owned(database)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = home.path / f"{database.name}.broken-{stamp}"
    count = 1
    while list(home.path.glob(target.name + "*")):
        count += 1
        target = home.path / f"{database.name}.broken-{stamp}-{count}"
    for path in parts:
        path.rename(target.with_name(target.name + path.name.removeprefix(database.name)))
    target.with_name(target.name + ".txt").write_text(
        f"Moved aside on {stamp} because it did not open. Nothing in it was changed.\n"
        f"To try again, stop the engine, move the new {database.name} away and rename {target.name}* back to\n"
        f"{database.name}*. DuckDB's own command line may read what is left of it:  duckdb -readonly {target.name}\n"
    )
    sync_folder(home.path)
    return target


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_owned(database: Path) -> None:
    with database.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            raise HomeLockedError(
                f"The database {database} is in use by another process, so it was not moved. Stop the engine with "
                "`kernelkit down` first.",
                path=str(database),
            ) from cause


def _belongs(path: Path, home: Home) -> bool:
    rest = path.name.removeprefix(home.database.name)
    return rest.startswith(".wal") or rest == ".version"
