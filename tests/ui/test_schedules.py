"""The table of schedules: one view, text and HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kernelkit.clock import from_datetime
from kernelkit.models.schedule import Schedule, Timing
from kernelkit.ui.schedules import EMPTY, schedules_html, schedules_table, schedules_text

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def micros(text: str) -> int:
    return from_datetime(datetime.fromisoformat(f"2027-01-{text}+00:00"))


ON = Schedule(
    "sched_1",
    "report<b>",
    Timing("0 9 * * 1-5", "Asia/Tokyo"),
    next_at=micros("05T00:00"),
    last_slot=micros("04T00:00"),
    last_status="COMPLETED",
    missed_count=12,
)
OFF = Schedule("sched_2", "mail", Timing("@daily"), active=False, external_id="u1")


def test_the_table_says_when_in_the_readers_zone_and_the_schedules_own() -> None:
    text = schedules_text(schedules_table([ON, OFF], now=NOW, zone=BERLIN, note="A note."), width=160)

    head, on, off, count, note = text.splitlines()
    assert head.split() == ["TASK", "WHEN", "NEXT", "LAST", "MISSED", "SCHEDULE"]
    assert "At 09:00, Monday through Friday in Asia/Tokyo  Tue 01:00 (09:00 there)" in on
    assert "01:00:00 Completed  12      sched_1" in on
    assert "At 00:00, for u1" in off
    assert "off; would be Tue 01:00 (00:00 there)" in off
    assert (count, note) == ("2 schedules, times in Europe/Berlin", "A note.")


def test_the_static_face_is_true_tomorrow_and_escapes() -> None:
    html = schedules_html(schedules_table([ON], now=NOW, zone=BERLIN))

    assert "Tue 5 Jan 2027, 01:00:00" in html
    assert "report&lt;b&gt;" in html
    assert "<code>0 9 * * 1-5</code>" in html


def test_without_schedules_it_says_how_to_make_one() -> None:
    table = schedules_table([], now=NOW, zone=UTC)

    assert schedules_text(table) == EMPTY
    assert EMPTY.replace("(…)", "(…)") in schedules_html(table)
