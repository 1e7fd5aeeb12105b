"""A live picture about many runs: it follows its source, and its thread and subscription end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import kernelkit as kk
from kernelkit.authoring import caller as callers
from kernelkit.authoring.tree import RunTree
from kernelkit.testing import VirtualEngine
from kernelkit.ui import live_view
from kernelkit.ui.live_view import LiveView, LiveViews, views
from kernelkit.ui.tree_source import TreeSource
from tests.ui.fakes import until


class FakeWidget:
    def __init__(self) -> None:
        self.painted: list[dict[str, Any]] = []
        self.beats: list[float | None] = []
        self.is_closed = False

    def paint(self, view: dict[str, Any]) -> None:
        self.painted.append(view)

    def heartbeat(self, *, silent_since: float | None) -> None:
        self.beats.append(silent_since)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_view, "PAINT_EVERY_S", 0.01)
    monkeypatch.setattr(live_view, "BEAT_EVERY_S", 0.01)


def family() -> kk.RunHandle[None]:
    @kk.task
    async def leaf(n: int) -> int:
        return 1 // n

    @kk.task
    async def top() -> None:
        leaf.options(max_attempts=1).batch_trigger([{"n": n % 5} for n in range(20)])
        leaf.options(delay="1h").trigger(n=1)

    return top.trigger()


def followed(
    handle: kk.RunHandle[None], cell: str = "", execution: str = ""
) -> tuple[TreeSource, FakeWidget, list[Any]]:
    published: list[Any] = []
    source, widget = TreeSource(RunTree(callers.current(), handle.id)), FakeWidget()
    source.open()
    views().add(LiveView(source, widget, published.append), cell, execution)
    return source, widget, published


def test_a_tree_grows_and_gives_way_to_its_static_face_when_all_runs_have_ended(kk_engine: VirtualEngine) -> None:
    handle = family()
    _, widget, published = followed(handle)
    until(lambda: widget.painted)
    kk_engine.drain()

    until(lambda: widget.painted[-1]["total"] == 22)
    assert widget.painted[-1]["counts"] == (("COMPLETED", 17), ("FAILED", 4), ("DELAYED", 1))
    assert published == []
    until(lambda: widget.beats)

    kk_engine.advance(hours=2)
    until(lambda: widget.is_closed)
    until(lambda: views().count == 0)
    assert "22 runs" in published[0]["text/plain"]
    assert "ZeroDivisionError" in published[0]["text/html"]


def test_the_reader_opens_a_group_and_cancels_all(kk_engine: VirtualEngine) -> None:
    handle = family()
    kk_engine.drain()
    source, widget, _ = followed(handle)
    until(lambda: widget.painted)
    assert [row["name"] for row in widget.painted[-1]["rows"]] == ["top", "leaf × 21"]

    source.asked({"do": "open", "keys": [f"{handle.id} leaf"]})
    until(lambda: "17 more" in [row["name"] for row in widget.painted[-1]["rows"]])
    source.asked({"do": "close", "keys": [f"{handle.id} leaf", 3]})
    until(lambda: len(widget.painted[-1]["rows"]) == 2)

    source.asked({"do": "cancel"})
    kk_engine.advance(hours=2)
    until(lambda: widget.is_closed)


def test_a_cell_that_is_executed_again_leaves_one_picture_and_no_thread(kk_engine: VirtualEngine) -> None:
    handle = family()
    kk_engine.drain()
    shown = [followed(handle, "cell-1", f"msg-{n}") for n in range(20)]

    until(lambda: [widget.is_closed for _, widget, _ in shown] == [True] * 19 + [False])
    until(lambda: sum(thread.name == "kernelkit-view" for thread in threading.enumerate()) == 1)
    kk_engine.advance(hours=2)
    until(lambda: shown[-1][1].is_closed and views().count == 0)


def test_only_so_many_pictures_stay_live() -> None:
    class Idle:
        def __init__(self) -> None:
            self.stopped = threading.Event()
            self.cell = self.execution = ""

        def begin(self) -> None: ...

        def stop(self) -> None:
            self.stopped.set()

    kept, many = LiveViews(), [Idle() for _ in range(60)]
    for one in many:
        kept.add(one, "", "")  # type: ignore[arg-type]  # all that is asked of a view
    assert sum(one.stopped.is_set() for one in many) >= 10
    assert not many[-1].stopped.is_set()


def test_a_picture_can_be_waited_for_and_is_then_of_now(kk_engine: VirtualEngine) -> None:
    handle = family()
    kk_engine.drain()
    source, widget, published = followed(handle)
    until(lambda: bool(widget.painted))
    source.changed = lambda run: None  # type: ignore[method-assign]  # what the engine tells by itself comes late

    kk_engine.advance(hours=2)
    assert not published
    views().settle(30.0)
    assert len(published) == 1 and widget.is_closed
