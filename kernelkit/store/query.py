"""People's SQL: one SELECT over documented views, read-only, with an end.

The text is parsed by DuckDB itself, and the tree it gives says which tables and table functions are meant; anything but
our views is refused before it is run. What a newcomer would get wrong: the time-out interrupts the statement from
another thread, so nothing here may hold a lock that the engine's commits need.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb

from kernelkit.errors import SqlError
from kernelkit.store.statements import named

ROWS = 100_000  # of one answer
BYTES = 64 * 1024**2  # of one answer, roughly
_AT_ONCE = 5_000

_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "json_each", "json_tree", "read_parquet"})
_KIND = re.compile(r"^\w+ Error: ")
_TOLD = 400  # characters of DuckDB's own words
_INT64 = 2**63


@dataclass(frozen=True)
class Answer:
    """Rows of a query as MessagePack can carry them; `types` names DuckDB's type of each column."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]  # any SQL value
    has_more: bool


@cache
def views() -> dict[str, str]:
    """The statements that make live tables and views, in order."""
    return named((files("kernelkit.store") / "sql" / "views.sql").read_text())


@cache
def public_views() -> tuple[str, ...]:
    """Names that people may use.

    >>> public_views()
    ('runs', 'attempts', 'events', 'logs', 'queues', 'schedules')
    """
    return tuple(name for name, text in views().items() if " VIEW " in text and name != "every_run")


def used_views(cursor: duckdb.DuckDBPyConnection, text: str) -> frozenset[str]:
    """The views that the one SELECT in `text` is about; raises `SqlError` for anything else."""
    try:
        found = duckdb.extract_statements(text)
    except duckdb.Error as cause:
        raise SqlError(f"That is no SQL that DuckDB understands: {_told(cause)}") from None
    if len(found) != 1:
        raise SqlError(f"kk.sql takes one SELECT; there are {len(found)} statements.")
    if found[0].type is not duckdb.StatementType.SELECT:
        if found[0].type is duckdb.StatementType.MULTI:
            raise SqlError("kk.sql takes a SELECT: write SELECT * FROM (PIVOT … ON … IN (…)), with the values named.")
        raise SqlError(f"kk.sql only reads: it takes a SELECT, and this is {found[0].type.name}.")
    tree = json.loads(cursor.execute("SELECT json_serialize_sql(?)", [_bare(text)]).fetchall()[0][0])
    if tree.get("error"):
        raise SqlError(f"kk.sql cannot read this statement: {tree.get('error_message')}.")
    return _checked(tree["statements"])


