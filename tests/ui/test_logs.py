"""What a run wrote: its faces, its pages, and how a viewer follows it."""

from __future__ import annotations

from typing import Any

import pytest

import kernelkit as kk
from kernelkit.errors import InvalidOptionError
from kernelkit.models.run import LogLine
from kernelkit.testing import VirtualEngine
from kernelkit.ui import logs_source, words
from kernelkit.ui.live_view import LiveView, views
from kernelkit.ui.logs import line_view, log_view, logs_html, logs_text
from kernelkit.ui.logs_source import LogsSource
from tests.ui import samples
from tests.ui.fakes import until
from tests.ui.samples import BERLIN, NOW
from tests.ui.test_live_view import FakeWidget

LINES = [
    line_view(n, LogLine(samples.at("14:33:14"), level, text), BERLIN)
    for n, (level, text) in enumerate([("warn", "9,412 tokens\x1b[31m, truncated"), ("stdout", "<b>" + "x" * 200)])
]


def test_the_last_lines_print_within_eighty_columns_and_say_how_many_they_are() -> None:
    view = log_view(samples.executing(), 2, dropped=7, now=NOW, zone=BERLIN)
    told = logs_text(view, LINES)
    assert told.split("\n")[0] == "14:33:14 warn   9,412 tokens, truncated"
    assert told.split("\n")[-1] == "(2 lines; 7 lines in the middle were not kept)"
    assert max(map(words.cells, told.split("\n"))) == 80
    face = logs_html(view, LINES)
    assert "Log of embed-documents" in face and "as of Sat 21 Nov 2026, 14:33:21 (Europe/Berlin)" in face
    assert "&lt;b&gt;xxx" in face


def test_nothing_is_a_sentence() -> None:
    def empty(run: kk.Run, **more: Any) -> str:
        return log_view(run, 0, now=NOW, zone=BERLIN, **more).empty

    assert empty(samples.executing()) == "This run has written nothing so far."
    assert empty(samples.failed()) == "This run has written nothing, or its log is no longer kept."
    assert empty(samples.failed(), level=["warn", "stderr"], search="x") == "No warn and err line contains “x”."


# ---- the source ----------------------------------------------------------------------------------------------------


@kk.task(retry=None)
async def talk(lines: int) -> None:
    for n in range(lines):
        kk.logger.info(f"line {n}")
    await kk.wait.for_(minutes=1)
    kk.logger.warn("after the wait")
    await kk.wait.for_(minutes=1)
    raise kk.AbortTaskRunError("the end")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_source, "PAGE", 10)
    monkeypatch.setattr(logs_source, "MOST", 25)
    monkeypatch.setattr(logs_source, "FILE_PAGE", 4)


def opened(kk_engine: VirtualEngine, lines: int = 30, **asked: Any) -> tuple[kk.RunHandle[None], LogsSource]:
    run = talk.trigger(lines=lines)
    kk_engine.drain()
    source = LogsSource(run.logs(**asked))
    source.open()
    return run, source


def texts(source: LogsSource) -> list[str]:
    return [line.text for line in source.lines]


def ask(source: LogsSource, do: str, **more: Any) -> None:
    source.asked({"do": do, **more})
    source.read()


def test_logs_are_a_sequence_of_lines_by_level_and_text(kk_engine: VirtualEngine) -> None:
    run, source = opened(kk_engine, lines=3)
    source.close()
    kk_engine.advance(minutes=3)

    assert [line.text for line in run.logs(level="info", search="LINE 2")] == ["line 2"]
    found = run.logs(limit=2, level=["warn", "info"])
    assert (len(found), found[-1].text, found.has_more) == (2, "after the wait", True)
    assert repr(run.logs(search="nobody")) == f"<RunLogs of {run.id}: 0 lines>"
    for wrong in ({"level": "warning"}, {"limit": 0}, {"limit": True}, {"search": 7}):
        with pytest.raises(InvalidOptionError, match=next(iter(wrong))):
            run.logs(**wrong)


def test_a_viewer_follows_its_run_and_goes_on_after_its_end(kk_engine: VirtualEngine) -> None:
    _, source = opened(kk_engine)
    widget = FakeWidget()
    views().add(LiveView(source, widget, lambda _: None, pace_s=0.01), "", "")
    until(lambda: widget.painted and widget.painted[-1]["count"] == 10)
    assert [text for *_, text in widget.painted[-1]["lines"]] == [f"line {n}" for n in range(20, 30)]
    assert widget.painted[-1]["earlier"]

    kk_engine.advance(seconds=61)
    until(lambda: widget.painted[-1]["lines"][-1][-1] == "after the wait")
    kk_engine.advance(minutes=3)
    until(lambda: widget.painted[-1]["status"] == "FAILED")
    assert not widget.is_closed and "follow" not in widget.painted[-1]
    source.asked({"do": "filter", "level": ["warn"], "search": ""})
    until(lambda: [text for *_, text in widget.painted[-1]["lines"]] == ["after the wait"])
    views()._views[-1].stop()
    until(lambda: widget.is_closed and views().count == 0)


def test_earlier_lines_come_before_and_no_more_than_fit(kk_engine: VirtualEngine) -> None:
    _, source = opened(kk_engine)
    keys = [line.key for line in source.lines]
    ask(source, "earlier")
    assert texts(source) == [f"line {n}" for n in range(10, 30)]
    assert [line.key for line in source.lines][10:] == keys
    ask(source, "earlier")
    assert len(texts(source)) == 30 and not source.log().earlier
    kk_engine.advance(seconds=61)
    source.read()
    assert (texts(source)[0], texts(source)[-1], len(texts(source))) == ("line 6", "after the wait", 25)
    source.close()


def test_a_filter_begins_anew_and_what_is_no_text_is_told(kk_engine: VirtualEngine) -> None:
    _, source = opened(kk_engine, level="warn")
    assert source.log().empty == "No warn line."
    ask(source, "filter", level=[], search="line 2")
    assert texts(source) == ["line 2", *[f"line {n}" for n in range(20, 29 + 1)]][-10:]
    ask(source, "filter", level=["nothing", 7], search="\ud800")
    assert "The search is" in source.log().problem
    assert "10 lines" in source.bundle()["text/plain"]
    source.close()


def test_the_file_has_every_line(kk_engine: VirtualEngine) -> None:
    _, source = opened(kk_engine, level="error")
    sent: list[tuple[dict[str, Any], bytes]] = []
    source.send = lambda content, pieces: sent.append((content, b"".join(pieces)))
    source.asked({"do": "download"})
    until(lambda: sent and sent[-1][0].get("is_last"))
    written = b"".join(piece for _, piece in sent).decode().splitlines()
    assert len(written) == 30
    assert written[7].endswith("Z info   line 7")
    assert len(sent) > 2
    source.close()
