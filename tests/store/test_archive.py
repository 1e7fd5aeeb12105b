"""Removed runs go to Parquet files: each is in the database or in one file, wherever a crash cuts it off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from kernelkit.config import EngineSettings
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import RunStatus
from kernelkit.store.archive import PART
from kernelkit.store.rows import Batch, ValueRow
from kernelkit.store.store import Store
from kernelkit.wire.messages import ListRuns
from tests.store.samples import START, ended, event, finished, home_in, open_store, run_id

NOW = int(START.timestamp()) * 1_000_000
ARCHIVED = EngineSettings(archive_runs=True, keep_runs=2)


def filled(folder: Path, runs: int = 6) -> Store:
    """A store with finished runs, all of which a snapshot covers."""
    store = open_store(folder)
    store.append(
        Batch(
            events=[event(number, run_id(number)) for number in range(1, runs + 1)],
            values=[ValueRow("big", '"big"')],
            history=[
                ended(
                    finished(number, payload_json=None if number == 1 else "{}", tags=("a", f"n{number}")),
                    seq=number,
                    payload_ref="big" if number == 1 else None,
                )
                for number in range(1, runs + 1)
            ],
        )
    )
    store.write_snapshot(runs, b"")
    return store


def archived(folder: Path) -> list[tuple[str, str]]:
    """Ids and payloads in all archive files."""
    files = sorted(str(file) for file in home_in(folder).archive.glob("*.parquet"))
    if not files:
        return []
    return duckdb.connect().execute("SELECT id, payload FROM read_parquet(?) ORDER BY id", [files]).fetchall()


def kept(store: Store) -> list[str]:
    return [run.id for run in store.runs(ListRuns(limit=100))[0]][::-1]


def test_removed_runs_are_written_before_they_go(tmp_path: Path) -> None:
    store = filled(tmp_path)

    removed = store.retain(NOW, ARCHIVED)

    assert removed["runs"] == 4
    assert kept(store) == [run_id(5), run_id(6)]
    assert archived(tmp_path) == [(run_id(1), '"big"'), *[(run_id(number), "{}") for number in (2, 3, 4)]]
    (file,) = home_in(tmp_path).archive.glob("*")
    assert file.stat().st_mode & 0o077 == 0
    assert store.retain(NOW, ARCHIVED)["runs"] == 0
    store.close()


def test_without_the_setting_nothing_is_written(tmp_path: Path) -> None:
    store = filled(tmp_path)

    assert store.retain(NOW, EngineSettings(keep_runs=2))["runs"] == 4
    assert not home_in(tmp_path).archive.exists()
    store.close()


def test_each_removal_is_a_file_of_its_own(tmp_path: Path) -> None:
    store = filled(tmp_path)

    for keep in (4, 2):
        store.retain(NOW, EngineSettings(archive_runs=True, keep_runs=keep))

    assert len(list(home_in(tmp_path).archive.glob("*.parquet"))) == 2
    assert [run for run, _ in archived(tmp_path)] == [run_id(number) for number in (1, 2, 3, 4)]
    store.close()


# What is killed is the process, just before the method of this name does its work, or in the middle of a removal.
CHILD = """
import os, signal, sys
from pathlib import Path
from kernelkit.config import EngineSettings
from kernelkit.store import archive, retention
from tests.store.samples import open_store
from tests.store.test_archive import ARCHIVED, NOW

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

store = open_store(Path(sys.argv[1]))
match sys.argv[2]:
    case "copying":
        archive.os.fsync = die
    case "noting":
        archive.Archive.note = die
    case "removing":
        retention._count = die
    case "naming":
        archive.Archive.keep = die
store.retain(NOW, ARCHIVED)
"""


@pytest.mark.parametrize("moment", ["copying", "noting", "removing", "naming"])
def test_a_kill_in_between_loses_nothing_and_doubles_nothing(tmp_path: Path, moment: str) -> None:
    filled(tmp_path).close()
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), moment],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert [file.suffix for file in home_in(tmp_path).archive.iterdir()] == [PART]

    store = open_store(tmp_path)
    left = kept(store)
    assert len(left) == (2 if moment == "naming" else 6)
    store.retain(NOW, ARCHIVED)

    everywhere = [run for run, _ in archived(tmp_path)] + kept(store)
    assert everywhere == [run_id(number) for number in range(1, 7)]
    assert not list(home_in(tmp_path).archive.glob(f"*{PART}"))
    store.close()


def test_an_export_has_the_runs_of_the_filter_and_live_ones(tmp_path: Path) -> None:
    from kernelkit.store.history import to_row

    store = filled(tmp_path)
    live = [to_row(ended(finished(9, status=RunStatus.QUEUED, tags=("a",))))]

    for kind in ("parquet", "csv", "json"):
        path, count = store.export(RunFilter(), {"live": live}, "export_1", kind)
        read = {"parquet": "read_parquet", "csv": "read_csv_auto", "json": "read_json_auto"}[kind]
        found = duckdb.connect().execute(f"SELECT id, status FROM {read}('{path}') ORDER BY id").fetchall()
        assert (count, len(found), found[-1]) == (7, 7, (run_id(9), "QUEUED"))
    path, count = store.export(RunFilter(tag=("n3", "n4")), {"live": live}, "export_2", "parquet")
    assert count == 2
    store.close()


def test_what_is_in_memory_cannot_be_exported() -> None:
    store = open_store()
    with pytest.raises(Exception, match="in memory alone"):
        store.export(RunFilter(), {}, "export_1", "parquet")
    store.close()