def prepare(cursor: duckdb.DuckDBPyConnection, live: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
    """Make the views on this cursor, over these rows of live tables; doing it again replaces them."""
    for name, statement in views().items():
        cursor.execute(statement)
        if rows := live.get(name):
            appender = cursor.appender(name)
            appender.append_rows(list(rows))
            appender.flush()


def ask(
    cursor: duckdb.DuckDBPyConnection,
    text: str,
    live: Mapping[str, Sequence[tuple[Any, ...]]],
    *,
    timeout_s: float,
    limit: int,
) -> Answer:
    """The first `limit` rows of the SELECT in `text`, over the views with these rows of live tables.

    Raises `SqlError` for what is wrong with the statement, or when it takes longer than `timeout_s`; any other error of
    DuckDB as it is.
    """
    prepare(cursor, live)
    timer = threading.Timer(timeout_s, cursor.interrupt)
    timer.daemon = True
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    timer.start()
    try:
        return _answer(cursor, f"SELECT * FROM (\n{_bare(text)}\n) LIMIT {limit + 1}", limit)
    except duckdb.InterruptException:
        raise SqlError(
            f"The query took longer than {timeout_s:g} s and was stopped. Narrow it, for instance by created_at, or "
            "give more time: kk.sql(…, timeout='5m')."
        ) from None
    except duckdb.OutOfMemoryException:
        raise SqlError(
            "The query needs more memory than the engine gives to queries. Select fewer columns or rows, or aggregate "
            "in SQL."
        ) from None
    except duckdb.PermissionException:
        raise SqlError("kk.sql reads no files but those in the archive folder of the project's home.") from None
    except (duckdb.FatalException, duckdb.InternalException):
        raise
    except duckdb.Error as cause:
        raise SqlError(_told(cause)) from None
    finally:
        timer.cancel()


# ---- reading the tree ----------------------------------------------------------------------------------------------


def _checked(tree: Any) -> frozenset[str]:
    own = {entry["key"].lower() for node in _nodes(tree) for entry in node.get("cte_map", {}).get("map", ())}
    used: set[str] = set()
    for node in _nodes(tree):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODES:
            raise SqlError("kk.sql only reads: a WITH of it may not change anything.")
        if kind == "BASE_TABLE":
            path = [str(part) for part in node["qualified_name"]["path"]]
            if len(path) == 1 and path[0].lower() in own:
                continue
            used.add(_view(".".join(path)))
        elif kind == "SHOW_REF" and node.get("query") is None:
            raise SqlError(f"kk.sql does not list tables. The views are: {', '.join(public_views())}.")
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            if name not in _FUNCTIONS:
                known = ", ".join(sorted(_FUNCTIONS))
                raise SqlError(f"The table function {name} is not available in kk.sql. Available are: {known}.")
    return frozenset(used)


def _view(name: str) -> str:
    if name.lower() in public_views():
        return name.lower()
    near = difflib.get_close_matches(name.lower().rpartition(".")[2], public_views(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise SqlError(f"There is no view {name!r}. {hint}The views are: {', '.join(public_views())}.", near=near)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


def _bare(text: str) -> str:
    """The statement without what stands around it: it goes into parentheses."""
    return str(duckdb.extract_statements(text)[0].query).strip().rstrip(";").strip()


# ---- reading the answer --------------------------------------------------------------------------------------------


def _answer(cursor: duckdb.DuckDBPyConnection, statement: str, limit: int) -> Answer:
    described = cursor.execute(statement).description or []
    zoned = [name for name, kind, *_ in described if "WITH TIME ZONE" in str(kind)]
    if zoned:  # reading these in Python needs a package that nothing else here does; the zone is always UTC
        casts = ", ".join(f"{_quoted(name)}::TIMESTAMP AS {_quoted(name)}" for name in zoned)
        described = cursor.execute(f"SELECT * REPLACE ({casts}) FROM ({statement})").description or []
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) <= limit and (some := cursor.fetchmany(_AT_ONCE)):
        rows += [tuple(_portable(value) for value in row) for row in some]
        size += sum(len(value) for row in some for value in row if isinstance(value, str | bytes))
        if size > BYTES:
            raise SqlError(
                f"The answer is larger than {BYTES // 2**20} MiB. Select fewer columns or rows; "
                "`kernelkit export` writes runs to a file."
            )
    return Answer(
        columns=tuple(str(name) for name, *_ in described),
        types=tuple(str(kind) for _, kind, *_ in described),
        rows=tuple(rows[:limit]),
        has_more=len(rows) > limit,
    )


def _portable(value: Any) -> Any:
    match value:
        case None | str() | bool() | float() | bytes():
            return value
        case int():
            return value if -_INT64 <= value < _INT64 else str(value)
        case datetime():
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value
        case timedelta():
            return value // timedelta(microseconds=1)
        case list() | tuple():
            return [_portable(one) for one in value]
        case dict():
            return {name if isinstance(name, str) else str(name): _portable(one) for name, one in value.items()}
        case _:
            return str(value)  # dates, times, decimals and UUIDs, which `types` name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _told(cause: duckdb.Error) -> str:
    """DuckDB's words, with its candidates and without the statement it repeats."""
    text = " ".join(str(cause).partition("\nLINE ")[0].split())
    text = _KIND.sub("", text)
    text = text if len(text) <= _TOLD else text[:_TOLD] + " …"
    return text if text.endswith(("?", "!", ".", "…")) else text + "."
