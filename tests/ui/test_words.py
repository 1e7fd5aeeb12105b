from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from kernelkit.models.run import Attempt, RunStatus
from kernelkit.ui import words
from tests.ui import samples


def test_every_status_has_a_word_a_sign_of_one_cell_and_an_ascii_sign() -> None:
    assert set(words.STATUSES) == {status.value for status in RunStatus} | {words.RETRYING}
    for told in words.STATUSES.values():
        assert words.cells(told.sign) == 1
        assert told.ascii.isascii()


def test_a_run_between_attempts_is_retrying_and_otherwise_what_its_status_says() -> None:
    between = samples.retrying()
    again = msgspec.structs.replace(
        between, status=RunStatus.EXECUTING, attempts=(*between.attempts, Attempt(3, "EXECUTING"))
    )
    over = msgspec.structs.replace(between, status=RunStatus.CANCELED)
    assert words.shown_status(between) == "RETRYING"
    assert words.shown_status(msgspec.structs.replace(between, status=RunStatus.EXECUTING)) == "RETRYING"
    assert words.shown_status(again) == "EXECUTING"
    assert words.shown_status(over) == "CANCELED"
    assert words.shown_status(samples.queued()) == "QUEUED"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "00:00"), (59.9, "00:59"), (3599, "59:59"), (3600, "1:00:00"), (151_200, "1 d 18 h"), (-5, "00:00")],
)
def test_durations_tick_in_reserved_widths(seconds: float, told: str) -> None:
    assert words.ticking(seconds) == told


def test_a_duration_that_rounds_to_a_second_is_no_longer_told_in_milliseconds() -> None:
    assert words.ended(timedelta(milliseconds=999)) == "999 ms"
    assert words.ended(timedelta(milliseconds=999.9)) == "00:00" or words.ended(timedelta(seconds=1)) == "00:01"


def test_moments_say_as_much_as_the_day_asks_for() -> None:
    now, zone = samples.NOW, samples.BERLIN
    assert words.moment(samples.at("14:31:07"), now, zone) == "14:31:07"
    assert words.moment(samples.at("15:04:00", day=20), now, zone) == "Fri 15:04"
    assert words.moment(samples.at("15:04:00", day=12), now, zone) == "12 Nov 15:04"
    assert words.moment(datetime(2025, 1, 2, 3, 4, tzinfo=UTC), now, zone) == "2 Jan 2025 04:04"


def test_numbers_take_commas_and_odd_ones_take_words() -> None:
    assert words.number(0) == "0"
    assert words.number(float("nan")) == "not a number"
    assert words.number(float("-inf")) == "−∞"
    assert words.number(10**30) == "1e+30"
    assert words.short_value(None) == "–"
    assert words.short_value(True) == "yes"


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("safe\u202eevil", "safeevil"),
        ("nul\x00 bell\x07", "nul bell"),
        ("10%\r 50%\r100%", "100%"),
        ("lone \ud800", "lone �"),
    ],
)
def test_what_would_steer_a_terminal_or_turn_a_line_around_is_taken_out(hostile: str, left: str) -> None:
    assert words.clean(hostile) == left


def test_text_is_cut_by_cells_so_that_wide_characters_keep_the_columns() -> None:
    assert words.cells("日本") == 4
    assert words.cut("日本語", 5) == "日本…"
    assert words.cells(words.cut("日本語文字", 6)) <= 6


def test_what_a_block_leaves_out_is_known() -> None:
    assert words.cut_block("a\nb\nc", max_lines=2) == ("a\nb", True)
    shown, is_cut = words.cut_block("ü" * 3000)
    assert is_cut
    assert len(shown.encode()) <= 2000


def test_the_zone_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert words.zone_name(words.local_zone(), samples.NOW) == "Europe/Berlin"
    monkeypatch.setenv("TZ", "Nowhere/Atlantis")
    assert words.zone_name(words.local_zone(), samples.NOW)
