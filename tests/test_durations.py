from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from kernelkit.durations import to_seconds
from kernelkit.errors import InvalidDurationError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (1.5, 1.5),
        (timedelta(minutes=2), 120.0),
        ("30s", 30.0),
        ("1h30m", 5_400.0),
        ("2hr", 7_200.0),
        ("1w2d3h4m5s", 788_645.0),
        (" 5m ", 300.0),
    ],
)
def test_every_form_of_a_duration_is_read(value: Any, seconds: float) -> None:
    assert to_seconds(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        -1,
        timedelta(seconds=-1),
        float("nan"),
        True,
        None,
        "",
        "5",
        "5 m",
        "1.5h",
        "-5s",
        "5x",
        "1h1h",
        "1h2hr",
        "٣s",
        "1s" * 60,
        [5],
    ],
)
def test_what_is_no_duration_is_refused_with_the_field_and_the_forms_there_are(value: Any) -> None:
    with pytest.raises(InvalidDurationError, match=r"ttl=.* is not a duration\. Give .*'1h30m'") as caught:
        to_seconds(value, field="ttl")

    assert caught.value.field == "ttl"


@pytest.mark.parametrize("value", [float("inf"), 10**400, "36501d", "9" * 99 + "s", timedelta.max, 36_500 * 86_400 + 1])
def test_a_duration_that_leads_past_every_calendar_is_refused(value: Any) -> None:
    with pytest.raises(InvalidDurationError, match=r"delay=.* is longer than 36,500 days\. Give .*'1h30m'") as caught:
        to_seconds(value, field="delay")

    assert len(caught.value.message) < 300


def test_the_longest_duration_there_is() -> None:
    assert to_seconds("36500d") == 36_500 * 86_400


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float32, np.float64])
def test_a_number_out_of_a_table_is_a_number(kind: Any) -> None:
    assert to_seconds(kind(90)) == 90
    assert type(to_seconds(kind(90))) is float


@pytest.mark.parametrize("value", [np.timedelta64(5, "ns"), np.bool_(True), np.array([5]), np.array(5)[None]])
def test_what_only_looks_like_a_number_is_none(value: Any) -> None:
    with pytest.raises(InvalidDurationError, match="is not a duration"):
        to_seconds(value)
