"""The engine's memory on disk: event log, snapshots, history, large values and captured lines in one DuckDB file.

What is written is here, what can be asked in `records.py`, the file and its locks in `database.py`. One thread appends
(`writer.py`), one reads (`reader.py`); each has its own cursor, and reads never wait for a commit.
A transaction costs by the statement, not by the row, so `append` flushes one appender per table that has rows and
nothing else. After an error that DuckDB calls fatal the connection is useless until `reopen`; what is on disk is then
`last_seq`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kernelkit.config import EngineSettings, Home
from kernelkit.errors import StoreError
from kernelkit.store import quarantine, retention
from kernelkit.store.archive import Archive
from kernelkit.store.database import Database
from kernelkit.store.history import sort_key, to_row
from kernelkit.store.records import Records
from kernelkit.store.rows import Batch, LogRow
from kernelkit.store.statements import statements

COMMITS_KEPT = 500
CHECKPOINT_EVERY = 50_000  # transactions; replaying them after a crash takes one to three seconds
CHECKPOINT_BYTES = 256 * 1024**2  # of log
_LOOK_EVERY = 64  # transactions; a look at the log's size costs a few microseconds


@dataclass
class Recovered:
    """Where a new engine begins: the last snapshot (None for a new home) and the events after it, oldest first."""

    snapshot: bytes | None
    seq: int
    events: Iterator[LogRow]
    history_seq: int


class Store(Records):
    """A home's database, to be written as well. `append`, `checkpoint` and `reopen` belong to the writer; all else may
    be called anywhere.

    >>> store = Store.open(None, EngineSettings())
    >>> store.append(Batch(events=[LogRow(1, 0, "engine_started", "", "{}")]))
    >>> store.last_seq
    1
    >>> store.close()
    """

    def __init__(self, home: Home | None) -> None:
        """Use `Store.open`."""
        super().__init__(Database(home, self._opened), None if home is None else Archive(home.archive))
        self._sql = statements()
        self._last_seq = 0
        self.transactions = 0  # since the last checkpoint
        self.commits: deque[float] = deque(maxlen=COMMITS_KEPT)  # how long the latest took, in seconds
        self._database.open()

    @classmethod
    def open(cls, home: Home | None, settings: EngineSettings) -> Store:
        """The store of `home`, made or migrated as needed; None keeps everything in memory.

        Raises `HomeLockedError`, `StoreFullError` or `StoreError`; never replaces a file that does not open.
        """
        del settings  # nothing about opening is a choice yet; retention and the space gate are asked with theirs
        return cls(home)

    @staticmethod
    def quarantine(home: Home) -> Path:
        """Move a database that does not open, and its log, to a dated name with a note; returns that name."""
        return quarantine.quarantine(home)

    def _opened(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The file says how far it is: when it had to be opened again, that may not be what was believed."""
        self._last_seq = int(connection.execute(self._sql["last_seq"]).fetchall()[0][0])
        self.transactions = 1 if self._database.log_bytes() else 0

    # ---- commits -------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> None:
        """Commit all rows of `batch` in one durable transaction, or none of them.

        Raises `StoreFullError` when the disk is full, `StoreError` for anything else (see `needs_reopen`).
        """
        if batch.is_empty:
            return
        parts = [(table, rows) for table, rows in _parts(batch) if rows]
        replaced = [row.run.id for row in batch.history if row.replaces]
        # One flush is a transaction by itself, a third cheaper than with BEGIN.
        whole = len(parts) == 1 and not replaced and not batch.unwanted
        with self._database.writing:
            connection = self._database.connection
            began = time.perf_counter()
            try:
                if not whole:
                    connection.execute("BEGIN")
                if replaced:
                    connection.execute(self._sql["forget_history"], {"ids": replaced})
                for table, rows in parts:
                    appender = self._database.appender(table)
                    appender.append_rows(rows)
                    appender.flush()
                if batch.unwanted:
                    connection.execute(self._sql["remove_values"], {"refs": batch.unwanted})
                if not whole:
                    connection.execute("COMMIT")
            except duckdb.Error as cause:
                self._database.abandon(connection)
                raise self._database.error(cause) from cause
            except BaseException:
                self._database.abandon(connection)
                raise
            if batch.events:
                self._last_seq = max(self._last_seq, batch.events[-1].seq)
            self.transactions += 1
            self.commits.append(time.perf_counter() - began)

    def holds(self, batch: Batch) -> bool:
        """Whether `batch` is on disk already: a commit that ended in an error may have been made all the same."""
        if batch.events:
            return self._count("has_event", seq=batch.events[-1].seq)
        if batch.unwanted or any(row.replaces for row in batch.history):
            return False  # cannot be told, and doing it again changes nothing
        if batch.history:
            return self._count("has_history", id=batch.history[-1].run.id, seq=batch.history[-1].seq)
        if batch.values:
            return self._count("has_value", ref=batch.values[-1].ref)
        if batch.lines:
            return self._count("has_line", run_id=batch.lines[-1].run_id, n=batch.lines[-1].n)
        return True

    @property
    def last_seq(self) -> int:
        """The highest event sequence number on disk."""
        return self._last_seq

    def _count(self, name: str, **parameters: Any) -> bool:
        return bool(self._database.rows(name, **parameters)[0][0])

    # ---- the file ------------------------------------------------------------------------------------------------

    @property
    def needs_reopen(self) -> bool:
        """True once DuckDB has declared its database invalid; every statement fails until `reopen`."""
        return self._database.needs_reopen

    def reopen(self) -> None:
        """Close every cursor and open the file again; raises like `open` and may be tried again."""
        self._database.reopen()

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether a checkpoint should be made even while there is much else to do."""
        if self.transactions % _LOOK_EVERY:
            return False
        return self.transactions >= CHECKPOINT_EVERY or self._database.log_bytes() >= CHECKPOINT_BYTES

    def checkpoint(self) -> bool:
        """Fold the write-ahead log into the file, if there is room for it; True when done.

        A checkpoint that runs out of space would invalidate the whole database, so it is not begun without room.
        """
        with self._database.writing:
            if not self._room_for_checkpoint():
                return False
            try:
                self._database.connection.execute("CHECKPOINT")
            except duckdb.Error as cause:
                error = self._database.error(cause)
                if not self._database.is_invalid:
                    return False  # another transaction stood in the way; the next call does it
                raise error from cause
            self.transactions = 0
            return True

    def _room_for_checkpoint(self) -> bool:
        free = self.free_bytes()
        return free is None or free > 2 * self._database.log_bytes() + 4 * 1024 * 1024

    def free_bytes(self) -> int | None:
        """Space left on the home's disk; None in memory. Raises `StoreError` when the folder is gone."""
        return self._database.free_bytes()

    def rest(self) -> None:
        """Give memory back that only makes the next reads quicker; nothing where a read is under way."""
        self._database.rest()

    def close(self) -> None:
        """Checkpoint and let go of the file; a second call does nothing."""
        with suppress(StoreError):
            if self._database.is_open:
                self.checkpoint()
        self._database.close()

    # ---- snapshots and retention ---------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """What a new engine folds its state from; `events` are read as they are asked for."""
        snapshot = self._database.rows("newest_snapshot")
        seq, body = snapshot[0] if snapshot else (0, None)
        history_seq = int(self._database.rows("history_seq")[0][0])
        events = map(LogRow._make, self._database.stream("log_after", seq=seq))
        return Recovered(None if body is None else bytes(body), seq, events, history_seq)

    def write_snapshot(self, seq: int, body: bytes) -> None:
        """Keep `body` as the fold of all events up to `seq`, which must be on disk; the newest two stay."""
        if seq > self._last_seq:
            raise ValueError(f"a snapshot of event {seq} was given before the event is on disk ({self._last_seq} is)")
        with self._database.tending() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(self._sql["forget_snapshot"], {"seq": seq})
            cursor.execute(self._sql["add_snapshot"], {"seq": seq, "body": body})
            cursor.execute(self._sql["keep_two_snapshots"])
            cursor.execute("COMMIT")

    def retain(self, now: int, settings: EngineSettings, held: Collection[str] = ()) -> dict[str, int]:
        """Remove old and excess finished runs and lines, and old values of tokens but those that are `held`; how many
        rows of each kind went.

        Only runs that both kept snapshots cover are removed: take one before.
        """
        with self._database.tending() as cursor:
            return retention.retain(cursor, now, settings, self._archive, held)


def _parts(batch: Batch) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Tables and their rows as bare tuples, which the appender takes twice as fast as named ones."""
    yield "log", [tuple(row) for row in batch.events]
    yield "vals", [tuple(row) for row in batch.values]
    yield "lines", [(*row, sort_key(row.run_id)) for row in batch.lines]
    yield "parts", [(*row, sort_key(row.run_id)) for row in batch.parts]
    yield "batches", [tuple(row) for row in batch.batches]
    yield "history", [to_row(row) for row in batch.history]
