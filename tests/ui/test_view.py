from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from kernelkit.authoring.track import PROGRESS_KEY
from kernelkit.models.error import Error, Frame
from kernelkit.models.run import Attempt, LogLine, Run, RunStatus
from kernelkit.models.wait import Waiting
from kernelkit.ui import text
from kernelkit.ui.view import RunCard, place
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


def reason(shown: RunCard) -> str:
    return text.reason_text(shown.reason, shown)


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
        assert reason(shown).endswith((".", " s"))


def test_a_queued_run_says_the_engines_reason_with_its_numbers() -> None:
    assert reason(card(samples.queued())) == "Waits for a slot in queue images: 4 of 4 running, 17 runs ahead."
    assert card(samples.queued()).attempt == "not started"


def test_a_delayed_run_says_until_when_and_what_pushes_it() -> None:
    delayed = samples.run(status=RunStatus.DELAYED, delay_until=samples.at("14:33:26"))
    pushed = msgspec.structs.replace(delayed, debounce_key="user-1")

    assert reason(card(delayed)) == "Due in 0:05."
    assert reason(card(pushed)) == "Due in 0:05. Triggers with the debounce key user-1 push it back."


def test_a_retrying_run_says_when_and_what_went_wrong() -> None:
    shown = card(samples.retrying())
    assert shown.word == "Retrying"
    assert shown.title == "QUEUED"
    assert reason(shown).startswith("Attempt 3 of 5 in 0:09 (slot given back). Attempt 2 failed: ReadTimeout")
    kept = card(msgspec.structs.replace(samples.retrying(), status=RunStatus.EXECUTING))
    assert "(slot kept)" in reason(kept)


def test_an_executing_run_after_a_failed_attempt_still_tells_of_it() -> None:
    earlier = Attempt(1, "FAILED", error=Error("OSError", "no route"))
    run = msgspec.structs.replace(
        samples.executing(),
        attempt_number=2,
        attempts=(earlier, Attempt(2, "EXECUTING", samples.at("14:32:00"), worker="w3")),
    )
    assert reason(card(run)) == "Attempt 2 started 14:32:00 on worker w3. Attempt 1 failed: OSError: no route"


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


def test_an_error_shows_the_readers_own_frames_and_how_earlier_attempts_went() -> None:
    error = card(samples.failed()).error
    assert error is not None
    assert [(frame.place, frame.function, frame.line) for frame in error.frames] == [
        ("cell [12]", "nightly_report", 7),
        ("cell [9]", "check", 3),
    ]
    assert (error.frames[0].before, error.frames[0].after) == ("rows = await load_sales(day)", "return rows")
    assert error.note == "Attempts 1 and 2 failed with the same error"
    assert error.frame_count == 3


def test_an_attempt_that_failed_otherwise_is_told() -> None:
    failed = samples.failed()
    other = msgspec.structs.replace(failed.attempts[1], error=Error("OSError", "no route"))
    run = msgspec.structs.replace(failed, attempts=(failed.attempts[0], other, failed.attempts[2]))
    error = card(run).error
    assert error is not None
    assert error.note == "Attempt 2 failed with OSError: no route"


def test_an_output_is_cut_at_two_kilobytes_and_eight_lines_and_says_so() -> None:
    long = msgspec.structs.replace(samples.completed(), output_json=json.dumps([f"item {n}" for n in range(500)]))
    output = card(long).output
    assert output is not None
    assert output.is_cut
    assert output.text.count("\n") == 7
    huge = msgspec.structs.replace(samples.completed(), output_json=json.dumps("x" * 5_000_000), output_size=5_000_002)
    output = card(huge).output
    assert output is not None
    assert output.is_cut
    assert len(output.text) <= 2000
    assert output.size == "5 MB"


def test_an_output_that_was_left_out_names_its_size() -> None:
    run = msgspec.structs.replace(samples.completed(), output_json=None, output_size=3_000_000)
    output = card(run).output
    assert output is not None
    assert output.size == "3 MB"


def test_not_a_number_in_an_output_is_shown() -> None:
    run = msgspec.structs.replace(samples.completed(), output_json='{"loss":{"$float":"nan"}}')
    output = card(run).output
    assert output is not None
    assert output.flat == '{"loss": NaN}'


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


def test_places_read_as_a_person_says_them() -> None:
    assert place("<Cell [8]>") == "Cell [8]"
    assert place("/srv/jobs/clean.py") == "/srv/jobs/clean.py"


def test_a_blocked_worker_is_named_before_anything_else() -> None:
    told = "Worker w_1 has not answered for 4 s: this run's body blocks its loop."

    shown = card(msgspec.structs.replace(samples.executing(), notice=told))

    assert reason(shown).startswith(told)


def test_a_waiting_run_says_for_what_and_when_that_is_over() -> None:
    def waits(*what: Waiting) -> str:
        return reason(card(samples.run(status=RunStatus.WAITING, waiting_for=what)))

    in_an_hour = samples.NOW + timedelta(hours=1)
    assert waits(Waiting("duration", until=in_an_hour)).startswith("For time, which is over ")
    assert waits(Waiting("token", token_id="waitpoint_1", shown="approval")) == "For token approval. No slot is held."
    assert waits(Waiting("task", run_id="run_2", shown="child")) == "For run run_2 of child. No slot is held."
    stream = waits(Waiting("stream", shown="orders", until=in_an_hour))
    assert stream.startswith("For a value of the input stream orders, which times out ")
    many = [Waiting("batch", batch_id=f"batch_{n}", left=n) for n in range(1, 6)]
    assert waits(*many).endswith("; for 3 runs of batch batch_3 and 2 more. No slot is held.")
    assert waits(Waiting("token", shown="\x1b[31mred\x1b[0m")) == "For token red. No slot is held."


def test_an_executing_run_says_when_it_would_be_stopped_and_what_made_it() -> None:
    run = msgspec.structs.replace(samples.executing(), max_duration=1800.0, machine="large-1x", schedule_id="nightly")
    assert " Stops after 30 min." in reason(card(run))
    assert {"machine large-1x", "schedule nightly"} <= set(card(run).facts)


def test_the_view_that_a_saved_notebook_keeps_of_an_ended_run_is_smaller_still() -> None:
    frames = tuple(Frame(f"<cell [{n}] of a.ipynb>", n, "f", "x" * 300, True, "y" * 300, "z" * 300) for n in range(8))
    error = Error(name="ValueError", message="m" * 5_000, traceback="t" * 9_000, frames=frames)
    view = live_view(card(msgspec.structs.replace(samples.failed(), error=error)))
    assert len(msgspec.json.encode(view)) <= 3_600
    assert len(view["error"]["frames"]) == 6
