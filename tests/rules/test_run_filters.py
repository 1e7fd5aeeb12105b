"""Filters of runs: what people may give, and what they are told where it cannot match."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kernelkit.clock import from_datetime
from kernelkit.errors import InvalidDurationError, InvalidOptionError
from kernelkit.models.filter import RunFilter
from kernelkit.rules.run_filters import in_words, read_filter

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def read(**given: Any) -> RunFilter:
    return read_filter(given, "kk.runs.list")


class Named:
    id = "resize"
    name = "images"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status": "failed"}, RunFilter(status=("FAILED",))),
        ({"status": ["failed", "CRASHED", "failed"]}, RunFilter(status=("FAILED", "CRASHED"))),
        ({"task": Named(), "queue": [Named(), "slow"]}, RunFilter(task=("resize",), queue=("images", "slow"))),
        ({"machine": "Large-1x"}, RunFilter(machine=("large-1x",))),
        ({"is_test": False}, RunFilter(is_test=False)),
        ({"is_test": "yes"}, RunFilter(is_test=True)),
        ({"created_from": NOON}, RunFilter(created_from=from_datetime(NOON))),
        ({"created_to": "2027-01-01T13:00+01:00"}, RunFilter(created_to=from_datetime(NOON))),
        (
            {"created_from": NOON.astimezone(timezone(timedelta(hours=-5)))},
            RunFilter(created_from=from_datetime(NOON)),
        ),
        ({"period": "2h"}, RunFilter(period_s=7200.0)),
        ({"search": " INV-2290 "}, RunFilter(search="INV-2290")),
        ({"status": (), "task": None, "tag": "", "period": None}, RunFilter()),
    ],
)
def test_what_is_given_is_read(given: dict[str, Any], expected: RunFilter) -> None:
    assert read_filter(given, "kk.runs.list") == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"status": "failledd"}, "status='failledd' is no status. Did you mean FAILED?"),
        ({"machine": "large1x"}, "Did you mean large-1x?"),
        ({"state": "FAILED"}, "'state' is not an option of kk.runs.list. Did you mean 'status'?"),
        ({"is_test": "maybe"}, "neither True nor False"),
        ({"task": 3}, "task=3 is neither an id nor has one"),
        ({"created_from": datetime(2027, 1, 1)}, "has no time zone"),
        ({"created_from": "2027-01-01"}, "has no time zone"),
        ({"created_to": "tomorrow"}, "is no moment"),
        ({"created_to": 17}, "is no moment"),
        ({"period": "1h", "created_from": NOON}, "both say when to begin"),
        ({"period": 0}, "matches nothing"),
        ({"search": "  "}, "is no text to look for"),
        ({"search": 7}, "is no text to look for"),
        ({"created_from": NOON, "created_to": NOON}, "nothing can match"),
    ],
)
def test_what_cannot_match_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError, match=words.replace("?", r"\?")):
        read_filter(given, "kk.runs.list")


def test_a_period_is_a_duration() -> None:
    with pytest.raises(InvalidDurationError, match="period='soon'"):
        read(period="soon")


def test_a_period_becomes_a_moment_once() -> None:
    frozen = read(period="1m").frozen(now=100_000_000)

    assert (frozen.created_from, frozen.period_s) == (40_000_000, 0.0)
    assert frozen.frozen(now=900_000_000) == frozen


def test_only_a_filter_of_nothing_is_empty() -> None:
    assert RunFilter().is_empty
    assert not read(is_test=False).is_empty
    assert not read(period=1).is_empty


def test_a_caption_tells_every_filter() -> None:
    asked = read(status="failed", tag=["a", "b"], schedule="s", version="v", parent="p", created_to=NOON)

    assert in_words(asked) == (
        "status failed, tag a or b, schedule s, version v, parent p, created before 2027-01-01 12:00:00 UTC"
    )
