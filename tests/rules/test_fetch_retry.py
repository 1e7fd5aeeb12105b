from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kernelkit.errors import InvalidOptionError
from kernelkit.models.task import RetryPolicy
from kernelkit.rules.fetch_retry import (
    FetchRules,
    IfBody,
    UntilReset,
    check_key,
    matches,
    reset_moment,
    strategy_of,
    wait_after,
    wait_after_status,
)

NOW = datetime(2027, 1, 1, tzinfo=UTC)
PLAIN = RetryPolicy(max_attempts=4, min_timeout=1.0, randomize=False)


@pytest.mark.parametrize(
    ("key", "hit", "miss"),
    [
        ("429", [429], [428, 500]),
        ("500-502", [500, 501, 502], [499, 503]),
        ("5xx", [500, 599], [499, 600]),
        ("42X", [420, 429], [419, 430]),
        ("429,408, 409,5xx", [429, 408, 409, 503], [404, 200]),
        ("all", [200, 404, 503], []),
    ],
)
def test_31_3_a_key_names_codes_ranges_wildcards_and_lists(key: str, hit: list[int], miss: list[int]) -> None:
    assert check_key(key) == key
    assert all(matches(key, status) for status in hit)
    assert not any(matches(key, status) for status in miss)


@pytest.mark.parametrize("key", ["", "42", "5x5", "500-", "server errors", "429,", "5000"])
def test_a_key_that_names_nothing_is_refused(key: str) -> None:
    with pytest.raises(InvalidOptionError, match="names no statuses"):
        check_key(key)


def test_31_3_the_first_key_that_fits_counts() -> None:
    first, second = RetryPolicy(max_attempts=2), RetryPolicy(max_attempts=9)

    assert strategy_of({"503": first, "5xx": second}, 503) is first
    assert strategy_of({"503": None, "5xx": second}, 503) is None
    assert strategy_of({"503": first, "5xx": second}, 404) is None


def test_31_3_a_body_that_is_no_json_fits_no_filter() -> None:
    by_status = {"503": IfBody(PLAIN, lambda _: True), "all": None}

    assert strategy_of(by_status, 503, b'{"any": 1}') is PLAIN
    assert [strategy_of(by_status, 503, body) for body in (b"", b"<html>", b"\xff")] == [None, None, None]


@pytest.mark.parametrize(
    ("text", "form", "seconds"),
    [
        ("1798761660", "unix_timestamp", 60),
        ("1798761660.5", "unix_timestamp", 60.5),
        ("1798761660000", "unix_timestamp_in_ms", 60),
        ("2027-01-01T00:01:00Z", "iso_8601", 60),
        ("2027-01-01T01:01:00+01:00", "iso_8601", 60),
        ("2027-01-01T00:01:00", "iso_8601", 60),
        ("1s", "iso_8601_duration_openai_variant", 1),
        ("6m0s", "iso_8601_duration_openai_variant", 360),
        ("20ms", "iso_8601_duration_openai_variant", 0.02),
        ("1d2h3m4s", "iso_8601_duration_openai_variant", 93_784),
        ("8.64s", "iso_8601_duration_openai_variant", 8.64),
    ],
)
def test_31_3_a_reset_header_is_read_in_its_format(text: str, form: str, seconds: float) -> None:
    moment = reset_moment(text, form, NOW)  # type: ignore[arg-type]  # each is one of the formats

    assert moment is not None
    assert moment - NOW.timestamp() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (None, "unix_timestamp"),
        ("", "iso_8601_duration_openai_variant"),
        ("soon", "unix_timestamp_in_ms"),
        ("-5", "unix_timestamp"),
        ("tomorrow", "iso_8601"),
        ("3 hours", "iso_8601_duration_openai_variant"),
    ],
)
def test_a_header_that_cannot_be_read_names_no_moment(text: str | None, form: str) -> None:
    assert reset_moment(text, form, NOW) is None  # type: ignore[arg-type]  # as above


def test_waits_grow_and_end_with_the_policy_or_with_all_tries() -> None:
    rules = FetchRules({"5xx": PLAIN}, timeout=None, connection_error=None)
    few = FetchRules({"5xx": PLAIN}, timeout=None, connection_error=None, max_tries=2)

    waits = [wait_after_status(rules, 503, {}, tries=n, now=NOW, jitter=0.0) for n in (1, 2, 3, 4)]

    assert waits == [1.0, 2.0, 4.0, None]
    assert wait_after_status(rules, 404, {}, tries=1, now=NOW, jitter=0.0) is None
    assert wait_after_status(few, 503, {}, tries=2, now=NOW, jitter=0.0) is None
    assert wait_after(rules, None, tries=1, jitter=0.0) is None


def test_31_2_no_rule_gets_past_ten_tries() -> None:
    endless = FetchRules({"all": RetryPolicy(max_attempts=250)}, timeout=None, connection_error=None)
    by_header = FetchRules({"all": UntilReset("reset", "unix_timestamp")}, timeout=None, connection_error=None)
    headers = {"reset": str(NOW.timestamp() + 3)}

    for rules in (endless, by_header):
        assert wait_after_status(rules, 503, headers, tries=9, now=NOW, jitter=0.0) is not None
        assert wait_after_status(rules, 503, headers, tries=10, now=NOW, jitter=0.0) is None


def test_31_3_a_reset_that_is_past_means_at_once_and_a_missing_one_means_no_more() -> None:
    rules = FetchRules({"429": UntilReset("reset", "unix_timestamp")}, timeout=None, connection_error=None)

    def wait(headers: dict[str, str]) -> float | None:
        return wait_after_status(rules, 429, headers, tries=1, now=NOW, jitter=0.0)

    assert wait({"reset": str(NOW.timestamp() - 60)}) == 0.0
    assert wait({"reset": str(NOW.timestamp() + 60)}) == 60.0
    assert wait({}) is None
