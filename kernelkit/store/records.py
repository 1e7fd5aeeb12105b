"""What a home's database can be asked: finished runs and lists of them, values, captured lines, streams, people's SQL.

Any thread may ask. A read of one statement sees a whole commit or nothing of it; one of several is only of one moment
where it says so (`_of_one_moment`). Runs that have not ended are not here, they live in the engine's state: that is why
lists are told what their reader has `seen`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.errors import StoreError
from kernelkit.models.batch import BatchRecord
from kernelkit.models.event import AnyEvent, from_json
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import LogLine, Logs, Run, RunRef, RunStatus
from kernelkit.models.stream import StreamTail, last_of
from kernelkit.store import query
from kernelkit.store.archive import Archive, Format
from kernelkit.store.batches import batch_key, to_batch
from kernelkit.store.database import Database
from kernelkit.store.history import Columns, filters, line_filters, sort_key, to_run
from kernelkit.store.rows import NOTHING_SEEN, Seen
from kernelkit.store.statements import statements
from kernelkit.wire.messages import GetLogs, ListRuns, LogsReply

_PARTS_AT_ONCE = 64  # of a stream, read for one answer …
_PARTS_AT_END = 16  # … or for what is shown of it
CHUNKS_BYTES = 512 * 1024

_decode_chunks = msgspec.json.Decoder(list[msgspec.Raw]).decode

T = TypeVar("T")
P = ParamSpec("P")


def _of_one_moment(
    method: Callable[Concatenate[Records, P], T],
) -> Callable[Concatenate[Records, P], T]:
    """What `method` reads is of one moment: a commit between two statements would be in one and not in the other."""

    @wraps(method)
    def whole(self: Records, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._database.at_one_moment(lambda: method(self, *args, **kwargs))

    return whole


class Records:
    """What is on disk, to be read. `archive` is the folder that `export` writes to, None in memory."""

    def __init__(self, database: Database, archive: Archive | None) -> None:
        self._database = database
        self._archive = archive

    def values(self, refs: Sequence[str]) -> dict[str, str]:
        """The large values of `refs`; one that is not kept is missing from the answer."""
        return dict(self._database.rows("values", refs=list(refs))) if refs else {}

    # ---- finished runs -------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run | None:
        """A finished run with payload and output of any size, or None."""
        found = self._database.rows("run", id=run_id, sort_key=sort_key(run_id))
        if not found:
            return None
        row = Columns._make(found[0])
        return to_run(row, values=self.values([ref for ref in (row.payload_ref, row.output_ref) if ref]))

    def runs_of(self, run_ids: Collection[str], *, with_values: bool = True) -> dict[str, Run]:
        """Those of these runs that are finished and kept, by id; large values are left out if not asked for."""
        if not run_ids:
            return {}
        keys = [sort_key(run_id) for run_id in run_ids]
        found = self._database.rows("runs", ids=list(run_ids), lowest=min(keys), highest=max(keys))
        rows = [Columns._make(row) for row in found]
        refs = [ref for row in rows for ref in (row.payload_ref, row.output_ref) if ref]
        values = self.values(refs) if with_values else None
        return {row.id: to_run(row, values=values) for row in rows}

    @_of_one_moment
    def runs(self, asked: ListRuns, seen: Seen = NOTHING_SEEN) -> tuple[list[Run], int]:
        """A page of finished runs and how many match in all (counted up to 100,000); the filter is frozen.

        Newest first, but oldest first where the page is one `before` a run. Large values are left out, and so are the
        runs that the caller has `seen`.
        """
        where, parameters = filters(asked, self._seen_in_history(seen))
        total = int(self._database.read("page_total", where, **parameters)[0][0])
        edge, name = (asked.before, "newer") if asked.before else (asked.after, "older")
        if edge:
            where, parameters = self._beyond(where, parameters, name, edge)
        found = self._database.read("page_upward" if asked.before else "page", where, limit=asked.limit, **parameters)
        return [to_run(Columns._make(row)) for row in found], total

    @_of_one_moment
    def has_runs_behind(self, asked: ListRuns, seen: Seen = NOTHING_SEEN) -> bool:
        """Whether any finished run matches on the other side of the page's `after` or `before`, itself included."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        edge, name = (asked.before, "older_or_same") if asked.before else (asked.after, "newer_or_same")
        where, parameters = self._beyond(where, parameters, name, edge)
        return bool(self._database.read("has_any", where, **parameters)[0][0])

    @_of_one_moment
    def counts_of(self, asked: RunFilter, seen: Seen = NOTHING_SEEN) -> dict[str, int]:
        """How many finished runs that match the frozen filter have which status."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        return dict(self._database.read("counts_of", where, **parameters))

    @_of_one_moment
    def last_ended(self, asked: RunFilter, limit: int, seen: Seen = NOTHING_SEEN) -> list[tuple[str, float | None]]:
        """Status and seconds of the runs that match and ended last, the newest first; None for one that never began."""
        where, parameters = filters(asked, self._seen_in_history(seen))
        found = self._database.read("last_ended", where, limit=limit, **parameters)
        return [(status, None if micros is None else micros / 1e6) for status, micros in found]

    def run_ids(self, asked: RunFilter, *, limit: int, after: str = "") -> list[str]:
        """Ids of finished runs that match the frozen filter, newest first, from behind `after`: for work in chunks."""
        where, parameters = filters(asked, ())
        if after:
            where, parameters = self._beyond(where, parameters, "older", after)
        return [row[0] for row in self._database.rows("page_ids", where, limit=limit, **parameters)]

    def refs(self, run_ids: Sequence[str]) -> list[RunRef]:
        """Those of these finished runs that are kept, as others refer to them."""
        keys = [sort_key(run_id) for run_id in run_ids]
        return _refs(self._database.rows("refs", ids=list(run_ids), sort_keys=keys)) if run_ids else []

    def children_of(self, run_id: str, limit: int) -> list[RunRef]:
        """Finished runs that `run_id` triggered, oldest first."""
        return _refs(self._database.rows("children_of", id=run_id, sort_key=sort_key(run_id), limit=limit))

    def kept(self, run_ids: Collection[str]) -> list[str]:
        """Which of these runs are in history."""
        return self._database.reopening(lambda: self._those_in_history(run_ids))

    def counts(self) -> dict[str, int]:
        """Finished runs by status."""
        return dict(self._database.rows("counts"))

    def _beyond(self, where: str, parameters: dict[str, Any], name: str, edge: str) -> tuple[str, dict[str, Any]]:
        return f"{where} AND {statements()[f'filter_{name}']}", parameters | {"edge": edge, "edge_key": sort_key(edge)}

    def _seen_in_history(self, seen: Seen) -> list[str]:
        """The runs to leave out: those that had ended, and whichever of the live ones have ended since."""
        found = self._those_in_history(seen.ended)
        if seen.live:
            live = frozenset(seen.live)
            found += [run_id for (run_id,) in self._database.read("those_ended_since", seq=seen.seq) if run_id in live]
        return found

    def _those_in_history(self, run_ids: Collection[str]) -> list[str]:
        """Which of these are there: mostly none, and a filter by none of them costs nothing."""
        if not run_ids:
            return []
        lowest = min(map(sort_key, run_ids))
        return [row[0] for row in self._database.read("those_in_history", ids=list(run_ids), lowest=lowest)]

    # ---- what else belongs to runs -------------------------------------------------------------------------------

    def batch(self, batch_id: str) -> BatchRecord | None:
        """What is kept of a batch, or None."""
        found = self._database.rows("batch", id=batch_id, sort_key=batch_key(batch_id))
        return to_batch(found[0]) if found else None

    def lines(self, run_id: str, limit: int) -> Logs:
        """The last `limit` captured lines of a run, oldest first."""
        return self.lines_page(GetLogs(run_id, limit)).logs

    def lines_page(self, asked: GetLogs) -> LogsReply:
        """Captured lines of a run that match, oldest first: the last ones, or those beside a line."""
        key = sort_key(asked.run_id)
        where, parameters = line_filters(asked)
        statement = "lines" if asked.after is None else "lines_upward"
        found = self._database.rows(
            statement, where, run_id=asked.run_id, sort_key=key, limit=asked.limit + 1, **parameters
        )
        has_more, found = len(found) > asked.limit, found[: asked.limit]
        if asked.after is None:
            found.reverse()
        dropped = int(self._database.rows("lines_dropped", run_id=asked.run_id, sort_key=key)[0][0])
        lines = tuple(
            LogLine(at=to_datetime(ts), level=level, text=text, attempt=attempt)
            for _, ts, level, text, attempt in found
        )
        first, last = (found[0][0], found[-1][0]) if found else (0, -1)
        return LogsReply(Logs(lines=lines, dropped=dropped), first, last, has_more)

    def line_counts(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The highest line number of each run that has lines; a new engine counts on from there."""
        keys = [sort_key(run_id) for run_id in run_ids]
        return dict(self._database.rows("line_counts", run_ids=list(run_ids), sort_keys=keys)) if run_ids else {}

    def events_of(self, run_ids: Collection[str], kinds: Sequence[str], *, most: int) -> list[AnyEvent]:
        """The events of these kinds and runs, oldest first, of each run the newest `most`."""
        found = self._database.rows("events_of", ids=list(run_ids), kinds=list(kinds), most=most)
        return [from_json(body) for (body,) in found]

    def chunks(self, run_id: str, stream: str, start: int, limit_bytes: int = CHUNKS_BYTES) -> list[str]:
        """Values of a stream from index `start` on, as JSON texts: some of them, at least one where there is one."""
        found = self._database.rows(
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
        for stream, count, size in self._database.rows("streams", run_id=run_id, sort_key=key):
            chunks: list[str] = []
            if tail:
                found = self._database.rows(
                    "stream_end", run_id=run_id, sort_key=key, stream=stream, limit=_PARTS_AT_END
                )
                chunks = [str(chunk, "utf-8") for (body,) in reversed(found) for chunk in _decode_chunks(body)]
            tails.append(StreamTail(stream, int(count), int(size), last_of(chunks, tail)))
        return tails

    # ---- people's queries ----------------------------------------------------------------------------------------

    def used_views(self, text: str) -> frozenset[str]:
        """The documented views that a person's query is about; raises `SqlError` for what is no query."""
        with self._database.asking() as cursor:
            return query.used_views(cursor, text)

    def ask(
        self, text: str, live: Mapping[str, Sequence[tuple[Any, ...]]], *, timeout_s: float, limit: int
    ) -> query.Answer:
        """The answer of a person's query, one at a time; raises `SqlError` for what is wrong with it."""
        with self._database.asking() as cursor:
            return query.ask(cursor, text, live, timeout_s=timeout_s, limit=limit)

    def export(
        self, asked: RunFilter, live: Mapping[str, Sequence[tuple[Any, ...]]], name: str, kind: Format
    ) -> tuple[Path, int]:
        """Write the runs that match the frozen filter to a file in the home; its path, and how many they are."""
        if self._archive is None:
            raise StoreError("Nothing can be exported of a project that is in memory alone.")
        with self._database.asking() as cursor:
            return self._archive.export(cursor, asked, live, name, kind)

    def interrupt(self) -> None:
        """End a person's query that is under way."""
        self._database.interrupt()


def _refs(rows: list[tuple[Any, ...]]) -> list[RunRef]:
    return [RunRef(run_id, task_id, RunStatus(status)) for run_id, task_id, status in rows]
