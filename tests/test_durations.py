from __future__ import annotations

from datetime import timedelta
from typing import Any

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
        float("inf"),
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
        "1s" * 60,
        [5],
    ],
)
def test_what_is_no_duration_is_refused_with_the_field_and_the_forms_there_are(value: Any) -> None:
    with pytest.raises(InvalidDurationError, match=r"ttl=.* is not a duration\. Give .*'1h30m'") as caught:
        to_seconds(value, field="ttl")

    assert caught.value.field == "ttl"
