"""Answers of queries as Python values, as text, and as other packages' tables."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from typing import Any

import pytest

from kernelkit.authoring.table import Table
from kernelkit.errors import KernelKitError

NOON = datetime(2027, 1, 1, 12, 0, 0, 5_000, tzinfo=UTC)


def table(**changes: Any) -> Table:
    given: dict[str, Any] = {
        "columns": ("task", "n", "at"),
        "types": ("VARCHAR", "BIGINT", "TIMESTAMP"),
        "rows": [("resize", 7, NOON), ("a\nlong " + "x" * 60, 12345, None)],
    }
    return Table(**(given | changes))


def test_a_table_is_a_row_of_rows() -> None:
    made = table()

    assert (len(made), made[0], made[0:1]) == (2, ("resize", 7, NOON), (("resize", 7, NOON),))
    assert made.dicts()[0] == {"task": "resize", "n": 7, "at": NOON}


def test_the_text_shows_figures_to_the_right_and_cuts_what_is_long() -> None:
    assert repr(table()) == (
        "task                                      n      at\n"
        "resize                                        7  2027-01-01 12:00:00.005\n"
        "a long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  12345  –\n"
        "(2 rows)"
    )


def test_the_text_says_what_it_leaves_out() -> None:
    many = table(columns=("n",), types=("BIGINT",), rows=[(n,) for n in range(30)])
    more = table(rows=[("a", 1, None)], has_more=True)

    assert repr(many).endswith("   19\n(30 rows, 20 shown)") or repr(many).endswith("19\n(30 rows, 20 shown)")
    assert repr(more).endswith("(the first 1 row of more; narrow the query to see others)")
    assert repr(table(rows=[])) == "task  n  at\n(0 rows)"


def test_a_data_frame_has_the_columns() -> None:
    pytest.importorskip("pandas")
    frame = table().df()

    assert list(frame.columns) == ["task", "n", "at"]
    assert frame["n"].sum() == 12352
    assert list(table(rows=[]).df().columns) == ["task", "n", "at"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(KernelKitError, match=r"df\(\) needs pandas.*kernelkit\[pandas\]"):
        table().df()
    with pytest.raises(KernelKitError, match=r"arrow\(\) needs pyarrow.*kernelkit\[arrow\]"):
        table().arrow()


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an extra")
def test_an_arrow_table_has_the_columns() -> None:
    assert table().arrow().column_names == ["task", "n", "at"]
