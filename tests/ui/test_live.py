from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import pytest

from kernelkit.errors import EngineUnavailableError
from kernelkit.models.run import Run
from kernelkit.ui import live, silence
from kernelkit.ui.feed import LiveCard
from kernelkit.ui.live import LiveCards
from tests.ui import samples
from tests.ui.fakes import FakeCaller, FakeWidget, until


def cards_at_noon() -> LiveCards:
    return LiveCards(now=lambda: samples.NOW, zone=lambda: samples.BERLIN)


def shown(
    cards: LiveCards, caller: FakeCaller, run: Run, cell: str = "", execution: str = ""
) -> tuple[LiveCard, FakeWidget, list[dict[str, Any]]]:
    published: list[dict[str, Any]] = []
    widget = FakeWidget()
    card = LiveCard(run, published.append, widget=widget, cell=cell, execution=execution)
    cards.add(card, caller)
    return card, widget, published


def is_idle(cards: LiveCards) -> bool:
    return cards.count == 0 and not any(thread.name == "kernelkit-cards" for thread in threading.enumerate())


def test_a_card_is_painted_as_its_run_changes_and_gives_way_to_the_static_face_at_the_end() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    _, widget, published = shown(cards, caller, samples.queued())
    until(lambda: caller.watched == 1)

    now = msgspec.structs.replace(samples.executing(), id=samples.queued().id)
    caller.push(now, samples.LOGS)
    until(lambda: widget.painted and widget.painted[-1][1].status == "EXECUTING")
    assert [row.level for row in widget.painted[-1][1].logs] == ["warn", "info"]
    assert published == []

    caller.end(msgspec.structs.replace(samples.completed(), id=samples.queued().id))
    until(lambda: is_idle(cards))
    assert len(published) == 1
    assert "Completed in 8 min 51 s" in published[0]["text/html"]
    assert published[0]["text/plain"].startswith("✓ embed-documents  Completed  08:51")
    assert widget.is_closed
    assert caller.watched == 0


def test_a_hundred_changes_a_second_are_painted_about_five_times_a_second() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    _, widget, _ = shown(cards, caller, samples.executing())
    until(lambda: caller.watched == 1 and len(widget.painted) == 1)

    began = time.monotonic()
    pause = threading.Event()
    for step in range(100):
        caller.push(msgspec.structs.replace(samples.executing(), metadata_json=f'{{"step":{step}}}'))
        pause.wait(0.01)
    until(lambda: widget.painted[-1][1].metadata[0].value == "99")
    lasted = time.monotonic() - began

    assert len(widget.painted) <= 2 + lasted / live.PAINT_EVERY_S
    caller.end(samples.completed())
    until(lambda: is_idle(cards))


def test_a_change_of_status_is_painted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PAINT_EVERY_S", 3600.0)  # any other change would have to wait for an hour
    cards, caller = cards_at_noon(), FakeCaller()
    _, widget, _ = shown(cards, caller, samples.run())
    until(lambda: caller.watched == 1 and widget.painted)

    caller.push(samples.executing())
    until(lambda: widget.painted[-1][1].status == "EXECUTING")
    caller.end(samples.completed())
    until(lambda: is_idle(cards))


def test_a_run_that_ended_before_it_was_shown_is_finished_at_once() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    outcome = caller.outcome

    def over(run_id: str) -> Any:
        end = outcome(run_id)
        end.set_result(samples.completed())
        return end

    caller.outcome = over  # type: ignore[method-assign]  # the engine answers a follow of an ended run at once
    _, widget, published = shown(cards, caller, samples.executing())
    until(lambda: is_idle(cards))
    assert len(published) == 1
    assert widget.is_closed


def test_a_run_shown_twice_is_watched_once_and_both_places_end_static() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    first = shown(cards, caller, samples.executing())
    second = shown(cards, caller, samples.executing())
    until(lambda: caller.watched == 1 and cards.count == 2)
    caller.end(samples.completed())
    until(lambda: is_idle(cards))
    assert caller.most_watches == 1
    assert [len(published) for _, _, published in (first, second)] == [1, 1]


