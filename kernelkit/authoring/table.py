"""`kk.Table`: the answer of a query, copied out of the engine."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from kernelkit.authoring import display
from kernelkit.errors import KernelKitError

if TYPE_CHECKING:
    from kernelkit.wire.messages import TableReply

SHOWN = 20  # rows of the text face
WIDE = 40  # characters of a cell

Row = tuple[Any, ...]  # any SQL value


class Table(display.Shown, Sequence[Row]):
    """Rows and columns, at most 100,000 rows; shows itself.

    table = kk.sql("select task_id, count(*) as n from runs group by all")
    table.columns, table.rows[0], len(table), table.dicts()
    table.df()                  # a pandas DataFrame
    """

    __slots__ = ("columns", "has_more", "rows", "types")

    def __init__(
        self, columns: Sequence[str], types: Sequence[str], rows: Sequence[Row], *, has_more: bool = False
    ) -> None:
        self.columns: tuple[str, ...] = tuple(columns)
        self.types: tuple[str, ...] = tuple(types)
        """DuckDB's name of each column's type."""
        self.rows: tuple[Row, ...] = tuple(rows)
        self.has_more = has_more
        """Whether the query has more rows than these."""

    def dicts(self) -> list[dict[str, Any]]:  # any SQL value
        """One dict a row, by column; of columns with the same name the last counts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def df(self) -> Any:  # a pandas.DataFrame, whose package is optional
        """A pandas DataFrame; raises `KernelKitError` naming what to install where pandas is missing."""
        pandas = _package("pandas", "pandas", "df")
        return pandas.DataFrame.from_records(list(self.rows), columns=list(self.columns))

    def arrow(self) -> Any:  # a pyarrow.Table, whose package is optional
        """A pyarrow Table; raises `KernelKitError` naming what to install where pyarrow is missing."""
        pyarrow = _package("pyarrow", "arrow", "arrow")
        columns = list(zip(*self.rows, strict=True)) if self.rows else [() for _ in self.columns]
        return pyarrow.table([pyarrow.array(list(column)) for column in columns], names=list(self.columns))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        shown = [[cell(value) for value in row] for row in self.rows[:SHOWN]]
        widths = [max(map(len, column)) for column in zip(self.columns, *shown, strict=True)]
        right = [is_number(kind) for kind in self.types]
        lines = ["  ".join(name.ljust(width) for name, width in zip(self.columns, widths, strict=True)).rstrip()]
        for row in shown:
            cells = zip(row, widths, right, strict=True)
            line = (text.rjust(width) if number else text.ljust(width) for text, width, number in cells)
            lines.append("  ".join(line).rstrip())
        return "\n".join([*lines, self.caption(SHOWN)])

    def caption(self, most: int) -> str:
        """How many rows there are, where only the first `most` of them are shown."""
        count = f"{len(self.rows):,} row{'' if len(self.rows) == 1 else 's'}"
        if self.has_more:
            count = f"the first {count} of more; narrow the query to see others"
        return f"({count}{f', {most} shown' if len(self.rows) > most else ''})"


def from_reply(reply: TableReply) -> Table:
    """The engine's answer, with values as Python has them."""
    read = [_READERS.get(_head(kind)) for kind in reply.types]
    rows: Sequence[Row] = [tuple(row) for row in reply.rows]
    if any(read):
        rows = [
            tuple(value if one is None or value is None else one(value) for one, value in zip(read, row, strict=True))
            for row in rows
        ]
    return Table(reply.columns, reply.types, rows, has_more=reply.has_more)


def cell(value: object) -> str:
    """A value as a cell shows it: one line, cut where it is long."""
    match value:
        case None:
            return "–"
        case datetime():
            text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"
        case float():
            text = f"{value:.6g}"
        case str():
            text = " ".join(value.split())
        case _:
            text = str(value)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def is_number(kind: str) -> bool:
    """Whether a column of this type stands to the right.

    >>> [is_number(kind) for kind in ("BIGINT", "DECIMAL(5,2)", "VARCHAR")]
    [True, True, False]
    """
    return _head(kind) in {"DECIMAL", "DOUBLE", "FLOAT"} or _head(kind).endswith("INT") or _head(kind) == "INTEGER"


def _head(kind: str) -> str:
    return kind.partition("(")[0] if not kind.endswith("[]") else "LIST"


def _interval(micros: int) -> timedelta:
    return timedelta(microseconds=micros)


_READERS: dict[str, Any] = {  # type → what reads how it travels
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "INTERVAL": _interval,
    "DECIMAL": Decimal,
    "UUID": UUID,
    "HUGEINT": int,
    "UHUGEINT": int,
    "UBIGINT": int,
}


def _package(name: str, extra: str, method: str) -> Any:  # a module
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        raise KernelKitError(
            f"Table.{method}() needs {name}, which is not installed here. Run `pip install 'kernelkit[{extra}]'`, or "
            "use table.rows and table.dicts()."
        ) from cause
