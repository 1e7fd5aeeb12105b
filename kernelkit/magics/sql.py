"""What `%%kksql` does: a query in a cell, shown, or kept under a name."""

from __future__ import annotations

import re

from kernelkit.authoring.sql import sql
from kernelkit.authoring.table import Table
from kernelkit.errors import InvalidOptionError

_NAME = re.compile(r"(\w+)\s*<<")


def ask(line: str, cell: str) -> tuple[str, Table]:
    """The name to keep the answer under ("" = show it), and the answer.

    Raises `InvalidOptionError` for a line that is no `name <<`, and `SqlError` for the query.
    """
    given = _NAME.fullmatch(line.strip())
    if line.strip() and (given is None or not given[1].isidentifier()):
        raise InvalidOptionError(
            f"`%%kksql {line.strip()}` is not understood. The line is empty, or `name <<` to keep the answer.",
            field="line",
        )
    return (given[1] if given else ""), sql(cell)
