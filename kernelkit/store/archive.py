"""Keeps what retention removes, and writes exports: runs as Parquet files under the home's `archive` folder.

A file of removed runs is written under another name first. The transaction that removes the runs also notes the file;
only then is it given its name. After a crash in between, a part that is noted gets its name and one that is not is
deleted, since its runs are still in the database: nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb

from kernelkit.models.filter import RunFilter
from kernelkit.store.history import filters
from kernelkit.store.quarantine import sync_folder
from kernelkit.store.query import prepare
from kernelkit.store.statements import statements

logger = logging.getLogger(__name__)

PART = ".part"
EXPORTS = "exports"
FORGOTTEN_S = 86_400.0  # an export that nobody has fetched

Format = Literal["parquet", "csv", "json"]
_FORMATS: dict[Format, str] = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json",
}


class Archive:
    """The archive of one home; all methods are for the thread that tends the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def settle(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Finish what a crash has left half done."""
        if not self.folder.is_dir():
            return
        noted = {str(name) for (name,) in cursor.execute(statements()["archives"]).fetchall()}
        for part in self.folder.glob(f"*{PART}"):
            name = part.name.removesuffix(PART)
            if name in noted:
                part.rename(self.folder / name)
            else:
                part.unlink()
        for export in (self.folder / EXPORTS).glob("*"):
            if time.time() - export.stat().st_mtime > FORGOTTEN_S:
                export.unlink()
        sync_folder(self.folder)

    def write(self, cursor: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> str:
        """Write these finished runs to a part, safe on disk, and return the name that it will have."""
        name = f"runs-{run_ids[0].removeprefix('run_')}-{run_ids[-1].removeprefix('run_')}.parquet"
        part = self._made() / (name + PART)
        _choose(cursor, {})
        cursor.execute(statements()["choose_ids"], {"ids": list(run_ids)})
        _copy(cursor, part, "parquet")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(self.folder)
        return name

    def note(self, cursor: duckdb.DuckDBPyConnection, name: str, runs: int, now: int) -> None:
        """Say, in the transaction that removes the runs, that the part of this name has them."""
        cursor.execute(statements()["note_archive"], {"name": name, "runs": runs, "now": now})

    def keep(self, name: str) -> None:
        """The removal is on disk: give the part its name."""
        (self.folder / (name + PART)).rename(self.folder / name)
        sync_folder(self.folder)
        logger.info("archived removed runs", extra={"file": name})

    def export(
        self,
        cursor: duckdb.DuckDBPyConnection,
        asked: RunFilter,
        live: Mapping[str, Sequence[tuple[Any, ...]]],
        name: str,
        kind: Format,
    ) -> tuple[Path, int]:
        """Write the runs that match the frozen filter, live ones too, to a file; its path, and how many they are."""
        folder = self._made() / EXPORTS
        folder.mkdir(mode=0o700, exist_ok=True)
        where, parameters = filters(asked, ())
        _choose(cursor, live)
        cursor.execute(statements()["choose_runs"].replace("{filters}", where), parameters)
        path = folder / f"{name}.{kind}"
        return path, _copy(cursor, path, kind)

    def _made(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder


def _choose(cursor: duckdb.DuckDBPyConnection, live: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
    prepare(cursor, live)
    cursor.execute(statements()["chosen"])


def _copy(cursor: duckdb.DuckDBPyConnection, path: Path, kind: Format) -> int:
    target = str(path).replace("'", "''")
    written = cursor.execute(f"COPY ({statements()['chosen_runs']}) TO '{target}' ({_FORMATS[kind]})").fetchall()
    path.chmod(0o600)
    return int(written[0][0])