def test_a_cell_run_two_hundred_times_leaves_one_card_and_nothing_behind() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    everything = []
    for again in range(200):
        run = msgspec.structs.replace(samples.executing(), id=f"run_{again:03}")
        everything.append(shown(cards, caller, run, cell="cell-1", execution=f"msg-{again}"))
    until(lambda: cards.count == 1 and caller.watched == 1)
    until(lambda: sum(not widget.is_closed for _, widget, _ in everything) == 1)
    assert sum(thread.name == "kernelkit-cards" for thread in threading.enumerate()) == 1

    caller.end(msgspec.structs.replace(samples.completed(), id="run_199"))
    until(lambda: is_idle(cards))
    assert caller.watched == 0
    assert [len(published) for _, _, published in everything] == [0] * 199 + [1]


def test_several_cards_of_one_execution_stay() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    for number in range(3):
        run = msgspec.structs.replace(samples.executing(), id=f"run_{number}")
        shown(cards, caller, run, cell="cell-1", execution="msg-1")
    until(lambda: caller.watched == 3)
    assert cards.count == 3
    for number in range(3):
        caller.end(msgspec.structs.replace(samples.completed(), id=f"run_{number}"))
    until(lambda: is_idle(cards))


def test_without_cell_ids_only_the_newest_cards_stay_widgets_and_all_are_told_the_end() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    everything = [shown(cards, caller, samples.executing()) for _ in range(200)]
    until(lambda: sum(not widget.is_closed for _, widget, _ in everything) == live.MAX_WIDGETS)
    assert "as of" in everything[0][2][0]["text/html"]
    assert not everything[-1][1].is_closed

    caller.end(samples.completed())
    until(lambda: is_idle(cards))
    assert all("Completed in" in published[-1]["text/html"] for _, _, published in everything)
    assert caller.watched == 0


def test_an_engine_that_is_gone_is_told_with_the_heartbeat_and_so_is_its_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(silence, "AFTER_S", 0.1)
    cards, caller = cards_at_noon(), FakeCaller()
    _, widget, _ = shown(cards, caller, samples.executing())
    until(lambda: None in widget.beats)
    caller.is_connected = False
    until(lambda: widget.beats[-1] is not None)
    caller.is_connected = True
    until(lambda: widget.beats[-1] is None)
    caller.end(samples.completed())
    until(lambda: is_idle(cards))


def test_a_client_that_gave_up_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "AFTER_S", 0.05)
    cards, caller = cards_at_noon(), FakeCaller()
    run = samples.executing()
    _, _, published = shown(cards, caller, run)
    until(lambda: caller.ends.get(run.id))
    caller.ends[run.id][0].set_exception(EngineUnavailableError("No engine for 30 s."))
    until(lambda: len(caller.ends[run.id]) == 2)
    caller.end(samples.completed())
    until(lambda: is_idle(cards))
    assert len(published) == 1


def test_an_engine_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "AFTER_S", 0.05)
    cards, caller = cards_at_noon(), FakeCaller()
    watch, tries = caller.watch, []

    def away(run_id: str, changed: Any) -> Any:
        tries.append(run_id)
        if len(tries) == 1:
            raise EngineUnavailableError("No engine answers.")
        return watch(run_id, changed)

    caller.watch = away  # type: ignore[method-assign]  # an engine that starts late
    shown(cards, caller, samples.executing())
    until(lambda: caller.watched == 1)
    assert len(tries) == 2
    caller.end(samples.completed())
    until(lambda: is_idle(cards))


def test_cards_can_be_waited_for_and_those_whose_runs_have_ended_are_static_then() -> None:
    cards, caller = cards_at_noon(), FakeCaller()
    _, over, replaced = shown(cards, caller, samples.executing())
    _, on, kept = shown(cards, caller, msgspec.structs.replace(samples.executing(), id="run_that_goes_on"))
    until(lambda: caller.watched == 2)

    caller.runs[samples.executing().id] = samples.completed()  # the engine has not come to telling it yet
    cards.settle(30.0)
    assert over.is_closed and "Completed in" in replaced[0]["text/html"]
    assert not on.is_closed and kept == []
