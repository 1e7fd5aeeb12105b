from __future__ import annotations

import datetime
import decimal
import inspect
import math
import pathlib
import typing
import uuid
from typing import Any

import pytest

from kernelkit.authoring.parameters import Computed, Parameters, read_parameters
from kernelkit.errors import TaskDefinitionError


def read(*sources: str) -> Parameters:
    """Parameters of a notebook whose last cell is the tagged one."""
    cells: list[dict[str, Any]] = [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    cells[-1]["metadata"]["tags"] = ["parameters"]
    return read_parameters(cells, what="daily.ipynb")


def hints(*sources: str) -> dict[str, Any]:
    return {parameter.name: parameter.hint for parameter in read(*sources)}


def defaults(*sources: str) -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in read(*sources)}


def test_a_default_gives_the_type_where_no_annotation_does() -> None:
    found = hints("a = 1\nb = 'x'\nc = 0.5\nd = True\ne = None\nf = [1]\ng = {'a': 1}\nh = -3")

    assert found == {"a": int, "b": str, "c": float, "d": bool, "e": Any, "f": list, "g": dict, "h": int}


def test_an_annotation_or_a_type_comment_says_the_type() -> None:
    found = hints("a: float = 1\nb: list[int] | None = None\nc: str\nd = 1  # type: float\ne = 2  # type: how many")

    assert found == {"a": float, "b": list[int] | None, "c": str, "d": float, "e": int}


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("day: dt.date = dt.date(2024, 1, 1)", datetime.date),
        ("at: 'dt.datetime' = None", datetime.datetime),
        ("price: Decimal = Decimal('1')", decimal.Decimal),
        ("kind: Literal['a', 'b'] = 'a'", typing.Literal["a", "b"]),
        ("rows: Optional[Dict[str, int]] = None", typing.Optional[typing.Dict[str, int]]),  # noqa: UP006, UP045
        ("pair: tuple[int, ...] = ()", tuple[int, ...]),
        ("frame: pd.DataFrame = None", Any),
        ("module: dt = None", Any),
        ("odd: list[5] = None", Any),
        ("call: load() = None", Any),
    ],
)
def test_types_are_known_by_the_names_the_notebook_gives_them(line: str, hint: Any) -> None:
    imports = "import datetime as dt\nimport pandas as pd\nfrom decimal import Decimal\nfrom typing import *"
    imports += "\nfrom typing import Dict, Literal, Optional"

    assert next(iter(hints(imports, line).values())) == hint


def test_what_only_the_notebook_can_compute_is_a_default_that_is_not_computed() -> None:
    found = defaults("today = date.today()\nname: str")

    assert isinstance(found["today"], Computed) and repr(found["today"]) == "date.today()"
    assert found["name"] is inspect.Parameter.empty


def test_several_names_in_one_line_private_names_and_other_statements() -> None:
    found = defaults("a = b = 1\nc, d = 'x', 'y'\n_hidden = 3\nimport os\nprint(a)\nx.y = 4\n%matplotlib inline")

    assert found == {"a": 1, "b": 1, "c": "x", "d": "y"}


def test_without_a_tagged_cell_there_are_none() -> None:
    assert list(read_parameters([{"cell_type": "code", "metadata": {}, "source": "a = 1"}], what="x.ipynb")) == []


def test_a_cell_that_is_no_python_is_refused_with_its_line() -> None:
    with pytest.raises(TaskDefinitionError, match=r"'parameters' of daily\.ipynb cannot be read as Python: line 2"):
        read("a = 1\nb = = 2")


def test_a_name_that_a_task_uses_itself_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match=r"'signal' of daily\.ipynb"):
        read("signal = 1")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        -0.5,
        'it\'s "quoted"\n',
        [1, "a", [None]],
        {"a": {"b": 1.5}, "c": []},
        (1,),
        (),
        {1, 2},
        set(),
        float("inf"),
        datetime.date(2026, 2, 3),
        datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC),
        datetime.time(9, 30),
        datetime.timedelta(days=-1, microseconds=5),
        decimal.Decimal("1.10"),
        uuid.UUID(int=5),
        pathlib.Path("/data"),
    ],
)
def test_the_injected_cell_assigns_the_same_value(value: Any) -> None:
    namespace: dict[str, Any] = {"dt": datetime, "Decimal": decimal.Decimal}

    exec(Parameters((), namespace).code({"it": value}), namespace)

    assert (namespace["it"], type(namespace["it"])) == (value, type(value))


def test_nan_is_injected_too() -> None:
    namespace: dict[str, Any] = {}

    exec(Parameters((), {}).code({"it": [math.nan]}), namespace)

    assert math.isnan(namespace["it"][0])


def test_types_are_written_by_the_names_the_notebook_gives_them() -> None:
    found = read("import datetime as dt", "day: dt.date = None")

    assert found.code({"day": datetime.date(2026, 2, 3)}).splitlines()[1] == "day = dt.date.fromisoformat('2026-02-03')"
