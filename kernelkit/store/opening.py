"""Opens, creates and migrates the database file of a home.

A file that does not open is never replaced by an empty one behind a person's back: every failure becomes an error
that names the file and the next step. Two cases DuckDB itself passes over in silence are caught here first: a
write-ahead log without its database (DuckDB would delete the log) and a log that is not one (DuckDB would skip it, and
every commit in it).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import msgspec

from kernelkit.config import Home
from kernelkit.errors import HomeLockedError, KernelKitError, StoreError, StoreFullError
from kernelkit.store.quarantine import stamp_of, sync_folder, wal_of
from kernelkit.store.statements import migrations, statements

SCHEMA = max(migrations())
MEMORY_BYTES = 384 * 1024**2  # for blocks kept at hand and for queries
LARGEST_PAGE = 2_000  # rows found by their order first and only then read whole: half of the work among a million
RESTING_BYTES = 2 * 1024**2  # of them stay when the engine comes to rest, as it is most of its life
_WAL_HEAD = b"\x64\x00\x62"  # how each log of DuckDB begins: field 100, entry type "version"
_FULL = ("no space left", "could not write", "disk quota", "file too large")
_ASIDE = "`kernelkit doctor --quarantine` moves it aside (nothing is deleted) so that the project can start afresh"


class Stamp(msgspec.Struct, frozen=True):
    """What `engine.duckdb.version` says: who can read the file, without opening it."""

    schema: int
    duckdb: str


def explain(cause: duckdb.Error, where: str) -> StoreError:
    """A `StoreError` in words for an error of a statement."""
    text = str(cause)
    if any(sign in text.lower() for sign in _FULL):
        return StoreFullError(f"There is no space left to write {where}. Free some disk space. ({_first_line(text)})")
    return StoreError(f"The database {where} refused a statement: {_first_line(text)}")


def open_database(home: Home | None) -> duckdb.DuckDBPyConnection:
    """A connection to the home's database, made or migrated as needed; None opens one in memory.

    Raises `HomeLockedError` (fact `pid`), `StoreFullError`, or `StoreError` for a file that is broken or too new.
    """
    if home is None:
        connection = _connect(":memory:", None)
        _migrate(connection, "in memory")
        return connection
    home.create()
    database = home.database
    _refuse_newer(database)
    _refuse_broken(database)
    try:
        if not database.exists():
            _make(database, home)
        connection = _connect(str(database), home)
    except duckdb.Error as cause:
        raise _opening_error(cause, database) from cause
    try:
        _refuse_cut(connection, database)
        _migrate(connection, str(database))
    except (duckdb.Error, StoreError) as cause:
        connection.close()
        raise _opening_error(cause, database) if isinstance(cause, duckdb.Error) else cause from cause
    _write_stamp(database)
    return connection


def _connect(path: str, home: Home | None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        path,
        config={
            # Without it, what a load or a checkpoint needed is never given back: 70 of 145 MB after 30,000 runs.
            "allocator_background_threads": "true",
            "async_threads": 1,
            "threads": 1,  # statements this small are 5–40 % cheaper without a pool
            "checkpoint_threshold": "1TB",  # never inside a commit: the writer makes them, if there is room
            "memory_limit": _memory(),
        },
    )
    # Closing must not write: a damaged file would take its log along. `Store.close` checkpoints by itself.
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute(f"SET GLOBAL late_materialization_max_rows = {LARGEST_PAGE}")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # now() in people's queries, beside our moments
    # In this order: folders can only be allowed while access is on, and nothing can be changed after the last line.
    if home is not None:
        archive = str(home.archive).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{archive}/']")
    connection.execute("SET allowed_configs = ['memory_limit']")  # for `give_back`
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def give_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Let go of blocks of the file that are only kept at hand; nothing else may use the database meanwhile."""
    try:
        connection.execute(f"SET memory_limit = '{RESTING_BYTES // 1024**2}MB'")
    finally:
        connection.execute(f"SET memory_limit = '{_memory()}'")


