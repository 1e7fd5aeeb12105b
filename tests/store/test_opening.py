from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest

from kernelkit.config import Home
from kernelkit.errors import HomeLockedError, StoreError
from kernelkit.store import opening
from kernelkit.store.quarantine import stamp_of, wal_of
from kernelkit.store.statements import migrations
from kernelkit.store.store import Store
from tests.store.samples import events, home_in, open_store

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""

CRASH = """
import os, sys
from pathlib import Path
from tests.store.samples import events, open_store
open_store(Path(sys.argv[1])).append(events(2))
os._exit(9)
"""


def used_home(folder: Path) -> Home:
    """A home with one event in its file and one more that is only in the log beside it."""
    store = open_store(folder)
    store.append(events(1))
    store.close()
    subprocess.run([sys.executable, "-c", CRASH, str(folder)], check=False, cwd=Path(__file__).parents[2])
    home = home_in(folder)
    assert wal_of(home.database).stat().st_size
    return home


def content(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.path.iterdir() if path.is_file()}


def garbage_at(path: Path, position: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(b"\xa5" * size)


def remove_both(database: Path) -> None:
    database.unlink()
    wal_of(database).unlink()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda db: os.truncate(db, 0),
    "cut in the header": lambda db: os.truncate(db, 100),
    "cut in the middle": lambda db: os.truncate(db, db.stat().st_size // 2),
    "last block cut off": lambda db: os.truncate(db, db.stat().st_size - 262_144),
    "not a database": lambda db: db.write_bytes(b"this is a text file, " * 1000),
    "log damaged in the middle": lambda db: garbage_at(wal_of(db), 150, 60),
    "log is not one": lambda db: wal_of(db).write_bytes(b"\x01" * 5000),
    "gone, but its log is there": lambda db: db.unlink(),
    "gone with its log": remove_both,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_database_that_does_not_open_is_named_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    home = used_home(tmp_path)
    DAMAGE[damage](home.database)
    before = content(home)

    with pytest.raises(StoreError) as caught:
        open_store(tmp_path)

    assert str(home.database) in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert "quarantine" in str(caught.value) or "delete engine.duckdb.version" in str(caught.value)
    assert content(home) == before


def test_a_log_whose_last_entry_was_cut_by_a_crash_opens_with_everything_before_it(tmp_path: Path) -> None:
    home = used_home(tmp_path)
    os.truncate(wal_of(home.database), wal_of(home.database).stat().st_size - 3)

    store = open_store(tmp_path)

    assert store.last_seq == 1
    store.close()


def test_a_file_that_was_shortened_by_a_checkpoint_opens_again(tmp_path: Path) -> None:
    """DuckDB cuts free blocks off the end, but goes on counting them until the next checkpoint."""
    store = open_store(tmp_path)
    shortened = 0
    for turn in range(12):
        size = home_in(tmp_path).database.stat().st_size
        store.append(events(turn + 1))
        store.write_snapshot(store.last_seq, os.urandom(2_000_000 if turn % 3 == 0 else 1_000))
        store.close()
        shortened += home_in(tmp_path).database.stat().st_size < size
        store = open_store(tmp_path)
    store.close()

    assert shortened


def test_a_quarantined_database_is_kept_and_a_new_one_begins(tmp_path: Path) -> None:
    home = used_home(tmp_path)
    os.truncate(home.database, 5000)
    before = content(home)

    aside = Store.quarantine(home)
    store = open_store(tmp_path)

    assert aside.name.startswith("engine.duckdb.broken-")
    assert aside.read_bytes() == before["engine.duckdb"]
    assert wal_of(aside).read_bytes() == before["engine.duckdb.wal"]
    assert "Moved aside" in aside.with_name(aside.name + ".txt").read_text()
    assert store.last_seq == 0
    store.close()


def test_two_quarantines_in_one_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    asides = set()
    for _ in range(3):
        open_store(tmp_path).close()
        asides.add(Store.quarantine(home))

    assert len(asides) == 3
    assert all(path.exists() for path in asides)
    with pytest.raises(StoreError, match="nothing was moved"):
        Store.quarantine(home)


def test_a_file_owned_by_another_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    home = home_in(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None and owner.stdin is not None
        assert owner.stdout.readline() == b"open\n"

        with pytest.raises(HomeLockedError, match=f"pid {owner.pid}") as caught:
            open_store(tmp_path)
        with pytest.raises(HomeLockedError, match="not moved"):
            Store.quarantine(home)

        assert caught.value.pid == owner.pid
        owner.stdin.close()
    open_store(tmp_path).close()


def test_a_database_of_a_newer_schema_is_refused_in_words(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    home = home_in(tmp_path)
    stamp = stamp_of(home.database)
    text = stamp.read_bytes()
    with duckdb.connect(str(home.database)) as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
    before = home.database.read_bytes()

    with pytest.raises(StoreError, match=r"schema 999.*pip install --upgrade"):
        open_store(tmp_path)
    stamp.write_bytes(msgspec.json.encode({"schema": 998, "duckdb": "2.0.0"}))
    with pytest.raises(StoreError, match=r"schema 998.*pip install --upgrade"):
        open_store(tmp_path)

    assert home.database.read_bytes() == before
    assert msgspec.json.decode(text, type=opening.Stamp).schema == opening.SCHEMA


def test_a_database_of_a_newer_duckdb_is_refused_before_it_is_touched(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    stamp_of(home_in(tmp_path).database).write_bytes(msgspec.json.encode({"schema": 1, "duckdb": "3.1.0"}))

    with pytest.raises(StoreError, match=r"DuckDB 3\.1\.0; DuckDB .* is installed here"):
        open_store(tmp_path)


def test_a_lost_or_unreadable_stamp_is_written_anew(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    stamp = stamp_of(home_in(tmp_path).database)
    stamp.write_text("{")

    open_store(tmp_path).close()

    assert msgspec.json.decode(stamp.read_bytes(), type=opening.Stamp) == opening.Stamp(
        schema=opening.SCHEMA, duckdb=duckdb.__version__
    )


def test_another_program_s_database_is_not_taken_over(tmp_path: Path) -> None:
    home = home_in(tmp_path).create()
    with duckdb.connect(str(home.database)) as connection:
        connection.execute("CREATE TABLE customers (id BIGINT)")
    before = home.database.read_bytes()

    with pytest.raises(StoreError, match="not one of KernelKit"):
        open_store(tmp_path)

    assert home.database.read_bytes() == before


def test_migrations_run_once_in_order_and_a_failing_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    store.append(events(1))
    store.close()
    first = migrations()[1]

    def later(script: str) -> None:
        monkeypatch.setattr(opening, "migrations", lambda: {1: first, 2: script})
        monkeypatch.setattr(opening, "SCHEMA", 2)

    later("ALTER TABLE log ADD COLUMN note VARCHAR; SELECT no_such_function()")
    with pytest.raises(StoreError):
        open_store(tmp_path)
    later("CREATE TABLE queues (name VARCHAR)")
    store = open_store(tmp_path)

    assert store.last_seq == 1
    assert store._database.connection.execute("SELECT value FROM meta").fetchall() == [("2",)]
    assert store._database.connection.execute("SELECT count(*) FROM queues").fetchall() == [(0,)]
    store.append(events(2))
    store.close()


def test_a_crash_while_the_file_is_made_leaves_no_half_database(tmp_path: Path) -> None:
    home = home_in(tmp_path).create()
    (home.path / "engine.duckdb.new").write_bytes(b"half")
    (home.path / "engine.duckdb.new.wal").write_bytes(b"half")

    open_store(tmp_path).close()

    assert sorted(path.name for path in home.path.glob("engine.duckdb*")) == ["engine.duckdb", "engine.duckdb.version"]


def test_people_s_sql_reaches_no_file_outside(store: Store, tmp_path: Path) -> None:
    connection = store._database.connection

    for statement in (
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SET enable_external_access = true",
        "SET threads = 8",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
