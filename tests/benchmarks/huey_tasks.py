"""The peer's task: huey on SQLite that flushes to disk (WAL, synchronous=FULL). Its consumer imports this too."""

from __future__ import annotations

import os
from typing import Any

from huey import SqliteHuey

FILE = "HUEY_FILE"

huey = SqliteHuey("benchmark", filename=os.environ.get(FILE, ":memory:"), fsync=True)


@huey.task()  # type: ignore[untyped-decorator]  # huey has no types
def noop(payload: dict[str, Any]) -> list[int]:
    """The same nothing as ours."""
    return [payload["n"], os.getpid()]
