"""The engine's memory on disk: event log, snapshots, history, large values and captured lines in one DuckDB file.

One thread appends (`writer.py`), one reads (`reader.py`); each has its own cursor, and reads never wait for a commit.
A transaction costs by the statement, not by the row, so `append` flushes one appender per table that has rows and
nothing else. After an error that DuckDB calls fatal the connection is useless until `reopen`; what is on disk is then
`last_seq`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import duckdb
import msgspec

from kernelkit.clock import to_datetime
from kernelkit.config import EngineSettings, Home
from kernelkit.errors import StoreError
from kernelkit.models.batch import BatchRecord
from kernelkit.models.event import AnyEvent, from_json
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import LogLine, Logs, Run, RunRef, RunStatus
from kernelkit.models.stream import StreamTail, last_of
from kernelkit.store import opening, quarantine, query, retention
from kernelkit.store.archive import Archive, Format
from kernelkit.store.batches import batch_key, to_batch
from kernelkit.store.history import Columns, filters, line_filters, sort_key, to_row, to_run
from kernelkit.store.rows import NOTHING_SEEN, Batch, LogRow, Seen
from kernelkit.store.statements import statements
from kernelkit.wire.messages import GetLogs, ListRuns, LogsReply

_ROWS_AT_ONCE = 10_000
_PARTS_AT_ONCE = 64  # of a stream, read for one answer …
_PARTS_AT_END = 16  # … or for what is shown of it
CHUNKS_BYTES = 512 * 1024
COMMITS_KEPT = 500
CHECKPOINT_EVERY = 50_000  # transactions; replaying them after a crash takes one to three seconds
CHECKPOINT_BYTES = 256 * 1024**2  # of log
_LOOK_EVERY = 64  # transactions; a look at the log's size costs a few microseconds


_decode_chunks = msgspec.json.Decoder(list[msgspec.Raw]).decode

T = TypeVar("T")
P = ParamSpec("P")


def _of_one_moment(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate[Store, P], T]:
    """What `method` reads is of one moment: a commit between two statements would be in one and not in the other."""

    @wraps(method)
    def whole(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._reopening(lambda: self._at_one_moment(lambda: method(self, *args, **kwargs)))

    return whole


@dataclass
class Recovered:
    """Where a new engine begins: the last snapshot (None for a new home) and the events after it, oldest first."""

    snapshot: bytes | None
    seq: int
    events: Iterator[LogRow]
    history_seq: int


class Store:
    """A home's database. `append`, `checkpoint` and `reopen` belong to the writer; all else may be called anywhere.

    >>> store = Store.open(None, EngineSettings())
    >>> store.append(Batch(events=[LogRow(1, 0, "engine_started", "", "{}")]))
    >>> store.last_seq
    1
    >>> store.close()
    """

    def __init__(self, home: Home | None) -> None:
        """Use `Store.open`."""
        self._home = home
        self._archive = None if home is None else Archive(home.archive)
        self._sql = statements()
        self._writing = threading.RLock()  # taken in this order where more than one is
        self._tending = threading.RLock()
        self._reading = threading.RLock()
        self._asking = threading.RLock()
        self._query: duckdb.DuckDBPyConnection | None = None  # the cursor of a person's query under way
        self._appenders: dict[str, Any] = {}  # DuckDB's Appender has no public type
        self._invalid = False
        self._generation = 0
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._last_seq = 0
        self._closed = False
        self.transactions = 0  # since the last checkpoint
        self.commits: deque[float] = deque(maxlen=COMMITS_KEPT)  # how long the latest took, in seconds
        self._connect()

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

    # ---- writing -------------------------------------------------------------------------------------------------

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
        with self._writing:
            connection = self._open_connection()
            began = time.perf_counter()
            try:
                if not whole:
                    connection.execute("BEGIN")
                if replaced:
                    connection.execute(self._sql["forget_history"], {"ids": replaced})
                for table, rows in parts:
                    appender = self._appender(connection, table)
                    appender.append_rows(rows)
                    appender.flush()
                if batch.unwanted:
                    connection.execute(self._sql["remove_values"], {"refs": batch.unwanted})
                if not whole:
                    connection.execute("COMMIT")
            except duckdb.Error as cause:
                self._abandon(connection)
                raise self._explain(cause) from cause
            except BaseException:
                self._abandon(connection)
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

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether a checkpoint should be made even while there is much else to do."""
        if self.transactions % _LOOK_EVERY:
            return False
        return self.transactions >= CHECKPOINT_EVERY or self._log_bytes() >= CHECKPOINT_BYTES

    @property
    def needs_reopen(self) -> bool:
        """True once DuckDB has declared its database invalid; every statement fails until `reopen`."""
        return self._invalid or (self._connection is None and not self._closed)

    def reopen(self) -> None:
        """Close every cursor and open the file again; raises like `open` and may be tried again."""
        self.interrupt()
        with self._writing, self._tending, self._reading, self._asking:
            self._disconnect()
            self._connect()

    def write_snapshot(self, seq: int, body: bytes) -> None:
        """Keep `body` as the fold of all events up to `seq`, which must be on disk; the newest two stay."""
        if seq > self._last_seq:
            raise ValueError(f"a snapshot of event {seq} was given before the event is on disk ({self._last_seq} is)")
        with self._tending:
            cursor = self._open_connection().cursor()
            try:
                cursor.execute("BEGIN")
                cursor.execute(self._sql["forget_snapshot"], {"seq": seq})
                cursor.execute(self._sql["add_snapshot"], {"seq": seq, "body": body})
                cursor.execute(self._sql["keep_two_snapshots"])
                cursor.execute("COMMIT")
            except duckdb.Error as cause:
                raise self._explain(cause) from cause
            finally:
                cursor.close()

    def checkpoint(self) -> bool:
        """Fold the write-ahead log into the file, if there is room for it; True when done.

        A checkpoint that runs out of space would invalidate the whole database, so it is not begun without room.
        """
        with self._writing:
            if not self._room_for_checkpoint():
                return False
            try:
                self._open_connection().execute("CHECKPOINT")
            except duckdb.Error as cause:
                error = self._explain(cause)
                if not self._invalid:
                    return False  # another transaction stood in the way; the next call does it
                raise error from cause
            self.transactions = 0
            return True

    def rest(self) -> None:
        """Give memory back that only makes the next reads quicker; nothing where a read is under way."""
        locks = (self._writing, self._tending, self._reading, self._asking)
        taken = [lock for lock in locks if lock.acquire(blocking=False)]
        try:
            if len(taken) == len(locks) and self._home and self._connection is not None and not self._invalid:
                with suppress(duckdb.OutOfMemoryException):  # something holds on to more than would be left
                    opening.give_back(self._connection)
        except duckdb.Error as cause:
            raise self._explain(cause) from cause
        finally:
            for lock in reversed(taken):
                lock.release()

    def retain(self, now: int, settings: EngineSettings, held: Collection[str] = ()) -> dict[str, int]:
        """Remove old and excess finished runs and lines, and old values of tokens but those that are `held`; how many
        rows of each kind went.

        Only runs that both kept snapshots cover are removed: take one before.
        """
        with self._tending:
            cursor = self._open_connection().cursor()
            try:
                return retention.retain(cursor, now, settings, self._archive, held)
            except duckdb.Error as cause:
                raise self._explain(cause) from cause
            finally:
                cursor.close()

    def close(self) -> None:
        """Checkpoint and let go of the file; a second call does nothing."""
        with suppress(StoreError):
            if not self._closed:
                self.checkpoint()
        self.interrupt()
        with self._writing, self._tending, self._reading, self._asking:
            self._closed = True
            self._disconnect()

    # ---- reading -------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """What a new engine folds its state from; `events` are read as they are asked for."""
        snapshot = self._rows("newest_snapshot")
        seq, body = snapshot[0] if snapshot else (0, None)
        history_seq = int(self._rows("history_seq")[0][0])
        return Recovered(
            snapshot=None if body is None else bytes(body), seq=seq, events=self._events(seq), history_seq=history_seq
        )

    def values(self, refs: Sequence[str]) -> dict[str, str]:
        """The large values of `refs`; one that is not kept is missing from the answer."""
        return dict(self._rows("values", refs=list(refs))) if refs else {}

    def run(self, run_id: str) -> Run | None:
        """A finished run with payload and output of any size, or None."""
        found = self._rows("run", id=run_id, sort_key=sort_key(run_id))
        if not found:
            return None
        row = Columns._make(found[0])
        return to_run(row, values=self.values([ref for ref in (row.payload_ref, row.output_ref) if ref]))

    def runs_of(self, run_ids: Collection[str], *, with_values: bool = True) -> dict[str, Run]:
        """Those of these runs that are finished and kept, by id; large values are left out if not asked for."""
        if not run_ids:
            return {}
        keys = [sort_key(run_id) for run_id in run_ids]
        found = self._rows("runs", ids=list(run_ids), lowest=min(keys), highest=max(keys))
        rows = [Columns._make(row) for row in found]
        refs = [ref for row in rows for ref in (row.payload_ref, row.output_ref) if ref]
        values = self.values(refs) if with_values else None
        return {row.id: to_run(row, values=values) for row in rows}

    def batch(self, batch_id: str) -> BatchRecord | None:
        """What is kept of a batch, or None."""
        found = self._rows("batch", id=batch_id, sort_key=batch_key(batch_id))
        return to_batch(found[0]) if found else None

    @_of_one_moment
    def runs(self, asked: ListRuns, seen: Seen = NOTHING_SEEN) -> tuple[list[Run], int]:
        """A page of finished runs and how many match in all (counted up to 100,000); the filter is frozen.

        Newest first, but oldest first where the page is one `before` a run. Large values are left out, and so are the
        runs that the caller has `seen`.
        """
        where, parameters = filters(asked, self._seen_in_history(seen))
        total = int(self._read("page_total", where, **parameters)[0][0])
        edge, name = (asked.before, "newer") if asked.before else (asked.after, "older")
        if edge:
            where, parameters = self._beyond(where, parameters, name, edge)
        found = self._read("page_upward" if asked.before else "page", where, limit=asked.limit, **parameters)
        return [to_run(Columns._make(row)) for row in found], total

    @_of_one_moment
    def has_runs_behind(self, asked: ListRuns, seen: Seen = NOTHING_SEEN) -> bool:
        """Whether any finished run matches on the other side of the page's `after` or `before`, itself included."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        edge, name = (asked.before, "older_or_same") if asked.before else (asked.after, "newer_or_same")
        where, parameters = self._beyond(where, parameters, name, edge)
        return bool(self._read("has_any", where, **parameters)[0][0])

    @_of_one_moment
    def counts_of(self, asked: RunFilter, seen: Seen = NOTHING_SEEN) -> dict[str, int]:
        """How many finished runs that match the frozen filter have which status."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        return dict(self._read("counts_of", where, **parameters))

    @_of_one_moment
    def last_ended(self, asked: RunFilter, limit: int, seen: Seen = NOTHING_SEEN) -> list[tuple[str, float | None]]:
        """Status and seconds of the runs that match and ended last, the newest first; None for one that never began."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        found = self._read("last_ended", where, limit=limit, **parameters)
        return [(status, None if micros is None else micros / 1e6) for status, micros in found]

    def run_ids(self, asked: RunFilter, *, limit: int, after: str = "") -> list[str]:
        """Ids of finished runs that match the frozen filter, newest first, from behind `after`: for work in chunks."""
        where, parameters = filters(asked, ())
        if after:
            where, parameters = self._beyond(where, parameters, "older", after)
        return [row[0] for row in self._rows("page_ids", where, limit=limit, **parameters)]

    def refs(self, run_ids: Sequence[str]) -> list[RunRef]:
        """Those of these finished runs that are kept, as others refer to them."""
        keys = [sort_key(run_id) for run_id in run_ids]
        return _refs(self._rows("refs", ids=list(run_ids), sort_keys=keys)) if run_ids else []

    def children_of(self, run_id: str, limit: int) -> list[RunRef]:
        """Finished runs that `run_id` triggered, oldest first."""
        return _refs(self._rows("children_of", id=run_id, sort_key=sort_key(run_id), limit=limit))

    def _beyond(self, where: str, parameters: dict[str, Any], name: str, edge: str) -> tuple[str, dict[str, Any]]:
        return f"{where} AND {self._sql[f'filter_{name}']}", parameters | {"edge": edge, "edge_key": sort_key(edge)}

    def lines(self, run_id: str, limit: int) -> Logs:
        """The last `limit` captured lines of a run, oldest first."""
        return self.lines_page(GetLogs(run_id, limit)).logs

    def lines_page(self, asked: GetLogs) -> LogsReply:
        """Captured lines of a run that match, oldest first: the last ones, or those beside a line."""
        key = sort_key(asked.run_id)
        where, parameters = line_filters(asked)
        statement = "lines" if asked.after is None else "lines_upward"
        found = self._rows(statement, where, run_id=asked.run_id, sort_key=key, limit=asked.limit + 1, **parameters)
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        if asked.after is None:
            found.reverse()
        dropped = int(self._rows("lines_dropped", run_id=asked.run_id, sort_key=key)[0][0])
        lines = tuple(
            LogLine(at=to_datetime(ts), level=level, text=text, attempt=attempt)
            for _, ts, level, text, attempt in found
        )
        first, last = (found[0][0], found[-1][0]) if found else (0, -1)
        return LogsReply(Logs(lines=lines, dropped=dropped), first, last, has_more)

    def events_of(self, run_ids: Collection[str], kinds: Sequence[str], *, most: int) -> list[AnyEvent]:
        """The events of these kinds and runs, oldest first, of each run the newest `most`."""
        found = self._rows("events_of", ids=list(run_ids), kinds=list(kinds), most=most)
        return [from_json(body) for (body,) in found]

    def chunks(self, run_id: str, stream: str, start: int, limit_bytes: int = CHUNKS_BYTES) -> list[str]:
        """Values of a stream from index `start` on, as JSON texts: some of them, at least one where there is one."""
        found = self._rows(
            "stream_parts", run_id=run_id, sort_key=sort_key(run_id), stream=stream, start=start, limit=_PARTS_AT_ONCE
        )
        chunks: list[str] = []
        size = 0
        for first, body in found:
            for index, chunk in enumerate(_decode_chunks(body), first):
                if index >= start:
                    chunks.append(str(chunk, "utf-8"))
                    size += len(chunks[-1])
                    if size >= limit_bytes:
                        return chunks
        return chunks

    def chunk(self, run_id: str, stream: str, index: int) -> str:
        """One value of a stream, which must be on disk."""
        return self.chunks(run_id, stream, index, 1)[0]

    def streams(self, run_id: str, tail: int = 0) -> list[StreamTail]:
        """The streams of a run by their keys, each with its last values, of `tail` bytes at most."""
        key = sort_key(run_id)
        tails = []
        for stream, count, size in self._rows("streams", run_id=run_id, sort_key=key):
            chunks: list[str] = []
            if tail:
                found = self._rows("stream_end", run_id=run_id, sort_key=key, stream=stream, limit=_PARTS_AT_END)
                chunks = [str(chunk, "utf-8") for (body,) in reversed(found) for chunk in _decode_chunks(body)]
            tails.append(StreamTail(stream, int(count), int(size), last_of(chunks, tail)))
        return tails

    def kept(self, run_ids: Collection[str]) -> list[str]:
        """Which of these runs are in history."""
        return self._reopening(lambda: self._those_in_history(run_ids))

    def line_counts(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The highest line number of each run that has lines; a new engine counts on from there."""
        keys = [sort_key(run_id) for run_id in run_ids]
        return dict(self._rows("line_counts", run_ids=list(run_ids), sort_keys=keys)) if run_ids else {}

    def used_views(self, text: str) -> frozenset[str]:
        """The documented views that a person's query is about; raises `SqlError` for what is no query."""
        with self._cursor() as cursor:
            return query.used_views(cursor, text)

    def ask(
        self, text: str, live: Mapping[str, Sequence[tuple[Any, ...]]], *, timeout_s: float, limit: int
    ) -> query.Answer:
        """The answer of a person's query, one at a time; raises `SqlError` for what is wrong with it."""
        with self._cursor() as cursor:
            return query.ask(cursor, text, live, timeout_s=timeout_s, limit=limit)

    def export(
        self, asked: RunFilter, live: Mapping[str, Sequence[tuple[Any, ...]]], name: str, kind: Format
    ) -> tuple[Path, int]:
        """Write the runs that match the frozen filter to a file in the home; its path, and how many they are."""
        if self._archive is None:
            raise StoreError("Nothing can be exported of a project that is in memory alone.")
        with self._cursor() as cursor:
            return self._archive.export(cursor, asked, live, name, kind)

    def interrupt(self) -> None:
        """End a person's query that is under way."""
        cursor = self._query
        if cursor is not None:
            with suppress(duckdb.Error):  # it has just ended
                cursor.interrupt()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._asking:
            cursor = self._query = self._open_connection().cursor()
            try:
                yield cursor
            except duckdb.Error as cause:
                raise self._explain(cause) from cause
            finally:
                self._query = None
                cursor.close()

    def counts(self) -> dict[str, int]:
        """Finished runs by status."""
        return dict(self._rows("counts"))

    def free_bytes(self) -> int | None:
        """Space left on the home's disk; None in memory. Raises `StoreError` when the folder is gone."""
        if self._home is None:
            return None
        try:
            disk = os.statvfs(self._home.path)
        except OSError as cause:
            raise StoreError(f"The folder {self._home.path} cannot be reached: {cause.strerror}.") from cause
        return disk.f_bavail * disk.f_frsize

    # ---- inside --------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        connection = opening.open_database(self._home)
        try:
            self._reader = connection.cursor()
            self._last_seq = int(connection.execute(self._sql["last_seq"]).fetchall()[0][0])
        except duckdb.Error as cause:
            connection.close()
            raise self._explain(cause) from cause
        self._connection = connection
        self._invalid = False
        self._generation += 1
        self.transactions = 1 if self._log_bytes() else 0

    def _disconnect(self) -> None:
        # DuckDB hands out the same, perhaps invalid, database as long as anything of it is alive in this process.
        for appender in self._appenders.values():
            with suppress(duckdb.Error):
                appender.clear()
        self._appenders.clear()
        for handle in (self._reader, self._connection):
            if handle is not None:
                with suppress(duckdb.Error):
                    handle.close()
        self._reader = self._connection = None

    def _open_connection(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise self._closed_error()
        return self._connection

    def _appender(self, connection: duckdb.DuckDBPyConnection, table: str) -> Any:  # see _appenders
        found = self._appenders.get(table)
        if found is None:
            found = self._appenders[table] = connection.appender(table)
        return found

    def _abandon(self, connection: duckdb.DuckDBPyConnection) -> None:
        """After a failed append: forget buffered rows (an appender would add them to the next) and roll back."""
        for appender in self._appenders.values():
            with suppress(duckdb.Error):
                appender.clear()
        self._appenders.clear()
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")

    def _room_for_checkpoint(self) -> bool:
        free = self.free_bytes()
        return free is None or free > 2 * self._log_bytes() + 4 * 1024 * 1024

    def _log_bytes(self) -> int:
        """Size of the write-ahead log: what a checkpoint would fold in, and a crash would make us replay."""
        if self._home is None:
            return 0
        wal = quarantine.wal_of(self._home.database)
        return wal.stat().st_size if wal.exists() else 0

    def _rows(self, name: str, filters: str = "", **parameters: Any) -> list[tuple[Any, ...]]:  # any SQL value
        """All rows of a named statement, from whichever thread."""
        return self._reopening(lambda: self._read(name, filters, **parameters))

    def _reopening(self, read: Callable[[], T]) -> T:
        """What `read` gives; a database that it finds invalid is reopened once."""
        generation = self._generation
        try:
            return read()
        except StoreError:
            if not self._invalid:
                raise
        self.interrupt()
        with self._writing, self._tending, self._reading, self._asking:
            if generation == self._generation:
                self.reopen()
        return read()

    def _at_one_moment(self, read: Callable[[], T]) -> T:
        with self._reading:
            self._run_on_reader("BEGIN")
            try:
                return read()
            finally:
                with suppress(StoreError):  # an invalid database has no transaction any more
                    self._run_on_reader("COMMIT")

    def _seen_in_history(self, seen: Seen) -> list[str]:
        """The runs to leave out: those that had ended, and whichever of the live ones have ended since."""
        found = self._those_in_history(seen.ended)
        if seen.live:
            live = frozenset(seen.live)
            found += [run_id for (run_id,) in self._read("those_ended_since", seq=seen.seq) if run_id in live]
        return found

    def _those_in_history(self, run_ids: Collection[str]) -> list[str]:
        """Which of these are there: mostly none, and a filter by none of them costs nothing."""
        if not run_ids:
            return []
        lowest = min(map(sort_key, run_ids))
        return [row[0] for row in self._read("those_in_history", ids=list(run_ids), lowest=lowest)]

    def _read(self, name: str, filters: str = "", **parameters: Any) -> list[tuple[Any, ...]]:  # any SQL value
        statement = self._sql[name]
        if filters:
            statement = statement.replace("{filters}", filters)
        return self._run_on_reader(statement, parameters)

    def _run_on_reader(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._reading:
            if self._reader is None:
                raise self._closed_error()
            try:
                return self._reader.execute(statement, parameters).fetchall()
            except duckdb.Error as cause:
                raise self._explain(cause) from cause

    def _count(self, name: str, **parameters: Any) -> bool:
        return bool(self._rows(name, **parameters)[0][0])

    def _events(self, after: int) -> Iterator[LogRow]:
        with self._reading:
            cursor = self._open_connection().cursor()
        try:
            cursor.execute(self._sql["log_after"], {"seq": after})
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from map(LogRow._make, rows)
        except duckdb.Error as cause:
            raise self._explain(cause) from cause
        finally:
            cursor.close()

    def _closed_error(self) -> StoreError:
        return StoreError(f"The database {self._where} is closed.")

    def _explain(self, cause: duckdb.Error) -> StoreError:
        text = str(cause)
        if isinstance(cause, duckdb.FatalException | duckdb.InternalException) or "has been invalidated" in text:
            self._invalid = True
        return opening.explain(cause, self._where)

    @property
    def _where(self) -> str:
        return "in memory" if self._home is None else str(self._home.database)


def _refs(rows: list[tuple[Any, ...]]) -> list[RunRef]:
    return [RunRef(run_id, task_id, RunStatus(status)) for run_id, task_id, status in rows]


def _parts(batch: Batch) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Tables and their rows as bare tuples, which the appender takes twice as fast as named ones."""
    yield "log", [tuple(row) for row in batch.events]
    yield "vals", [tuple(row) for row in batch.values]
    yield "lines", [(*row, sort_key(row.run_id)) for row in batch.lines]
    yield "parts", [(*row, sort_key(row.run_id)) for row in batch.parts]
    yield "batches", [tuple(row) for row in batch.batches]
    yield "history", [to_row(row) for row in batch.history]
