from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from kernelkit.errors import OutputNotSerializableError, PayloadNotSerializableError
from kernelkit.jsonvalues import decode, encode


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


class Model(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("ä\n", '"ä\\n"'),
        (datetime(2027, 1, 15, tzinfo=UTC), '"2027-01-15T00:00:00Z"'),
        (timedelta(seconds=90), '"PT1M30S"'),
        (Path("a/b"), '"a/b"'),
        (Decimal("1.50"), '"1.50"'),
        (Colour.RED, '"red"'),
        (Point(1, 2.5), '{"x":1,"y":2.5}'),
        (Model(name="Ada"), '{"name":"Ada"}'),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        ({"n": np.int8(1)}, '{"n":1}'),
    ],
)
def test_what_json_can_carry_is_written(value: Any, text: str) -> None:
    assert encode(value, what="the payload") == text


@pytest.mark.parametrize("value", [math.inf, -math.inf, {"x": [1, math.inf]}])
def test_infinities_survive_the_round_trip(value: Any) -> None:
    assert decode(encode(value, what="the payload")) == value


def test_nan_survives_the_round_trip() -> None:
    text = encode({"x": math.nan, "says": "NaN"}, what="the payload")

    assert math.isnan(decode(text)["x"])
    assert decode(text)["says"] == "NaN"
    assert math.isnan(decode(encode(np.float64("nan"), what="the payload")))


class Reading(BaseModel):
    x: float
    unit: str | None = None


@pydantic_dataclass
class Sample:
    x: float


@pytest.mark.parametrize("of", [Reading, Sample])
def test_floats_that_json_lacks_survive_inside_of_models(of: Callable[..., Any]) -> None:
    assert math.isnan(decode(encode(of(x=math.nan), what="the output"))["x"])
    assert decode(encode([of(x=-math.inf)], what="the output"))[0]["x"] == -math.inf
    assert math.isnan(decode(encode(RootModel[float](math.nan), what="the output")))


def test_none_stays_none_beside_them() -> None:
    assert encode(Reading(x=1.5), what="the output") == '{"x":1.5,"unit":null}'
    assert decode(encode([Reading(x=math.inf)], what="the output")) == [{"x": math.inf, "unit": None}]
    assert encode({"a": None}, what="the output") == '{"a":null}'


@pytest.mark.parametrize(
    "value",
    [
        {"$float": "abc"},
        {"$float": "1.5"},
        {"$float": "nan"},
        {"$float": ["nan"]},
        {"$float": {"$float": "inf"}},
        [{"$float": {"a": math.inf}}],
        {"$float": None},
        {"$float": "nan", "more": 1},
    ],
)
def test_a_persons_own_dict_that_looks_like_a_tag_survives_the_round_trip(value: Any) -> None:
    assert decode(encode(value, what="the payload")) == value


def test_text_from_elsewhere_that_looks_like_a_tag_is_left_as_it_is() -> None:
    assert decode('{"$float":"abc"}') == {"$float": "abc"}


@pytest.mark.parametrize("name", ["NaT", "NA"])
def test_what_pandas_writes_for_nothing_is_refused_with_the_fix(name: str) -> None:
    value = getattr(pytest.importorskip("pandas"), name)

    with pytest.raises(PayloadNotSerializableError, match=rf"it holds pandas\.{name}\b.*put None in its place\.$"):
        encode({"seen": [value]}, what="the payload")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), r"the output cannot be written as JSON: it holds a builtins\.object; convert it"),
        (np.arange(3), r"numpy\.ndarray.*pass its path, or convert a small one with \.tolist\(\)"),
        ({"deep": [lambda: None]}, "builtins.function"),
    ],
)
def test_what_it_cannot_is_refused_with_the_fix(value: Any, words: str) -> None:
    with pytest.raises(OutputNotSerializableError, match=words):
        encode(value, what="the output", error=OutputNotSerializableError)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(PayloadNotSerializableError, match="the payload cannot be written as JSON"):
        encode(loop, what="the payload")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$float"), inner),
)


@given(json_values)
def test_any_json_value_survives_the_round_trip(value: Any) -> None:
    assert decode(encode(value, what="the payload")) == value
