"""Messages about the store as tables: SQL over the documented views, and files of it."""

from __future__ import annotations

from typing import Any, Literal

from kernelkit.models.filter import RunFilter
from kernelkit.wire.messages.message import Message


class Sql(Message, frozen=True):
    """→ `TableReply`: the answer of one SELECT over the documented views."""

    text: str
    timeout_s: float = 30.0
    limit: int = 100_000


class TableReply(Message, frozen=True):
    """Rows as MessagePack carries them; `types` are DuckDB's names, by which some values are read from text."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    has_more: bool = False


class Export(Message, frozen=True):
    """→ `Exported`: write the runs that match to a file; whoever asked moves it away."""

    where: RunFilter
    name: str
    kind: Literal["parquet", "csv", "json"] = "parquet"


class Exported(Message, frozen=True):
    path: str
    runs: int
