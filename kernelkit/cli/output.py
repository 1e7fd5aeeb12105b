"""Prints for programs (`--json`) and for people (plain tables), and nothing else.

JSON has every field of a value, set or not, so that a script never has to ask whether a key is there. NaN and infinity,
which JSON lacks, become null.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from kernelkit.models.run import Run


def print_json(value: object) -> None:
    """One JSON document, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(plain(value)), indent=2))


def plain(value: object) -> Any:  # any JSON value
    """`value` as dicts, lists, numbers and text, with every field of a struct.

    >>> from kernelkit.models.error import Frame
    >>> plain(Frame(file="a.py", line=1, function="f"))["source"]
    ''
    """
    match value:
        case Run():
            fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__ if name[-5:] != "_json"}
            return fields | {"payload": value.payload, "output": value.output, "metadata": value.metadata}
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case Path():
            return str(value)
        case datetime():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under upper-case heads, two spaces apart.

    >>> print(table(["task", "queue"], [["resize", "images"]]))
    TASK    QUEUE
    resize  images
    """
    lines = [[head.upper() for head in heads], *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def terminal_width() -> int:
    """Columns of the terminal, at most 120; 80 where there is none."""
    return min(120, shutil.get_terminal_size((80, 24)).columns)
