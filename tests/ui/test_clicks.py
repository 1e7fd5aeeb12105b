"""Clicks on a card: done elsewhere, answered by their number."""

from __future__ import annotations

from kernelkit.errors import EngineUnavailableError
from kernelkit.ui import clicks
from kernelkit.ui.feed import LiveCard
from kernelkit.wire.messages import Cancel
from tests.ui import samples
from tests.ui.fakes import FakeCaller, FakeWidget, until


def test_a_cancel_is_sent_and_its_refusal_is_told() -> None:
    caller, widget, run = FakeCaller(), FakeWidget(), samples.executing()
    card = LiveCard(run, lambda _: None, widget=widget)
    caller.runs[run.id] = run

    clicks.cancel(card, caller, 1)
    until(lambda: len(widget.answers) == 1)
    caller.refuse = EngineUnavailableError("No engine answers.")
    clicks.cancel(card, caller, 2)
    until(lambda: len(widget.answers) == 2)

    assert widget.answers == [(1, True, ""), (2, False, "No engine answers.")]
    assert caller.calls == [Cancel(run.id), Cancel(run.id)]


def test_what_becomes_of_a_click_is_told_to_nobody_once_its_card_is_closed() -> None:
    caller = FakeCaller()
    card = LiveCard(samples.executing(), lambda _: None)

    clicks.cancel(card, caller, 1)

    until(lambda: caller.calls == [Cancel(card.run.id)])
