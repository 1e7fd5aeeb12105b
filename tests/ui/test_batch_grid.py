"""A batch with all its items: what the live grid shows, that only changes are sent, and how it follows its runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

import kernelkit as kk
from kernelkit.models.run import Run, RunStatus
from kernelkit.testing import VirtualEngine, engine
from kernelkit.ui import words
from kernelkit.ui.batch import batch_text, batch_view
from kernelkit.ui.batch_grid import CODES, NOT_KEPT, batch_grid, cells
from kernelkit.ui.batch_source import BatchSource
from kernelkit.ui.live_view import LiveView, views
from tests.ui import samples
from tests.ui.fakes import until
from tests.ui.samples import BERLIN, NOW
from tests.ui.test_live_view import FakeWidget


def done(number: int, seconds: float = 4.0) -> Run:
    ended = NOW - timedelta(seconds=2 * number)
    return samples.run(
        id=f"run_{number}",
        status=RunStatus.COMPLETED,
        started_at=ended - timedelta(seconds=seconds),
        finished_at=ended,
        attempt_number=1,
    )


def test_every_status_has_a_cell_of_its_own() -> None:
    assert len(set(CODES.values())) == len(CODES) == len(words.STATUSES)
    assert cells([samples.executing(), samples.retrying(), samples.queued(), None]) == "erq" + NOT_KEPT


def test_time_left_comes_from_the_last_runs_and_the_slots_in_use_and_not_before_twenty_have_ended() -> None:
    rest: list[Run | None] = [samples.executing(), *[samples.queued()] * 99]
    early = batch_view("batch_1", [done(n) for n in range(19)] + rest, now=NOW, zone=BERLIN)
    assert (early.left, early.median) == ("", "4 s")

    slots = batch_view("batch_1", [done(n) for n in range(30)] + rest, now=NOW, zone=BERLIN)
    assert (slots.left, slots.rate) == ("about 06:40 left", "0.25 runs/s")  # one slot, four seconds each
    assert "about 06:40 left" in batch_text(slots)
    seen = batch_view("batch_1", [done(n, 0.001) for n in range(30)] + rest, now=NOW, zone=BERLIN)
    assert (seen.left, seen.rate) == ("about 03:20 left", "0.5 runs/s")  # one every two seconds, however short


def test_the_live_picture_counts_together_and_names_failures_and_the_chosen_one() -> None:
    crashed = msgspec.structs.replace(samples.failed(), status=RunStatus.CRASHED)
    items = [samples.failed(), None, samples.executing(), done(1), *[crashed] * 4]
    batch = batch_view("batch_1", items, now=NOW, zone=BERLIN)
    shown = batch_grid(batch, items, chosen=3, now=NOW, zone=BERLIN)

    assert [(count.word, count.count) for count in shown.counts] == [
        ("Executing", 1),
        ("Retrying", 0),
        ("Waiting", 0),
        ("Queued", 0),
        ("Completed", 1),
        ("Failed", 5),
    ]
    assert ([item.index for item in shown.failed], shown.more_failed) == ([0, 4, 5], 2)
    assert shown.chosen is not None and shown.chosen.text == "run_1 · completed in 00:04"
    assert (shown.total, shown.ended, shown.open, shown.is_final) == (8, 7, 1, False)
    assert batch_grid(batch, items, chosen=1, now=NOW, zone=BERLIN).chosen.text == "not kept any more"  # type: ignore[union-attr]  # it is there
    assert batch_grid(batch, items, chosen=8, now=NOW, zone=BERLIN).chosen is None


# ---- the source ----------------------------------------------------------------------------------------------------


@kk.task(retry=None)
async def invert(n: int) -> float:
    return 1 / n


def followed(batch: kk.BatchHandle[Any], opened: list[str]) -> tuple[BatchSource, FakeWidget, list[Any]]:
    published: list[Any] = []
    source, widget = BatchSource(batch, opened.append), FakeWidget()
    source.open()
    views().add(LiveView(source, widget, published.append, pace_s=0.01), "", "")
    return source, widget, published


def test_a_grid_follows_its_runs_and_gives_way_to_its_static_face(kk_engine: VirtualEngine) -> None:
    first = invert.options(idempotency_key="same", delay="2h").trigger(n=5)
    items = [{"n": 0}, kk.Item({"n": 5}, idempotency_key="same"), kk.Item({"n": 4}, delay="1h")]
    batch = invert.batch_trigger(items)
    opened: list[str] = []
    source, widget, published = followed(batch, opened)
    kk_engine.drain()
    until(lambda: widget.painted and widget.painted[-1]["cells"] == "Fll")

    source.asked({"do": "show", "index": 2})
    until(lambda: (widget.painted[-1].get("chosen") or {}).get("index") == 2)
    assert "delayed" in widget.painted[-1]["chosen"]["text"]
    for index in (1, 99, -1):
        source.asked({"do": "card", "index": index})
    until(lambda: opened == [first.id])
    kk_engine.advance(minutes=61)
    until(lambda: widget.painted[-1]["cells"] == "FlC")
    assert not widget.is_closed
    kk_engine.advance(hours=2)  # the run of another trigger, which the batch has no word of

    until(lambda: widget.is_closed)
    assert widget.painted[-1]["cells"] == "FCC"
    assert "3 of 3 ended" in published[0]["text/html"]
    until(lambda: views().count == 0)


def test_the_rest_is_canceled(kk_engine: VirtualEngine) -> None:
    batch = invert.options(delay="1h").batch_trigger([{"n": n} for n in range(30)])
    source, widget, published = followed(batch, [])
    source.asked({"do": "cancel"})
    until(lambda: widget.is_closed)
    assert "30 canceled" in published[0]["text/plain"]
    assert batch.status == "COMPLETED"


def test_a_batch_that_has_ended_shows_itself_without_an_engine() -> None:
    with engine() as eng:
        batch = invert.batch_trigger([{"n": 1}])
        eng.drain()
        batch.result()
    source = BatchSource(batch)
    source.read()
    assert source.is_over
    assert "1/1" in source.bundle()["text/plain"]
