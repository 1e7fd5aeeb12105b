"""Removes what is too old or too much (decision 44): finished runs with everything of theirs, log lines and streams.

Never touches a run that is not in history, nor one whose events a recovery would still read.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from kernelkit.clock import MICROS
from kernelkit.config import EngineSettings
from kernelkit.ids import make_id
from kernelkit.store.archive import Archive
from kernelkit.store.statements import statements

HEAD_BYTES = 1_000_000  # of a run's lines the first megabyte …
TAIL_BYTES = 9_000_000  # … and the last nine are kept (decision 45)
_DAY = 86_400 * MICROS
_RUNS_AT_ONCE = 10_000  # a transaction of bounded size, so that commits beside it are not held up


def retain(
    cursor: duckdb.DuckDBPyConnection,
    now: int,
    settings: EngineSettings,
    archive: Archive | None = None,
    held: Collection[str] = (),
) -> dict[str, int]:
    """Remove what the settings say, and return how many rows of each kind went.

    With an archive, runs are written there before they go. `held` are references to values of tokens that are needed.
    """
    removed = {"runs": 0, "events": 0, "values": 0, "lines": 0, "parts": 0}
    if archive is not None:
        archive.settle(cursor)
    keep = archive if settings.archive_runs else None
    while _remove_runs(cursor, now, settings, removed, keep) == _RUNS_AT_ONCE:
        pass
    before = make_id("value", now_ms=max(0, now // 1_000 - int(settings.keep_runs_days * _DAY) // 1_000), entropy=0)
    removed["values"] += _count(cursor, statements()["remove_token_values"], {"before": before, "held": list(held)})
    _remove_lines(cursor, now, settings, removed)
    _remove_parts(cursor, now, settings, removed)
    return removed


def _remove_runs(
    cursor: duckdb.DuckDBPyConnection,
    now: int,
    settings: EngineSettings,
    removed: dict[str, int],
    archive: Archive | None,
) -> int:
    sql = statements()
    covered = cursor.execute(sql["covered_seq"]).fetchall()[0][0]
    found = cursor.execute(
        sql["runs_to_remove"],
        {
            "covered": covered,
            "before": now - int(settings.keep_runs_days * _DAY),
            "keep": settings.keep_runs,
            "limit": _RUNS_AT_ONCE,
        },
    ).fetchall()
    if not found:
        return 0
    ids = [row[0] for row in found]
    refs = [ref for row in found for ref in row[1:] if ref]
    archived = archive.write(cursor, ids) if archive is not None else ""
    cursor.execute("BEGIN")
    try:
        if archive is not None:
            archive.note(cursor, archived, len(ids), now)
        removed["lines"] += _count(cursor, sql["remove_lines"], {"ids": ids})
        removed["parts"] += _count(cursor, sql["remove_parts"], {"ids": ids})
        removed["events"] += _count(cursor, sql["remove_events"], {"ids": ids})
        if refs:
            removed["values"] += _count(cursor, sql["remove_values"], {"refs": refs})
        removed["values"] += _count(cursor, sql["remove_values_of_runs"], {"ids": ids})
        removed["runs"] += _count(cursor, sql["remove_runs"], {"ids": ids})
        cursor.execute("COMMIT")
        batches = [row[0] for row in cursor.execute(sql["batches_to_remove"], {"covered": covered}).fetchall()]
        if batches:
            cursor.execute("BEGIN")
            removed["events"] += _count(cursor, sql["remove_events"], {"ids": batches})
            _count(cursor, sql["remove_batches"], {"ids": batches})
            cursor.execute("COMMIT")
    except duckdb.Error:
        _rollback(cursor)
        raise
    if archive is not None:
        archive.keep(archived)
    return len(ids)


def _remove_lines(
    cursor: duckdb.DuckDBPyConnection, now: int, settings: EngineSettings, removed: dict[str, int]
) -> None:
    sql = statements()
    before = now - int(settings.keep_logs_days * _DAY)
    by_age = cursor.execute(sql["lines_to_remove_by_age"], {"before": before}).fetchall()
    if by_age:
        removed["lines"] += _count(cursor, sql["remove_lines"], {"ids": [row[0] for row in by_age]})
    removed["lines"] += _count(cursor, sql["trim_long_logs"], {"head_bytes": HEAD_BYTES, "tail_bytes": TAIL_BYTES})
    by_size = cursor.execute(sql["lines_to_remove_by_size"], {"keep_bytes": settings.keep_logs_bytes}).fetchall()
    if by_size:
        removed["lines"] += _count(cursor, sql["remove_lines"], {"ids": [row[0] for row in by_size]})


def _remove_parts(
    cursor: duckdb.DuckDBPyConnection, now: int, settings: EngineSettings, removed: dict[str, int]
) -> None:
    sql = statements()
    before = now - int(settings.keep_streams_days * _DAY)
    found = cursor.execute(sql["parts_to_remove_by_age"], {"before": before}).fetchall()
    if found:
        removed["parts"] += _count(cursor, sql["remove_parts"], {"ids": [row[0] for row in found]})


def _count(cursor: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, object]) -> int:
    return int(cursor.execute(statement, parameters).fetchall()[0][0])


def _rollback(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        pass  # a failed COMMIT has rolled back already
