"""What a live timeline is made from: it follows its runs, and asks for no span twice."""

from __future__ import annotations

import json

import pytest

import kernelkit as kk
from kernelkit.errors import KernelKitError, UnknownRunError
from kernelkit.testing import VirtualEngine
from kernelkit.ui.timeline_source import TimelineSource
from kernelkit.ui.tree_source import TreeSource
from kernelkit.wire.messages import GetSpans


def family(children: int = 3) -> kk.RunHandle[None]:
    @kk.task
    async def leaf(n: int) -> None:
        await kk.wait.for_token(f"leaf-{n}")

    @kk.task
    async def top() -> None:
        for n in range(children):
            leaf.trigger(n=n)
        await kk.wait.for_(minutes=10)

    return top.trigger()


@pytest.fixture
def asked(kk_engine: VirtualEngine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The runs of each request for spans."""
    seen: list[tuple[str, ...]] = []
    call = kk_engine.caller.call

    def noting(body: object) -> object:
        if isinstance(body, GetSpans):
            seen.append(body.run_ids)
        return call(body)  # type: ignore[arg-type]  # whatever it is

    monkeypatch.setattr(kk_engine.caller, "call", noting)
    return seen


def test_one_run_is_followed_and_none_of_its_family(kk_engine: VirtualEngine, asked: list[tuple[str, ...]]) -> None:
    handle = family()
    kk_engine.drain()
    source = TimelineSource(handle.timeline())
    source.open()

    assert [row["name"] for row in source.view()["rows"]] == ["top"]
    assert asked == [(handle.id,)]
    kk.tokens.complete("leaf-0", None)
    kk_engine.drain()
    source.read()
    source.view()
    assert asked == [(handle.id,)], "nothing of the run itself has moved"

    kk_engine.advance(minutes=11)
    source.read()
    kinds = [span[0] for span in source.view()["rows"][0]["spans"]]
    assert kinds == ["waiting", "executing"] and source.is_over
    assert "waits for time" in source.bundle()["text/plain"]
    assert len(asked) == 2
    source.close()


def test_of_a_tree_only_what_has_moved_is_asked_for_again(
    kk_engine: VirtualEngine, asked: list[tuple[str, ...]]
) -> None:
    handle = family()
    kk_engine.drain()
    source = TimelineSource(handle.timeline(tree=True))
    source.open()
    assert len(source.view()["rows"]) == 4
    assert [len(ids) for ids in asked] == [4]

    kk.tokens.complete("leaf-1", None)
    kk_engine.drain()
    source.read()
    rows = source.view()["rows"]
    assert sorted(row["status"] for row in rows) == ["COMPLETED", "WAITING", "WAITING", "WAITING"]
    assert asked[1:] == [tuple(row["key"] for row in rows if row["status"] == "COMPLETED")]
    handle.cancel()
    kk_engine.drain()
    source.read()
    assert source.is_over
    source.close()


def test_more_rows_come_when_they_are_asked_for(kk_engine: VirtualEngine) -> None:
    @kk.task
    async def top() -> None:
        for n in range(50):
            kk.tasks.trigger(f"nobody-{n}", allow_undefined=True)

    handle = top.trigger()
    kk_engine.drain()
    source = TimelineSource(handle.timeline(tree=True))
    source.open()

    assert (len(source.view()["rows"]), source.view()["hidden"]) == (40, 11)
    source.asked({"do": "more"})
    assert source.urgent.is_set() and source.wake.is_set()
    assert len(source.view()["rows"]) == 51
    source.close()


def test_without_an_engine_what_is_known_is_drawn(kk_engine: VirtualEngine, asked: list[tuple[str, ...]]) -> None:
    handle = family()
    kk_engine.drain()
    source = TimelineSource(handle.timeline(tree=True))
    source.open()
    source.failed(KernelKitError("gone"))

    with pytest.raises(KernelKitError, match="gone"):
        source.read()
    assert "leaf" in source.bundle()["text/plain"]
    assert asked == []
    source.close()


def test_a_card_and_a_timeline_are_shown_when_they_are_asked_for(kk_engine: VirtualEngine) -> None:
    handle = family()
    kk_engine.drain()
    shown: list[str] = []
    source = TreeSource(handle.tree())
    source.open_card = shown.append
    source.open_timeline = lambda: shown.append("timeline")
    source.open()

    for content in ({"do": "card", "id": "run_nobody"}, {"do": "card", "id": []}, {"do": "card", "id": handle.id}):
        source.asked(content)
    source.asked({"do": "timeline"})
    source.asked({"do": "timeline"})
    assert shown == [], "clicks come on any thread and wait for the picture's"
    source.read()
    source.read()
    assert shown == [handle.id, "timeline"]

    def gone(run_id: str) -> None:
        raise KernelKitError("no engine")

    source.open_card = gone
    source.asked({"do": "card", "id": handle.id})
    source.read()
    source.close()


def test_a_message_is_small(kk_engine: VirtualEngine) -> None:
    handle = family(8)
    kk_engine.drain()
    source = TimelineSource(handle.timeline(tree=True))
    source.open()
    assert len(json.dumps(source.view(), default=str)) < 9 * 300 + 500
    source.close()


def test_an_unknown_run_is_said_to_be(kk_engine: VirtualEngine) -> None:
    with pytest.raises(UnknownRunError):
        TimelineSource(kk.runs.timeline("run_nobody")).open()
