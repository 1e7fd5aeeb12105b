"""A token and a table of tokens: one view each, text and HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import kernelkit as kk
from kernelkit.clock import from_datetime
from kernelkit.models.value import Value
from kernelkit.models.wait import Token
from kernelkit.testing import engine
from kernelkit.ui import bundles
from kernelkit.ui.tokens import (
    EMPTY,
    token_html,
    token_row,
    token_text,
    tokens_html,
    tokens_table,
    tokens_text,
)

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def micros(text: str) -> int:
    return from_datetime(datetime.fromisoformat(f"2027-01-{text}+00:00"))


OPEN = Token("waitpoint_1", micros("04T10:00"), name="deploy<b>", tags=("a", "b"), timeout_at=micros("05T00:00"))
OVER = Token(
    "waitpoint_2",
    micros("04T09:00"),
    status="COMPLETED",
    completed_at=micros("04T11:30"),
    value=Value(text='{"approved":true,"by":"<i>"}', size=28),
)
LATE = Token("waitpoint_3", micros("03T09:00"), status="TIMED_OUT", completed_at=micros("03T11:30"))


def test_the_table_says_until_when_or_since_when() -> None:
    text = tokens_text(tokens_table([OPEN, OVER, LATE], now=NOW, zone=BERLIN, total=7, has_more=True), width=160)

    head, first, second, third, count = text.splitlines()
    assert head.split() == ["STATUS", "NAME", "TAGS", "CREATED", "UNTIL", "TOKEN"]
    assert first.startswith("waiting") and "deploy<b>" in first and "a b" in first and first.endswith("waitpoint_1")
    assert second.startswith("completed") and "12:30" in second
    assert third.startswith("timed out")
    assert count.startswith("the newest 3 of 7 tokens, times in ")


def test_a_narrow_table_cuts_tags_and_names_and_never_the_id() -> None:
    long = Token("waitpoint_4", micros("04T10:00"), name="n" * 90, tags=("t" * 90,))

    text = tokens_text(tokens_table([long], now=NOW, zone=BERLIN, total=1), width=80)

    assert text.splitlines()[1].endswith("waitpoint_4") and "…" in text
    assert len(text.splitlines()[1]) <= 80
    assert text.splitlines()[2].startswith("1 token, ")


def test_html_escapes_what_people_wrote() -> None:
    table = tokens_html(tokens_table([OPEN], now=NOW, zone=BERLIN, total=1))
    one = token_html(token_row(OVER, now=NOW, zone=BERLIN))

    assert "deploy&lt;b&gt;" in table and "<b>" not in table
    assert "&lt;i&gt;" in one and "<i>" not in one


def test_an_open_token_says_how_it_is_completed_and_an_ended_one_with_what() -> None:
    waiting, over, late = (token_text(token_row(each, now=NOW, zone=BERLIN)) for each in (OPEN, OVER, LATE))

    assert "token waitpoint_1: waiting" in waiting and 'kk.tokens.complete("waitpoint_1", …)' in waiting
    assert "times out" in waiting
    assert '"approved": true' in over and "complete(" not in over
    assert late.splitlines()[0] == "token waitpoint_3: timed out"


def test_no_tokens_are_told() -> None:
    empty = tokens_table([], now=NOW, zone=BERLIN, total=0)

    assert tokens_text(empty) == EMPTY
    assert EMPTY.split("(")[0] in tokens_html(empty)


def test_tokens_show_themselves_as_they_are_now() -> None:
    with engine():
        token = kk.tokens.create(tags=["shown"])
        before = bundles.token_bundle(token)
        kk.tokens.complete(token.id, [1, 2])
        after = bundles.token_bundle(token)
        listed = bundles.tokens_bundle(kk.tokens.list(tag="shown"))

    assert "waiting" in str(before["text/plain"])
    assert "[1, 2]" in str(after["text/plain"]) and "completed" in str(after["text/html"])
    assert token.id in str(listed["text/plain"]) and token.id in str(listed["text/html"])
