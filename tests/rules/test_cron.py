"""Which local minutes an expression names, and which expressions are refused with which words."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from kernelkit.errors import InvalidCronError
from kernelkit.rules.cron import DAY, NAMES, cron_of, plain_form


def minute_of(moment: datetime) -> int:
    return moment.toordinal() * DAY + moment.hour * 60 + moment.minute


def moments(text: str, start: datetime, count: int = 3) -> list[str]:
    cron, at, found = cron_of(text), minute_of(start), []
    for _ in range(count):
        minute = cron.next(at)
        assert minute is not None
        found.append(f"{date.fromordinal(minute // DAY):%Y-%m-%d %a} {minute % DAY // 60:02}:{minute % 60:02}")
        at = minute + 1
    return found


START = datetime(2027, 1, 1)  # a Friday

TABLE = {
    "0 9 * * 1-5": ["2027-01-01 Fri 09:00", "2027-01-04 Mon 09:00", "2027-01-05 Tue 09:00"],
    "0 9 * * MON-FRI": ["2027-01-01 Fri 09:00", "2027-01-04 Mon 09:00", "2027-01-05 Tue 09:00"],
    "*/20 8-9 * * *": ["2027-01-01 Fri 08:00", "2027-01-01 Fri 08:20", "2027-01-01 Fri 08:40"],
    "5/25 0 * * *": ["2027-01-01 Fri 00:05", "2027-01-01 Fri 00:30", "2027-01-01 Fri 00:55"],
    "10-40/15 0 * * *": ["2027-01-01 Fri 00:10", "2027-01-01 Fri 00:25", "2027-01-01 Fri 00:40"],
    "1,3,59 0 1 * *": ["2027-01-01 Fri 00:01", "2027-01-01 Fri 00:03", "2027-01-01 Fri 00:59"],
    "0 0 * * 0": ["2027-01-03 Sun 00:00", "2027-01-10 Sun 00:00", "2027-01-17 Sun 00:00"],
    "0 0 * * 7": ["2027-01-03 Sun 00:00", "2027-01-10 Sun 00:00", "2027-01-17 Sun 00:00"],
    "0 0 * * sun": ["2027-01-03 Sun 00:00", "2027-01-10 Sun 00:00", "2027-01-17 Sun 00:00"],
    "0 0 * * fri-sun": ["2027-01-01 Fri 00:00", "2027-01-02 Sat 00:00", "2027-01-03 Sun 00:00"],
    "0 22-1 * * *": ["2027-01-01 Fri 00:00", "2027-01-01 Fri 01:00", "2027-01-01 Fri 22:00"],
    "0 0 L * *": ["2027-01-31 Sun 00:00", "2027-02-28 Sun 00:00", "2027-03-31 Wed 00:00"],
    "0 0 * * 5L": ["2027-01-29 Fri 00:00", "2027-02-26 Fri 00:00", "2027-03-26 Fri 00:00"],
    "0 0 * * L5": ["2027-01-29 Fri 00:00", "2027-02-26 Fri 00:00", "2027-03-26 Fri 00:00"],
    "0 0 * * friL": ["2027-01-29 Fri 00:00", "2027-02-26 Fri 00:00", "2027-03-26 Fri 00:00"],
    "0 0 * * 7L": ["2027-01-31 Sun 00:00", "2027-02-28 Sun 00:00", "2027-03-28 Sun 00:00"],
    "0 0 * * 5#2": ["2027-01-08 Fri 00:00", "2027-02-12 Fri 00:00", "2027-03-12 Fri 00:00"],
    "0 0 29 2 *": ["2028-02-29 Tue 00:00", "2032-02-29 Sun 00:00", "2036-02-29 Fri 00:00"],
    "0 0 13 * 5": ["2027-01-01 Fri 00:00", "2027-01-08 Fri 00:00", "2027-01-13 Wed 00:00"],
    "0 12 1 jan,jul *": ["2027-01-01 Fri 12:00", "2027-07-01 Thu 12:00", "2028-01-01 Sat 12:00"],
    "@hourly": ["2027-01-01 Fri 00:00", "2027-01-01 Fri 01:00", "2027-01-01 Fri 02:00"],
    "@daily": ["2027-01-01 Fri 00:00", "2027-01-02 Sat 00:00", "2027-01-03 Sun 00:00"],
    "@midnight": ["2027-01-01 Fri 00:00", "2027-01-02 Sat 00:00", "2027-01-03 Sun 00:00"],
    "@weekly": ["2027-01-03 Sun 00:00", "2027-01-10 Sun 00:00", "2027-01-17 Sun 00:00"],
    "@monthly": ["2027-01-01 Fri 00:00", "2027-02-01 Mon 00:00", "2027-03-01 Mon 00:00"],
    "@yearly": ["2027-01-01 Fri 00:00", "2028-01-01 Sat 00:00", "2029-01-01 Mon 00:00"],
    "@annually": ["2027-01-01 Fri 00:00", "2028-01-01 Sat 00:00", "2029-01-01 Mon 00:00"],
    "  0   0 1 * * ": ["2027-01-01 Fri 00:00", "2027-02-01 Mon 00:00", "2027-03-01 Mon 00:00"],
}


@pytest.mark.parametrize("text", TABLE)
def test_an_expression_names_these_local_times(text: str) -> None:
    assert moments(text, START) == TABLE[text]


def test_every_name_for_a_whole_expression_is_in_the_table() -> None:
    assert set(NAMES) <= set(TABLE)


REFUSED = {
    "* * * * * *": "it has 6 fields, and seconds or years are not possible",
    "0 0 1 1 * 2027 *": "it has 7 fields, and seconds or years are not possible",
    "0 0 * *": "it has 4 field(s) instead of five: minute, hour",
    "": "it is no text of five fields",
    "0 0 30 2 *": "no such day ever comes",
    "0 0 31 2,4,6,9,11 *": "no such day ever comes",
    "60 * * * *": "a number in it is out of range (minute 0-59",
    "0 24 * * *": "a number in it is out of range",
    "0 0 0 * *": "a number in it is out of range",
    "0 0 * 13 *": "a number in it is out of range",
    "0 0 * * 8": "a number in it is out of range",
    "*/90 * * * *": "a step of 90 in the minute never gets to a second value: there, steps go up to 59",
    "0 */24 * * *": "a step of 24 in the hour never gets to a second value",
    "*/0 * * * *": "it cannot be read as a cron expression",
    "1,,2 * * * *": "it cannot be read as a cron expression",
    "0 0 ? * *": "'?' as day of month is not understood. For any value write *",
    "0 0 15w * *": "'15w' as day of month is not understood",
    "h h * * *": "'h' as minute is not understood",
    "r * * * *": "'r' as minute is not understood",
    "0 0 * * foo": "'foo' as day of week is not understood",
    "0 0 * * 1-5,5L": "days of the week and a last or nth one (5L, 5#2) cannot stand together",
    "@reboot": "the names are @hourly, @daily",
    "@every 5m": "the names are @hourly, @daily",
    "٣ * * * *": "'٣' as minute is not understood",
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_expression_is_refused_with_words(text: str) -> None:
    with pytest.raises(InvalidCronError) as refused:
        cron_of(text)

    assert REFUSED[text] in str(refused.value)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["* * * * *", "*/7 3-5 * * *", "0 9 * * 1-5", "0 0 L * *", "30 8,17 1,15 * 3"])
def test_counting_is_the_same_as_walking(text: str) -> None:
    cron = cron_of(text)
    start = minute_of(datetime(2027, 1, 30, 8, 30))
    ends = [start, start + 1, start + 61, start + 1_440, start + 3 * 1_440 + 7, start + 75 * 1_440]

    for end in ends:
        walked, at = 0, cron.next(start)
        while at is not None and at < end:
            walked, at = walked + 1, cron.next(at + 1)
        assert cron.count(start, end) == walked


def test_after_the_last_year_nothing_comes() -> None:
    assert cron_of("* * * * *").next(minute_of(datetime(2100, 1, 1))) is None
    assert cron_of("0 0 1 1 *").next(minute_of(datetime(2099, 1, 2))) is None


@pytest.mark.parametrize(("text", "fixed"), [("30 2 * * *", True), ("0,30 1,2 * * 1-5", True), ("@daily", True)])
def test_fixed_times_have_no_star_range_or_step_in_minute_and_hour(text: str, fixed: bool) -> None:
    assert cron_of(text).is_fixed is fixed
    for other in ("* 2 * * *", "0 * * * *", "0-5 2 * * *", "0 1-3 * * *", "5/10 2 * * *", "@hourly"):
        assert not cron_of(other).is_fixed


def test_the_plain_form_is_what_others_read() -> None:
    assert plain_form("@weekly") == "0 0 * * 0"
    assert plain_form("0 9 * * L5") == "0 9 * * 5l"
