from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.models.error import Error, Frame
from kernelkit.models.run import Attempt, LogLine, Run, RunStatus
from kernelkit.ui import text
from kernelkit.ui.widget import live_view
from tests.ui import samples
from tests.ui.samples import card

ALL = [
    samples.queued(),
    samples.executing(),
    samples.retrying(),
    samples.completed(),
    samples.failed(),
    samples.canceled(),
    samples.expired(),
    *(samples.run(status=status) for status in RunStatus),
]


def test_the_same_run_and_moment_give_the_same_view() -> None:
    assert card(samples.executing(), samples.LOGS) == card(samples.executing(), samples.LOGS)


@pytest.mark.parametrize("run", ALL, ids=lambda run: run.status)
def test_every_status_has_a_view_that_says_its_word_and_why_or_what_came_of_it(run: Run) -> None:
    shown = card(run)
    assert shown.word
    if run.status not in (
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.CRASHED,
        RunStatus.SYSTEM_FAILURE,
        RunStatus.TIMED_OUT,
    ):
        assert text.reason_text(shown.reason, shown).endswith((".", " s"))


def test_the_clock_ticks_from_the_first_start_and_stands_at_the_end() -> None:
    live, over = card(samples.executing()), card(samples.completed())
    assert live.since == samples.at("14:31:07")
    assert over.since is None
    assert over.clock == "08:51"
    quick = msgspec.structs.replace(
        samples.completed(), finished_at=samples.at("14:31:07") + timedelta(milliseconds=420)
    )
    assert card(quick).clock == "420 ms"


def test_bars_come_from_what_track_keeps_and_are_no_metadata() -> None:
    shown = card(samples.executing())
    assert [(bar.label, bar.done, bar.total, bar.left) for bar in shown.bars] == [
        ("Embedding", 1204, 4800, "06:40"),
        ("Uploading", 18, 75, "–"),
    ]
    assert [pair.key for pair in shown.metadata] == ["model", "tokens", "cost_eur"]


def test_of_many_loops_those_still_going_are_shown_first() -> None:
    loops = [samples.progress(f"loop {n}", n, 10, ended=n not in (0, 7)) for n in range(9)]
    run = msgspec.structs.replace(samples.executing(), metadata_json=json.dumps({PROGRESS_KEY: loops}))
    assert [bar.label for bar in card(run).bars] == ["loop 0", "loop 7", "loop 8"]


@pytest.mark.parametrize("bad", ["text", 5, None, {"done": 1}, [1, None, {"done": "x"}, {"done": True}, {"done": -1}]])
def test_metadata_written_by_hand_over_the_bars_breaks_nothing(bad: object) -> None:
    run = msgspec.structs.replace(samples.executing(), metadata_json=json.dumps({PROGRESS_KEY: bad}))
    assert card(run).bars == ()


def test_a_bar_past_its_total_or_without_one_stays_in_its_track() -> None:
    loops = [samples.progress("over", 12, 10), samples.progress("endless", 7, None), samples.progress("empty", 0, 0)]
    run = msgspec.structs.replace(samples.executing(), metadata_json=json.dumps({PROGRESS_KEY: loops}))
    assert [bar.share for bar in card(run).bars] == [1.0, 0.0, 0.0]


def test_more_than_six_pairs_and_three_tags_are_counted() -> None:
    metadata = json.dumps({f"key_{n}": n for n in range(18)})
    run = msgspec.structs.replace(samples.executing(), metadata_json=metadata, tags=("a", "b", "c", "d", "e"))
    shown = card(run)
    assert (len(shown.metadata), shown.more_metadata) == (6, 12)
    assert (shown.tags, shown.more_tags) == (("a", "b", "c"), 2)


def test_the_last_four_lines_are_shown_with_short_levels() -> None:
    lines = tuple(LogLine(samples.NOW, "stderr", f"line {n}") for n in range(9))
    shown = card(samples.executing(), lines)
    assert [(row.level, row.text) for row in shown.logs] == [("err", f"line {n}") for n in (5, 6, 7, 8)]


def test_the_worst_view_a_task_can_make_fits_in_eight_kilobytes() -> None:
    monster = "\x1b[31m<script>" + "ü" * 10_000
    metadata = {f"{n}{monster}": monster for n in range(50)}
    metadata[PROGRESS_KEY] = [samples.progress(monster, 1, 10) for _ in range(50)]  # type: ignore[assignment]  # hostile
    frames = tuple(Frame(monster, 3, monster, monster, True, monster, monster) for _ in range(50))
    error = Error(monster, monster, traceback=monster * 5, frames=frames)
    lines = tuple(LogLine(samples.NOW, monster, monster) for _ in range(50))
    attempts = tuple(Attempt(n, "FAILED", error=error, worker=monster) for n in range(1, 251))
    for status in RunStatus:
        run = samples.run(
            task_id=monster,
            status=status,
            queue=monster,
            tags=(monster,) * 10,
            metadata_json=json.dumps(metadata),
            queued_reason=monster,
            canceled_reason=monster,
            worker=monster,
            version=monster,
            error=error,
            attempts=attempts,
            attempt_number=250,
            output_json=json.dumps(monster),
            started_at=samples.NOW,
        )
        size = len(json.dumps(live_view(card(run, lines)), ensure_ascii=False).encode())
        assert size <= 8000, (status, size)


def test_the_view_that_a_saved_notebook_keeps_of_an_ended_run_is_smaller_still() -> None:
    frames = tuple(Frame(f"<cell [{n}] of a.ipynb>", n, "f", "x" * 300, True, "y" * 300, "z" * 300) for n in range(8))
    error = Error(name="ValueError", message="m" * 5_000, traceback="t" * 9_000, frames=frames)
    view = live_view(card(msgspec.structs.replace(samples.failed(), error=error)))
    assert len(msgspec.json.encode(view)) <= 3_600
    assert len(view["error"]["frames"]) == 6
