"""Loads the store's SQL, which lives in `sql/` and never in Python strings.

`sql/queries.sql` holds named statements (`-- name: …`), `sql/views.sql` those that people's queries stand on;
`sql/migrations/` holds numbered files that only go forward.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)


@cache
def statements() -> dict[str, str]:
    """All named statements.

    >>> statements()["counts"]
    'SELECT status, count(*) FROM history GROUP BY status'
    """
    return named((files("kernelkit.store") / "sql" / "queries.sql").read_text())


def named(text: str) -> dict[str, str]:
    """The statements of a file, by the names in it."""
    parts = _NAME.split(text)[1:]
    return {
        name: _COMMENT.sub("", text).strip().removesuffix(";")
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@cache
def migrations() -> dict[int, str]:
    """Migration number → SQL, in order; the highest number is the schema this code works with."""
    folder = files("kernelkit.store") / "sql" / "migrations"
    found = {int(file.name.partition("_")[0]): file.read_text() for file in folder.iterdir() if file.name[0].isdigit()}
    return dict(sorted(found.items()))