def _memory() -> str:
    most = min(MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return f"{most // 1024**2}MB"


def _make(database: Path, home: Home) -> None:
    """Create the file under another name first, so that a crash never leaves half a database under its own."""
    fresh = database.with_name(database.name + ".new")
    for leftover in (fresh, wal_of(fresh)):
        leftover.unlink(missing_ok=True)
    connection = _connect(str(fresh), home)
    try:
        _migrate(connection, str(database))
    finally:
        connection.close()
    fresh.rename(database)
    sync_folder(database.parent)


def _migrate(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    sql = statements()
    tables, ours = connection.execute(sql["tables"]).fetchall()[0]
    if tables and not ours:
        raise StoreError(
            f"{where} is a DuckDB database, but not one of KernelKit. Nothing was changed. Move it elsewhere."
        )
    version = int(connection.execute(sql["schema_version"]).fetchall()[0][0]) if tables else 0
    if version > SCHEMA:
        raise _newer(where, f"schema {version}; this KernelKit knows up to {SCHEMA}")
    for number, script in migrations().items():
        if number <= version:
            continue
        connection.execute("BEGIN")
        try:
            connection.execute(script)
            connection.execute(sql["forget_schema_version"])
            connection.execute(sql["set_schema_version"], {"version": str(number)})
            connection.execute("COMMIT")
        except duckdb.Error:
            connection.execute("ROLLBACK")
            raise
    if version < SCHEMA:
        connection.execute("CHECKPOINT")


def _refuse_newer(database: Path) -> None:
    try:
        stamp = msgspec.json.decode(stamp_of(database).read_bytes(), type=Stamp)
    except (FileNotFoundError, msgspec.DecodeError):
        return  # the database itself knows its schema as well; the stamp is written anew
    if stamp.schema > SCHEMA:
        raise _newer(str(database), f"schema {stamp.schema}; this KernelKit knows up to {SCHEMA}")
    if _release(stamp.duckdb) > _release(duckdb.__version__):
        raise _newer(str(database), f"DuckDB {stamp.duckdb}; DuckDB {duckdb.__version__} is installed here")


def _newer(where: str, detail: str) -> StoreError:
    return StoreError(
        f"The database {where} was written by a newer version ({detail}). Nothing was changed. "
        "Run `pip install --upgrade kernelkit duckdb` in the environment that starts the engine."
    )


def _refuse_broken(database: Path) -> None:
    wal = wal_of(database)
    if not database.exists() and wal.exists() and wal.stat().st_size:
        raise StoreError(
            f"The database {database} is gone, but its log {wal.name} is still there. Nothing was changed. "
            f"Put the file back if you have it; else {_ASIDE}."
        )
    if not database.exists() and stamp_of(database).exists():
        raise StoreError(
            f"The database {database} is gone, though this project has used it. Nothing was changed. Put it back if "
            f"you have it; if you deleted it on purpose, delete {stamp_of(database).name} beside it as well."
        )
    if wal.exists():
        with wal.open("rb") as file:
            head = file.read(len(_WAL_HEAD))
        if not _WAL_HEAD.startswith(head):
            raise StoreError(
                f"The log {wal} beside the database is damaged: it does not begin as a DuckDB log. Nothing was "
                f"changed. Restore both files from a backup if you have one; else {_ASIDE}."
            )


def _refuse_cut(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """DuckDB reads blocks when it needs them, so a file cut short may open and fail days later; its size tells now.

    Only used blocks count: a checkpoint cuts free ones off the end of the file and still reports them.
    """
    block_size, blocks = connection.execute(statements()["blocks"]).fetchall()[0]
    expected, size = block_size * blocks, database.stat().st_size
    if size < expected:
        raise StoreError(
            f"The database {database} is cut short: it has {size:,} of at least {expected:,} bytes. Nothing was "
            f"changed. Restore it with its .wal from a backup if you have one; else {_ASIDE}.",
            path=str(database),
        )


def _opening_error(cause: duckdb.Error, database: Path) -> KernelKitError:
    text = str(cause)
    if "lock on file" in text:
        owner = re.search(r"\(PID (\d+)\)", text)
        pid = int(owner[1]) if owner else None
        return HomeLockedError(
            f"The database {database} is in use by the process with pid {pid if pid else 'unknown'}. If that is "
            "another engine of this project, `kernelkit down` stops it; if it is a DuckDB shell or notebook, close "
            "it there.",
            pid=pid,
            path=str(database),
        )
    if "newer version" in text.lower() or "version number" in text.lower():
        return _newer(str(database), _first_line(text))
    if any(sign in text.lower() for sign in _FULL):
        return explain(cause, str(database))
    size = database.stat().st_size if database.exists() else 0
    return StoreError(
        f"The database {database} ({size:,} bytes) does not open: it is damaged or cut short. Nothing was changed. "
        f"Restore it with its .wal from a backup if you have one; else {_ASIDE}. (DuckDB says: {_first_line(text)})",
        path=str(database),
    )


def _write_stamp(database: Path) -> None:
    path = stamp_of(database)
    text = msgspec.json.encode(Stamp(schema=SCHEMA, duckdb=duckdb.__version__))
    if path.exists() and path.read_bytes() == text:
        return
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(text)
    fresh.replace(path)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
