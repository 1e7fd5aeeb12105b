from __future__ import annotations

import json
from html.parser import HTMLParser

import msgspec
import pytest

from kernelkit.models.error import Error, Frame
from kernelkit.models.run import LogLine, Run, RunStatus
from kernelkit.ui import batch, html, table
from kernelkit.ui.html import run_html
from tests.ui import samples
from tests.ui.samples import BERLIN, NOW, card

ALLOWED = {"table", "tr", "th", "td", "p", "div", "hr", "br", "wbr", "strong", "code", "pre", "a"}
EVIL = '</td></table><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[31m&lt;'


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(face: str) -> Seen:
    parser = Seen()
    parser.feed(face)
    parser.close()
    assert parser.open == []
    assert parser.tags <= ALLOWED
    assert parser.attributes <= {"align", "colspan"}
    return parser


def evil_run(status: RunStatus) -> Run:
    frame = Frame(EVIL, 3, EVIL, EVIL, True, EVIL, EVIL)
    return samples.run(
        task_id=EVIL,
        status=status,
        queue=EVIL,
        tags=(EVIL,),
        worker=EVIL,
        version=EVIL,
        metadata_json=json.dumps({EVIL: EVIL}),
        payload_json=json.dumps(EVIL),
        output_json=json.dumps([EVIL] * 30),
        queued_reason=EVIL,
        canceled_reason=EVIL,
        error=Error(EVIL, EVIL, traceback=EVIL, frames=(frame,)),
    )


@pytest.mark.parametrize("status", list(RunStatus))
def test_only_the_tags_that_sanitizers_leave_and_hostile_text_stays_text(status: RunStatus) -> None:
    face = run_html(card(evil_run(status), (LogLine(NOW, EVIL, EVIL),)))
    assert "<script>alert(1)</script>" in seen(face).text


def test_tables_and_batches_are_as_strict() -> None:
    runs = [evil_run(status) for status in RunStatus]
    page = table.runs_table(runs, total=13, has_more=True, now=NOW, zone=BERLIN, filters=EVIL)
    assert "<script>" in seen(table.table_html(page)).text
    assert "<script>" in seen(batch.batch_html(batch.batch_view("batch_1", runs, now=NOW, zone=BERLIN))).text


def test_an_ended_card_is_true_tomorrow() -> None:
    face = seen(run_html(card(samples.completed()))).text
    assert "✓\N{NO-BREAK SPACE}embed-documents: Completed in 8 min 51 s" in face
    assert "Sat 21 Nov 2026, 14:31:07 to 14:39:58 (Europe/Berlin)" in face
    assert "as of" not in face


def test_a_failed_card_says_after_how_many_attempts_where_and_with_which_last_lines() -> None:
    face = seen(run_html(card(samples.failed(), samples.LOGS))).text
    assert "nightly-report: Failed after 3 attempts, 1 min 07 s" in face
    assert "cell [12] nightly_report, line 7: check(rows, at_least=1)" in face
    assert "embedded batch 39" in face


def test_a_card_that_goes_on_says_as_of_when_and_how_to_look_again() -> None:
    face = seen(run_html(card(samples.retrying()))).text
    assert "Retrying, as of Sat 21 Nov 2026, 14:33:21" in face
    assert "Attempt 3 of 5 at 14:33:29" in face
    assert 'kk.runs.retrieve("run_m4hh70sd")' in face


def test_a_cut_output_names_its_size_and_the_way_to_the_whole() -> None:
    run = msgspec.structs.replace(samples.completed(), output_json=json.dumps(list(range(5000))), output_size=23_890)
    face = seen(run_html(card(run))).text
    assert "24 kB in all" in face
    assert 'kk.runs.retrieve("run_5yq0c9te").output' in face


def test_quotes_are_escaped_in_attributes_as_well() -> None:
    assert html.esc("\"'<&>") == "&quot;&#x27;&lt;&amp;&gt;"
