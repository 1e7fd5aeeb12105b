"""What the live runs table shows, and how it follows the runs of a virtual engine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import kernelkit as kk
from kernelkit.models.filter import RunFilter
from kernelkit.testing import VirtualEngine
from kernelkit.ui.live_view import LiveView, views
from kernelkit.ui.table import runs_table
from kernelkit.ui.table_live import Asked, LiveTable, durations, live_table
from kernelkit.ui.table_source import TableSource
from tests.ui import samples
from tests.ui.fakes import until
from tests.ui.samples import BERLIN, NOW
from tests.ui.test_live_view import FakeWidget

RUNS = [samples.executing(), samples.retrying(), samples.queued(), samples.failed(), samples.canceled()]
COUNTS = {"EXECUTING": 2, "QUEUED": 1402, "FAILED": 811, "COMPLETED": 101_912, "CANCELED": 1}


def picture(runs: Any = RUNS, **more: Any) -> LiveTable:
    page = runs_table(runs, total=len(runs), has_more=True, now=NOW, zone=BERLIN)
    given: dict[str, Any] = {"asked": Asked(RunFilter()), "counts": COUNTS, "now": NOW, "zone": BERLIN, "older": True}
    return live_table(page, **given | more)


def test_rows_say_the_words_of_the_static_table_and_chips_their_counts() -> None:
    shown = picture()

    assert [(row.task, row.word, row.clock) for row in shown.rows][:2] == [
        ("embed-documents", "Executing", "02:14"),
        ("fetch-prices", "Retrying", "00:41"),
    ]
    assert [row.can_cancel for row in shown.rows] == [True, True, True, False, False]
    assert [(chip.word, chip.count) for chip in shown.chips] == [
        ("Queued", "1,402"),
        ("Executing", "2"),
        ("Waiting", "0"),
        ("Completed", "101.9k"),
        ("Failed", "811"),
    ]
    assert (shown.total, shown.total_text, shown.cancelable) == (104_128, "104,128", 1404)
    assert shown.place == "1 – 5 of 104,128"


def test_what_is_asked_for_is_told_and_counted() -> None:
    asked = Asked(RunFilter(status=("FAILED",), search="INV", tag=("user_1",), created_from=5), period_s=604_800.0)
    shown = picture(asked=asked)

    assert shown.total_text == "811 match in the last 7 days · tag user_1"
    assert [chip.status for chip in shown.chips if chip.on] == ["FAILED"]
    assert (shown.search, shown.period, shown.cancelable) == ("INV", 3, 0)
    nothing = picture([], asked=asked, counts={}, older=False)
    assert nothing.empty == "No failed run contains “INV” with tag user_1 in the last 7 days."
    assert (nothing.total_text, nothing.wider) == ("no match", "all time")
    assert picture([], counts={}, older=False).empty == "No runs so far. `task.trigger(…)` makes one."


def test_durations_are_on_a_square_root_scale_and_failures_are_capped() -> None:
    assert durations([("COMPLETED", 7.0)]) is None
    last = durations([("COMPLETED", 28.0), ("FAILED", 900.0), ("EXPIRED", None), ("COMPLETED", 7.0)])
    assert last is not None
    assert last.bars == (("COMPLETED", 50), ("FAILED", 100), ("COMPLETED", 100))
    assert last.told == "Durations of the last 3 ended runs: median 28 s, longest 28 s, 1 failed (square-root scale)"


def test_a_page_of_the_longest_names_is_a_small_message() -> None:
    run = msgspec.structs.replace(RUNS[0], task_id="x" * 128, queue="q" * 128, tags=("t" * 128,) * 10)
    runs = [msgspec.structs.replace(run, id=f"run_01k2n5qzx4c7r8d2m{n:02}") for n in range(25)]
    shown = picture(runs, last=[("COMPLETED", n / 7) for n in range(40)], tasks=[f"task-{n}" for n in range(20)])

    assert len(msgspec.json.encode(shown)) < 16_000


# ---- the source ----------------------------------------------------------------------------------------------------


@kk.task
async def square(n: int) -> int:
    if n % 5 == 4:
        raise kk.AbortTaskRunError(f"no square of {n}")
    return n * n


@pytest.fixture
def source(kk_engine: VirtualEngine) -> Any:
    square.batch_trigger([{"n": n} for n in range(60)])  # whose ids are in order
    kk_engine.drain()
    found = TableSource(kk.runs.list())
    found.open()
    yield found
    found.close()


def ask(source: TableSource, do: str, **more: Any) -> LiveTable:
    source._count_at = 0.0
    source.asked({"do": do, **more})
    source.read()
    return source.table()


def ns(table: LiveTable) -> list[int]:
    return [kk.runs.retrieve(row.id).payload["n"] for row in table.rows]


def test_pages_go_older_and_back_and_only_the_first_lets_new_runs_in(
    source: TableSource, kk_engine: VirtualEngine
) -> None:
    first = source.table()
    assert (first.total, first.newer, first.older, first.place) == (60, False, True, "1 – 25 of 60")
    older = ask(source, "page", to="older")
    assert (ns(older), older.place) == (list(range(34, 9, -1)), "26 – 50 of 60")
    last = ask(source, "page", to="older")
    assert (len(last.rows), last.older, last.place) == (10, False, "51 – 60 of 60")

    square.trigger(n=60)
    kk_engine.drain()
    still = ask(source, "here")
    assert (still.rows, still.total, still.new) == (last.rows, 61, 0)
    assert ask(source, "page", to="newer").place == "26 – 50 of 61"
    unsure = ask(source, "page", to="newer")
    assert (ns(unsure), unsure.newer, unsure.place) == (list(range(59, 34, -1)), True, "25 of 61")
    back = ask(source, "page", to="newer")
    assert (ns(back), back.newer, back.place) == (list(range(60, 35, -1)), False, "1 – 25 of 61")


def test_new_rows_are_held_while_the_reader_is_about_to_click(source: TableSource, kk_engine: VirtualEngine) -> None:
    before = ask(source, "hold", on=True)
    square.batch_trigger([{"n": n} for n in range(60, 64)])
    kk_engine.drain()
    held = ask(source, "here")
    assert ([row.id for row in held.rows], held.new, held.held) == ([row.id for row in before.rows], 4, True)

    assert ns(ask(source, "new"))[:4] == [63, 62, 61, 60]
    square.trigger(n=64)
    kk_engine.drain()
    assert ask(source, "here").new == 1
    assert ns(ask(source, "hold", on=False))[0] == 64
    ask(source, "live", on=False)
    square.trigger(n=65)
    kk_engine.drain()
    quiet = ask(source, "here")
    assert (ns(quiet)[0], quiet.new, quiet.live) == (64, 1, False)


def test_a_row_that_does_not_match_any_more_makes_room(source: TableSource, kk_engine: VirtualEngine) -> None:
    square.options(delay="1h").trigger(n=61)
    delayed = ask(source, "filter", status=["DELAYED"], search="", task="", period=0)
    assert (ns(delayed), delayed.cancelable) == ([61], 1)

    kk_engine.advance(hours=2)
    assert ask(source, "here").empty == "No delayed run."
    assert ask(source, "filter", status=[], search="", task="", period=0).total == 61


def test_filters_search_and_clearing(source: TableSource) -> None:
    failed = ask(source, "filter", status=["FAILED", "no such"], search=" square of 5 ", task="square", period=3)
    assert (ns(failed), failed.total_text, failed.search) == ([59, 54], "2 match in the last 7 days", "square of 5")
    assert failed.last is not None and failed.last.failed == 2
    assert ask(source, "filter", search="\ud800", status=[], task="", period=99).problem.startswith("The search is")
    assert ask(source, "filter", clear=True).total == 60


def test_chosen_runs_are_replayed_and_what_could_not_be_is_told(source: TableSource, kk_engine: VirtualEngine) -> None:
    chosen = [row.id for row in source.table().rows[:2]]
    ask(source, "bulk", kind="REPLAY", ids=[*chosen, "run_unknown", 7])
    until(lambda: source.table().action.over)  # type: ignore[union-attr]  # it has begun
    action = source.table().action
    assert action is not None and (action.done, action.total) == (3, 3)
    assert "1 could not be replayed: No run 'run_unknown'" in action.trouble
    kk_engine.drain()
    assert ask(source, "dismiss").action is None
    assert ns(source.table())[:2] == [58, 59] or ns(source.table())[:2] == [59, 58]


def test_every_run_that_matches_is_canceled_and_no_other(source: TableSource, kk_engine: VirtualEngine) -> None:
    waiting = [square.options(delay="1h", tags=["mine"]).trigger(n=n) for n in range(120)]
    other = square.options(delay="1h").trigger(n=0)
    ask(source, "filter", status=[], search="mine", task="", period=0)
    ask(source, "bulk", kind="CANCEL", all=True)
    refused = ask(source, "bulk", kind="CANCEL", ids=[other.id])
    until(lambda: source.table().action.over)  # type: ignore[union-attr]  # it has begun

    assert refused.problem == "" or "under way" in refused.problem
    assert all(run.status == "CANCELED" for run in waiting)
    action = source.table().action
    assert action is not None and (action.label, action.done, action.total, action.trouble) == (
        "Canceled",
        120,
        120,
        "",
    )
    assert ask(source, "filter", status=["COMPLETED"], search="", task="", period=0).cancelable == 0
    assert "nothing can be canceled" in ask(source, "bulk", kind="CANCEL", all=True).problem


def test_a_card_is_asked_for(kk_engine: VirtualEngine) -> None:
    run = square.trigger(n=1)
    opened: list[str] = []
    source = TableSource(kk.runs.list(tag="nobody"), opened.append)
    source.open()
    assert source.table().total_text == "no match"
    ask(source, "card", id=run.id)
    ask(source, "card", id=7)
    assert opened == [run.id]
    assert source.table().empty == "No run with tag nobody."
    assert "No run with tag nobody." in source.bundle()["text/plain"]
    source.close()


def test_a_table_goes_on_until_its_cell_is_executed_again(kk_engine: VirtualEngine) -> None:
    square.trigger(n=1)
    published: list[Any] = []
    shown = []
    for n in range(3):
        source, widget = TableSource(kk.runs.list()), FakeWidget()
        source.open()
        views().add(LiveView(source, widget, published.append, pace_s=0.01), "cell-1", f"msg-{n}")
        shown.append(widget)
    kk_engine.drain()
    until(lambda: [widget.is_closed for widget in shown] == [True, True, False])
    until(lambda: shown[-1].painted and shown[-1].painted[-1]["rows"][0]["status"] == "COMPLETED")
    assert all("Look" not in each["text/html"] for each in published)
    views()._views[-1].stop()
    until(lambda: shown[-1].is_closed and views().count == 0)
