from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import comm
import msgspec
import pytest
from comm.base_comm import BaseComm

from kernelkit.models.stream import StreamTail
from kernelkit.ui import hosts, live, parts, replacements, run_cards
from kernelkit.ui.view_widget import ViewWidget
from kernelkit.ui.widget import MIME, RunWidget
from tests.ui import samples
from tests.ui.fakes import FakeCaller, until
from tests.ui.samples import card


class Wire(BaseComm):
    """A comm that keeps what it sends."""

    sent: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012  # one list for all comms of a test

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        self.sent.append((msg_type, data or {}))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    monkeypatch.setattr(comm, "create_comm", Wire)
    RunWidget(card(samples.executing()), cancel=lambda n: None).close()  # sends its parts, which stay
    Wire.sent.clear()
    yield Wire.sent
    Wire.sent.clear()


def states(sent: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [data["state"] for kind, data in sent if kind == "comm_msg" and data.get("method") == "update"]


def test_a_widget_sends_its_static_faces_along(sent: list[Any]) -> None:
    widget = RunWidget(card(samples.executing()), cancel=lambda n: None)
    bundle, _ = widget._repr_mimebundle_()
    assert bundle[MIME]["model_id"] == widget.model_id
    assert bundle["text/html"].startswith("<table>")
    assert bundle["text/plain"].startswith("▶ embed-documents")
    widget.close()


def test_a_change_is_one_small_message_and_no_change_none(sent: list[Any]) -> None:
    widget = RunWidget(card(samples.executing()), cancel=lambda n: None)
    sent.clear()
    widget.paint(card(samples.executing(), samples.LOGS))
    assert len(states(sent)) == 1
    assert set(states(sent)[0]) == {"view"}
    assert len(json.dumps(states(sent)[0])) < 8000
    widget.paint(card(samples.executing(), samples.LOGS))
    assert len(states(sent)) == 1
    widget.close()


def test_a_heartbeat_says_since_when_the_engine_is_silent(sent: list[Any]) -> None:
    widget = RunWidget(card(samples.executing()), cancel=lambda n: None)
    widget.heartbeat(silent_since=12.5)
    assert states(sent)[-1] == {"beat": 1, "link": {"state": "silent", "since": 12500}}
    widget.heartbeat(silent_since=None)
    assert states(sent)[-1] == {"beat": 2, "link": {"state": "live"}}
    widget.close()


@pytest.mark.parametrize(
    "content", [None, 5, "cancel", {}, {"do": "format"}, {"do": "cancel"}, {"do": "cancel", "n": "1"}]
)
def test_what_a_page_may_send_beside_a_click_is_ignored(sent: list[Any], content: object) -> None:
    asked: list[int] = []
    widget = RunWidget(card(samples.executing()), cancel=asked.append)
    widget._heard(widget, content, [])
    assert asked == []
    widget._heard(widget, {"do": "cancel", "n": 1}, [])
    assert asked == [1]
    widget.close()


def test_closing_takes_away_the_model_and_its_layout_is_that_of_all(sent: list[Any]) -> None:
    import ipywidgets

    before = len(ipywidgets.widgets.widget._instances)
    widget = RunWidget(card(samples.executing()), cancel=lambda n: None)
    widget.close()
    assert len(ipywidgets.widgets.widget._instances) == before
    assert sum(kind == "comm_close" for kind, _ in sent) == sum(kind == "comm_open" for kind, _ in sent)


class FakeShell:
    """A kernel's shell: `cell` is the cell being executed."""

    kernel = object()

    def __init__(self) -> None:
        self.cell, self.execution = "cell-1", 0

    def get_parent(self) -> dict[str, Any]:
        return {"header": {"msg_id": f"msg-{self.execution}"}, "metadata": {"cellId": self.cell}}


def test_two_hundred_displays_of_one_cell_leave_nothing_behind(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ipywidgets

    published: dict[str, list[dict[str, Any]]] = {}

    def publish(bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
        published.setdefault(display_id, []).append(bundle)

    monkeypatch.setattr(run_cards, "publish", publish)
    monkeypatch.setattr(replacements, "publish", publish)
    caller, shell = FakeCaller(), FakeShell()
    before = len(ipywidgets.widgets.widget._instances)
    for again in range(200):
        shell.execution = again
        run_cards.show_live(msgspec.structs.replace(samples.executing(), id=f"run_{again:03}"), caller, shell)
    until(lambda: run_cards.cards.count == 1 and caller.watched == 1)
    until(lambda: len(ipywidgets.widgets.widget._instances) == before + 1)

    caller.end(msgspec.structs.replace(samples.completed(), id="run_199"))
    until(lambda: run_cards.cards.count == 0 and caller.watched == 0)
    until(lambda: len(ipywidgets.widgets.widget._instances) == before)
    last = list(published.values())[-1]
    assert MIME in last[0]
    assert MIME not in last[1]
    assert "Completed in" in last[1]["text/html"]


def test_a_run_that_has_ended_has_a_widget_only_where_a_person_opened_its_card_and_it_goes_with_its_cell(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ipywidgets

    published: list[dict[str, Any]] = []
    monkeypatch.setattr(run_cards, "publish", lambda bundle, display_id, update: published.append(bundle))
    monkeypatch.setattr(replacements, "publish", lambda bundle, display_id, update: published.append(bundle))
    before = len(ipywidgets.widgets.widget._instances)
    caller, shell = FakeCaller(), FakeShell()
    caller.streams = (StreamTail("out/words", 2, 12, ('"To be "', '"or not"')),)
    run_cards.show_live(samples.completed(), caller, shell)
    assert MIME not in published[0] and sent == []

    for again in range(3):
        shell.execution = again
        run_cards.show_live(samples.completed(), caller, shell, opened=True)
    assert [MIME in bundle for bundle in published] == [False, True, True, True]
    assert all("To be or not" in bundle[kind] for bundle in published for kind in ("text/html", "text/plain"))
    until(lambda: len(ipywidgets.widgets.widget._instances) == before + 1)
    assert run_cards.cards.count == 0 and caller.watched == 0, "nothing is followed"

    monkeypatch.setattr(live, "MAX_WIDGETS", 0)
    shell.cell = "cell-2"
    run_cards.show_live(samples.completed(), caller, shell, opened=True)
    until(lambda: len(ipywidgets.widgets.widget._instances) == before)
    assert sum(MIME not in bundle for bundle in published) == 3, "what is still shown gives way to its static face"


class Routed:
    """What ipykernel 7's comm has."""

    def _reply_subshell_for(self, data: object, default: object) -> object:
        return None


def test_the_comm_shim_keeps_away_from_kernels_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hosts.answer_while_busy(object())
    routed = Routed()
    monkeypatch.setattr(hosts, "_major_version", lambda package: 8)
    assert not hosts.answer_while_busy(routed)
    monkeypatch.setattr(hosts, "_major_version", lambda package: 7)
    assert not hosts.answer_while_busy(routed)  # there is no kernel in this process
    assert routed._reply_subshell_for({}, "asked") is None


def test_a_shell_without_a_cell_has_no_place() -> None:
    assert hosts.executing_cell(None) == ("", "")
    assert hosts.executing_cell(object()) == ("", "")
    assert hosts.executing_cell(FakeShell()) == ("cell-1", "msg-0")


def test_a_part_is_sent_with_the_first_view_that_needs_it_and_again_if_closed(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"as_of": "2026-11-21T13:33:21Z"}
    monkeypatch.setattr(parts, "_models", {})
    made = [ViewWidget(name, given, lambda heard: None) for name in ("tree.js", "timeline.js", "tree.js")]
    opened = [str(content["state"].get("_esm", "")) for kind, content in sent if kind == "comm_open"]
    assert [text.split("export default ")[1][:6] for text in opened if text] == [
        *("brings", "hands(", "drawn("),
        *("hands(", "drawn("),
        "drawn(",
    ]
    assert len({id(part) for widget in made for part in widget.parts}) == 3
    made[0].parts[0].close()
    again = ViewWidget("tree.js", given, lambda heard: None)
    assert again.parts[0] is not made[0].parts[0] and again.parts[1] is made[0].parts[1]
    for widget in (*made, again):
        widget.close()


def test_what_is_new_is_sent_and_the_whole_of_the_moment_to_a_page_that_comes_later(
    sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "is_looked_at", lambda shell: True)
    heard: list[object] = []
    shown = {"ended": 1, "rows": [{"key": "a"}, {"key": "b"}], "as_of": "2026-11-21T13:33:21Z"}
    widget = ViewWidget("tree.js", shown, heard.append)
    sent.clear()
    shown = {**shown, "ended": 2, "rows": [{"key": "b"}]}
    widget.paint(shown)
    widget.paint(shown)
    assert states(sent) == [{"news": {"set": {"ended": 2}, "rows": {"rows": [[1, 2]]}, "of": 0, "n": 1}}]
    assert widget.get_state()["view"] == {**shown, "n": 1}
    widget._heard(widget, {"do": "whole"}, [])
    assert states(sent)[1:] == [{"view": {**shown, "n": 1}}]
    assert heard == []
    widget.close()


def test_where_nobody_looks_every_view_is_sent_whole_as_that_is_what_is_stored(sent: list[Any]) -> None:
    widget = ViewWidget("tree.js", {"ended": 1, "as_of": ""}, lambda heard: None)
    sent.clear()
    widget.paint({"ended": 2, "as_of": ""})
    assert states(sent) == [{"view": {"ended": 2, "as_of": "", "n": 1}}]
    widget.close()
