"""The timeline's view and its two faces without a widget."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from kernelkit.models.error import Error
from kernelkit.models.run import Attempt, AttemptStatus, Run, RunStatus
from kernelkit.models.span import Span, SpanKind
from kernelkit.models.wait import Waiting
from kernelkit.ui import words
from kernelkit.ui.timeline import Timeline, run_timeline, timeline_tree
from kernelkit.ui.timeline_faces import timeline_html, timeline_text
from tests.ui import samples
from tests.ui.test_tree import report

BEGIN = samples.at("14:30:00")


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def span(
    kind: SpanKind, begin: float, end: float | None, attempt: int = 0, outcome: AttemptStatus | None = None, **more: Any
) -> Span:
    return Span(kind, at(begin), None if end is None else at(end), attempt, outcome, **more)


TIMEOUT = Error("ReadTimeout", "no answer in 10 s")
RETRIED = (
    span("queued", 0, 6),
    span("executing", 6, 17, 1, "FAILED", error=TIMEOUT),
    span("backoff", 17, 25.2, 1),
    span("executing", 25.2, 36, 2, "FAILED", error=TIMEOUT),
    span("backoff", 36, 52.4, 2),
    span("queued", 52.4, 54),
    span("executing", 54, None, 3),
)


def run(**more: Any) -> Run:
    given: dict[str, Any] = {
        "id": "run_m4hh70sd",
        "task_id": "fetch-prices",
        "status": RunStatus.EXECUTING,
        "created_at": BEGIN,
        "started_at": at(6),
        "attempts": tuple(Attempt(n, "FAILED") for n in (1, 2, 3)),
        "queue": "q",
    }
    return Run(**given | more)


def drawn(
    runs: list[Run], spans: dict[str, tuple[Span, ...]], now: float = 74, *, is_tree: bool = False, max_rows: int = 40
) -> Timeline:
    tree = timeline_tree(runs, now=at(now), zone=samples.BERLIN, max_rows=max_rows)
    return run_timeline(tree, runs, spans, now=at(now), zone=samples.BERLIN, is_tree=is_tree)


def one(spans: tuple[Span, ...] = RETRIED, now: float = 74, **more: Any) -> Timeline:
    made = run(**more)
    return drawn([made], {made.id: spans}, now)


def test_each_span_says_what_it_was_and_in_whose_colour() -> None:
    shown = one()

    assert [(each.kind, each.begin, each.end, each.status, each.say) for each in shown.rows[0].spans] == [
        ("queued", 0, 6, "QUEUED", "queued"),
        ("executing", 6, 17, "FAILED", "failed"),
        ("backoff", 17, 25.2, "RETRYING", "backoff"),
        ("executing", 25.2, 36, "FAILED", "failed"),
        ("backoff", 36, 52.4, "RETRYING", "backoff"),
        ("queued", 52.4, 54, "QUEUED", "queued"),
        ("executing", 54, None, "EXECUTING", "executing"),
    ]
    assert shown.rows[0].spans[1].note == "ReadTimeout: no answer in 10 s"
    assert (shown.length, shown.offset, shown.is_final) == (74, 3600, False)


def test_a_wait_says_for_what_and_what_goes_on_says_why() -> None:
    waits = (Waiting("token", token_id="waitpoint_1", shown="approve", until=at(600)),)
    shown = one((span("executing", 0, 5, 1), span("waiting", 5, 9, 1, waiting_for=waits), span("queued", 9, None)),
                status=RunStatus.QUEUED, queued_reason="Queue mail: 1 of 1 running.")  # fmt: skip

    executed, waited, queued = shown.rows[0].spans
    assert executed.say == "executing until its wait"
    assert (waited.say, waited.note) == ("waits for token approve", "waitpoint_1, until 14:40:00 at most")
    assert queued.note == "queue mail: 1 of 1 running"


def test_many_children_are_a_pile_with_its_failures_below() -> None:
    shown = drawn(report(), {}, is_tree=True)

    assert [("  " * row.level) + row.name for row in shown.rows] == [
        "nightly-report",
        "  load-sales",
        "  embed-documents × 200",
        "    #17",
        "    #63",
        "    #118",
        "  summarize-region",
        "    ask-approval",
        "  send-mail",
    ]
    pile = shown.rows[2].spans[-1]
    assert (pile.kind, pile.end) == ("pile", None)
    assert "3 failed" in pile.say and "8 executing" in pile.say
    assert shown.rows[3].spans[-1].status == "FAILED"


def test_forty_rows_and_then_how_many_more() -> None:
    children = [
        run(id=f"run_{n:03}", task_id=f"t{n}", parent_id="run_m4hh70sd", root_id="run_m4hh70sd", created_at=at(n))
        for n in range(60)
    ]
    shown = drawn([run(), *children], {}, is_tree=True)

    assert (len(shown.rows), shown.hidden, shown.total) == (40, 21, 61)
    assert "21 more rows" in timeline_text(shown)
    assert "21 more rows" in timeline_html(shown)


def test_of_a_very_long_story_the_earlier_part_is_one_span() -> None:
    many = tuple(span("waiting" if n % 2 else "executing", n, n + 1, 1) for n in range(500))
    shown = one(many, now=500).rows[0].spans

    assert (len(shown), shown[0].kind, shown[0].say, shown[0].end) == (121, "earlier", "380 earlier spans", 380)
    cut_off = one(many[100:], now=500).rows[0].spans
    assert (cut_off[0].begin, cut_off[0].say) == (0, "the time before")


def test_the_text_has_an_axis_a_bar_and_the_spans_in_words() -> None:
    head, axis, bar, *spans = timeline_text(one()).split("\n")

    assert head.startswith("▶ fetch-prices  Executing  run_m4hh70sd") and head.endswith("one column is 925 ms")
    assert axis.startswith("14:30:00 ") and axis.endswith("now 14:31:14")
    assert bar == "□□□□□□1██████████✗┄┄┄┄┄┄┄┄┄2██████████✗┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄□□3████████████████████▶"
    assert spans[1] == "  14:30:06    11.0 s  ✗ attempt 1 failed  ReadTimeout: no answer in 10 s"
    assert spans[-1] == "  14:30:54    20.0 s  ▶ attempt 3 executing"


def test_the_text_of_a_tree_is_a_row_a_run() -> None:
    lines = timeline_text(drawn(report(), {}, 201, is_tree=True)).split("\n")

    assert lines[1].startswith("▶ nightly-report")
    assert lines[3].startswith("▶   embed-documents")
    assert re.match(r"✗ {5}#17 +█*✗", lines[4])
    assert all(words.cells(line) <= 80 for line in lines)


def test_an_attempt_that_took_no_time_is_seen_all_the_same() -> None:
    spans = (span("executing", 0, 0, 1, "FAILED"), span("backoff", 0, 30, 1), span("executing", 30, 30, 2, "COMPLETED"))
    bar = timeline_text(one(spans, status=RunStatus.COMPLETED, finished_at=at(30))).split("\n")[2]

    assert bar[0] == "✗" and bar[-1] in "█✓"


def test_ascii_keeps_every_column() -> None:
    plain, signs = timeline_text(one(), ascii=True).split("\n"), timeline_text(one()).split("\n")

    assert all(line.isascii() for line in plain)
    assert [len(line) for line in plain[:3]] == [len(line) for line in signs[:3]]


def test_the_static_face_is_a_table_that_stays_true() -> None:
    markup = timeline_html(one())
    assert "as of Sat 21 Nov 2026, 14:31:14 (Europe/Berlin)" in markup
    assert "kk.runs.timeline(&quot;run_m4hh70sd&quot;)" in markup
    assert "20.0 s so far" in markup and "Each ■ is 5 s" in markup

    ended = (*RETRIED[:-1], span("executing", 54, 74, 3, "COMPLETED"))
    markup = timeline_html(one(ended, status=RunStatus.COMPLETED, finished_at=at(74)))
    assert "✓&nbsp;Completed after 3 attempts, 1 min 14 s: Sat 21 Nov 2026, 14:30:00 to 14:31:14" in markup
    assert "so far" not in markup and "Look again" not in markup
    assert set(re.findall(r"<(\w+)", markup)) <= {"p", "table", "tr", "th", "td", "div", "code"}

    tree = timeline_html(drawn(report(), {}, is_tree=True))
    assert "and 204 runs below it" in tree
    assert "&nbsp;&nbsp;✗&nbsp;#17" in tree and "tree=True" in tree


def test_hostile_texts_are_text() -> None:
    bad = '<img src=x onerror="alert(1)">\x1b[31m\u202e'
    waits = (Waiting("token", token_id=bad, shown=bad),)
    spans = (span("waiting", 0, 5, 1, waiting_for=waits), span("executing", 5, 6, 1, "FAILED", error=Error(bad, bad)))
    shown = one(spans, task_id=bad, status=RunStatus.FAILED, finished_at=at(6))

    for face in (timeline_html(shown), timeline_text(shown)):
        assert "\x1b" not in face and "\u202e" not in face
    assert "<img" not in timeline_html(shown)


def test_a_run_of_which_the_log_tells_nothing_is_shown_by_its_own_moments() -> None:
    refused = run(status=RunStatus.SYSTEM_FAILURE, started_at=None, finished_at=BEGIN, attempts=())
    assert [(each.kind, each.status) for each in drawn([refused], {}).rows[0].spans] == [("executing", "CRASHED")]
    assert timeline_html(drawn([refused], {})) and timeline_text(drawn([refused], {}))


def test_other_days_are_named() -> None:
    long = (span("queued", 0, 100_000), span("executing", 100_000, None, 1))
    text = timeline_text(one(long, now=200_000))
    assert "22.11. 18:16" in text


def test_a_moment_is_given_in_the_zone_and_the_day_of_the_reader() -> None:
    assert one(now=74).as_of_text == "Sat 21 Nov 2026, 14:31:14"
    assert one(now=74).when == "Sat 21 Nov 2026, 14:30:00 to 14:31:14 (Europe/Berlin)"
