"""Panels: they ask while somebody looks, answer clicks, and start no engine."""

from __future__ import annotations

from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.errors import EngineUnavailableError
from kernelkit.testing import VirtualEngine
from kernelkit.ui import live_view, polled
from kernelkit.ui.live_view import LiveView, views
from kernelkit.ui.queues_source import QueuesSource
from tests.ui.fakes import FakeCaller, until
from tests.ui.test_live_view import FakeWidget


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_view, "PAINT_EVERY_S", 0.01)
    monkeypatch.setattr(live_view, "BEAT_EVERY_S", 0.01)


def queued() -> QueuesSource:
    @kk.task(queue=kk.Queue("images", concurrency_limit=1))
    async def resize() -> None: ...

    kk.queues.pause(resize)
    resize.trigger()
    source = QueuesSource(callers.current())
    source.ask()
    return source


def row(source: QueuesSource, name: str = "images") -> dict[str, Any]:
    return next(row for row in source.view()["rows"] if row["name"] == name)


def test_a_panel_asks_again_by_itself_and_never_ends(kk_engine: VirtualEngine) -> None:
    source, widget, published = queued(), FakeWidget(), list[Any]()
    view = LiveView(source, widget, published.append, every_s=0.02)
    views().add(view, "", "")
    until(lambda: widget.painted)
    assert row(source)["state"] == "paused"

    kk.queues.resume("images")
    until(lambda: row(source)["state"] != "paused")
    until(lambda: widget.beats)
    assert not widget.is_closed

    view.stop()
    until(lambda: widget.is_closed)
    assert "images" in published[0]["text/plain"]


@pytest.mark.parametrize(
    ("click", "then"),
    [
        ({"do": "resume", "id": "images"}, {"state": "open"}),
        ({"do": "limit", "id": "images", "limit": 7}, {"limit": 7, "by_hand": "1"}),
    ],
)
def test_a_click_changes_the_queue_and_is_answered(
    click: dict[str, Any], then: dict[str, Any], kk_engine: VirtualEngine
) -> None:
    source = queued()
    source.asked({**click, "n": 1})
    until(lambda: source.view()["answer"]["to"] == 1)
    kk_engine.drain()
    source.read()
    assert row(source).items() >= then.items()
    assert source.view()["answer"] == {"to": 1, "ok": True, "text": ""}


@pytest.mark.parametrize(
    ("click", "told"),
    [
        ({"do": "pause", "id": "imagse"}, "Did you mean 'images'"),
        ({"do": "limit", "id": "images", "limit": "<b>"}, "not a whole number"),
        ({"do": "reset", "id": "images"}, "not overridden"),
        ({"do": "pause", "id": 7}, "named no id"),
        ({"do": "explode"}, "knows no 'explode'"),
    ],
)
def test_what_will_not_do_is_told_in_words(click: dict[str, Any], told: str, kk_engine: VirtualEngine) -> None:
    source = queued()
    source.asked({**click, "n": 3})
    until(lambda: source.view()["answer"]["to"] == 3)
    answer = source.view()["answer"]
    assert answer["ok"] is False
    assert told in answer["text"]


def test_the_whole_project_is_paused_from_the_panel(kk_engine: VirtualEngine) -> None:
    source = queued()
    source.asked({"do": "pause all", "n": 1})
    until(lambda: source.view()["answer"]["to"] == 1)
    source.read()
    assert source.view()["note"].startswith("The project is paused")
    source.asked({"do": "resume all", "n": 2})
    until(lambda: source.view()["answer"]["to"] == 2)
    source.read()
    assert "note" not in source.view()


class Counting(polled.Polled):
    asks = 0
    problem_of_ask: Exception | None = None

    def ask(self) -> None:
        self.asks += 1
        if self.problem_of_ask:
            raise self.problem_of_ask

    def shown(self) -> dict[str, Any]:
        return {}


def test_a_panel_that_nobody_looks_at_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Counting(FakeCaller())
    source.read()
    monkeypatch.setattr(polled, "UNSEEN_AFTER_S", -1.0)
    source.read()
    assert source.asks == 1
    source.asked({"do": "here"})
    assert source.wake.is_set()
    monkeypatch.setattr(polled, "UNSEEN_AFTER_S", 60.0)
    source.read()
    assert source.asks == 2


def test_without_an_engine_what_was_known_stays() -> None:
    source = Counting(FakeCaller())
    source.problem_of_ask = EngineUnavailableError("gone")
    source.read()
    assert not source.is_connected
    source.problem_of_ask = None
    source.read()
    assert source.is_connected


def test_a_cell_that_is_executed_again_leaves_one_panel(kk_engine: VirtualEngine) -> None:
    widgets = [FakeWidget() for _ in range(20)]
    shown = [LiveView(queued(), widget, lambda bundle: None, every_s=0.02) for widget in widgets]
    for number, view in enumerate(shown):
        views().add(view, "cell-panels", f"msg-{number}")
    until(lambda: [widget.is_closed for widget in widgets] == [True] * 19 + [False])
    shown[-1].stop()
    until(lambda: widgets[-1].is_closed and views().count == 0)
