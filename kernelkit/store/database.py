"""The open file of a home: one connection, the cursors made from it, and the locks around them.

What is in the tables is the business of others (`records.py` reads, `store.py` writes); here a statement is text with a
name. After an error that DuckDB calls fatal every cursor is useless until the file has been opened again: a read does
that by itself, once (`reopening`), the writer when it sees `is_invalid`. Where more than one lock is taken it is in the
order in which they stand in `__init__`, or without waiting.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import duckdb

from kernelkit.config import Home
from kernelkit.errors import StoreError
from kernelkit.store import opening, quarantine
from kernelkit.store.statements import statements

_ROWS_AT_ONCE = 10_000

T = TypeVar("T")


class Database:
    """A home's file once it is opened; None as home keeps everything in memory.

    `opened` is called with each new connection before anybody else uses it.

    >>> database = Database(None, lambda connection: None)
    >>> database.open()
    >>> database.rows("counts")
    []
    >>> database.close()
    """

    def __init__(self, home: Home | None, opened: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        self._home = home
        self._opened = opened
        self._sql = statements()
        self.writing = threading.RLock()
        self._tending = threading.RLock()
        self._reading = threading.RLock()
        self._asking = threading.RLock()
        self._locks = (self.writing, self._tending, self._reading, self._asking)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._query: duckdb.DuckDBPyConnection | None = None  # the cursor of a person's query under way
        self._appenders: dict[str, Any] = {}  # DuckDB's Appender has no public type
        self._generation = 0
        self._is_closed = False
        self.is_invalid = False  # DuckDB has declared it so

    # ---- opening and closing -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the file, made or migrated as needed; raises as `opening.open_database` does."""
        connection = opening.open_database(self._home)
        try:
            self._reader = connection.cursor()
            self._opened(connection)
        except duckdb.Error as cause:
            connection.close()
            raise self.error(cause) from cause
        self._connection = connection
        self.is_invalid = False
        self._generation += 1

    def reopen(self) -> None:
        """Close every cursor and open the file again; raises like `open` and may be tried again."""
        self.interrupt()
        with self._all_locks():
            self._disconnect()
            self.open()

    def close(self) -> None:
        """Let go of the file; nothing is written."""
        self.interrupt()
        with self._all_locks():
            self._is_closed = True
            self._disconnect()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    @property
    def needs_reopen(self) -> bool:
        """True once DuckDB has declared its database invalid; every statement fails until `reopen`."""
        return self.is_invalid or (self._connection is None and not self._is_closed)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection itself, for whoever holds `writing`."""
        if self._connection is None:
            raise self._closed_error()
        return self._connection

    @contextmanager
    def _all_locks(self) -> Iterator[None]:
        with self.writing, self._tending, self._reading, self._asking:
            yield

    def _disconnect(self) -> None:
        # DuckDB hands out the same, perhaps invalid, database as long as anything of it is alive in this process.
        self._drop_appenders()
        for handle in (self._reader, self._connection):
            if handle is not None:
                with suppress(duckdb.Error):
                    handle.close()
        self._reader = self._connection = None

    # ---- writing -------------------------------------------------------------------------------------------------

    def appender(self, table: str) -> Any:  # see _appenders
        """The writer's appender for a table."""
        found = self._appenders.get(table)
        if found is None:
            found = self._appenders[table] = self.connection.appender(table)
        return found

    def abandon(self, connection: duckdb.DuckDBPyConnection) -> None:
        """After a failed append: forget buffered rows (an appender would add them to the next) and roll back."""
        self._drop_appenders()
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")

    def _drop_appenders(self) -> None:
        for appender in self._appenders.values():
            with suppress(duckdb.Error):
                appender.clear()
        self._appenders.clear()

    @contextmanager
    def tending(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for what is written beside the commits: snapshots, retention."""
        with self._tending:
            cursor = self.connection.cursor()
            try:
                yield cursor
            except duckdb.Error as cause:
                raise self.error(cause) from cause
            finally:
                cursor.close()

    def rest(self) -> None:
        """Give memory back that only makes the next reads quicker; nothing where anything is under way."""
        taken = [lock for lock in self._locks if lock.acquire(blocking=False)]
        try:
            if len(taken) == len(self._locks) and self._home and self._connection is not None and not self.is_invalid:
                with suppress(duckdb.OutOfMemoryException):  # something holds on to more than would be left
                    opening.give_back(self._connection)
        except duckdb.Error as cause:
            raise self.error(cause) from cause
        finally:
            for lock in reversed(taken):
                lock.release()

    # ---- reading -------------------------------------------------------------------------------------------------

    def rows(self, name: str, filters: str = "", **parameters: Any) -> list[tuple[Any, ...]]:  # any SQL value
        """All rows of a named statement, from whichever thread."""
        return self.reopening(lambda: self.read(name, filters, **parameters))

    def read(self, name: str, filters: str = "", **parameters: Any) -> list[tuple[Any, ...]]:  # any SQL value
        """The same inside `reopening` or `at_one_moment`."""
        statement = self._sql[name]
        if filters:
            statement = statement.replace("{filters}", filters)
        return self._run_on_reader(statement, parameters)

    def stream(self, name: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:  # any SQL value
        """Rows of a named statement as they are asked for, by a cursor of their own."""
        with self._reading:
            cursor = self.connection.cursor()
        try:
            cursor.execute(self._sql[name], parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from rows
        except duckdb.Error as cause:
            raise self.error(cause) from cause
        finally:
            cursor.close()

    def reopening(self, read: Callable[[], T]) -> T:
        """What `read` gives; a database that it finds invalid is reopened once."""
        generation = self._generation
        try:
            return read()
        except StoreError:
            if not self.is_invalid:
                raise
        self.interrupt()
        with self._all_locks():
            if generation == self._generation:
                self.reopen()
        return read()

    def at_one_moment(self, read: Callable[[], T]) -> T:
        """What `read` gives, which no commit changes while it reads; a database that it finds invalid is reopened."""
        return self.reopening(lambda: self._in_transaction(read))

    def _in_transaction(self, read: Callable[[], T]) -> T:
        with self._reading:
            self._run_on_reader("BEGIN")
            try:
                return read()
            finally:
                with suppress(StoreError):  # an invalid database has no transaction any more
                    self._run_on_reader("COMMIT")

    def _run_on_reader(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._reading:
            if self._reader is None:
                raise self._closed_error()
            try:
                return self._reader.execute(statement, parameters).fetchall()
            except duckdb.Error as cause:
                raise self.error(cause) from cause

    # ---- a person's query ----------------------------------------------------------------------------------------

    @contextmanager
    def asking(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for a person's query, one at a time, which `interrupt` ends."""
        with self._asking:
            cursor = self._query = self.connection.cursor()
            try:
                yield cursor
            except duckdb.Error as cause:
                raise self.error(cause) from cause
            finally:
                self._query = None
                cursor.close()

    def interrupt(self) -> None:
        """End a person's query that is under way."""
        cursor = self._query
        if cursor is not None:
            with suppress(duckdb.Error):  # it has just ended
                cursor.interrupt()

    # ---- the disk ------------------------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The file's name, for messages."""
        return "in memory" if self._home is None else str(self._home.database)

    def log_bytes(self) -> int:
        """Size of the write-ahead log: what a checkpoint would fold in, and a crash would make us replay."""
        if self._home is None:
            return 0
        wal = quarantine.wal_of(self._home.database)
        return wal.stat().st_size if wal.exists() else 0

    def free_bytes(self) -> int | None:
        """Space left on the home's disk; None in memory. Raises `StoreError` when the folder is gone."""
        if self._home is None:
            return None
        try:
            disk = os.statvfs(self._home.path)
        except OSError as cause:
            raise StoreError(f"The folder {self._home.path} cannot be reached: {cause.strerror}.") from cause
        return disk.f_bavail * disk.f_frsize

    # ---- errors --------------------------------------------------------------------------------------------------

    def error(self, cause: duckdb.Error) -> StoreError:
        """What to raise for an error of a statement; one that is fatal is remembered."""
        text = str(cause)
        if isinstance(cause, duckdb.FatalException | duckdb.InternalException) or "has been invalidated" in text:
            self.is_invalid = True
        return opening.explain(cause, self.where)

    def _closed_error(self) -> StoreError:
        return StoreError(f"The database {self.where} is closed.")
