from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernelkit.engine import commands as c
from kernelkit.engine.attempts import StaleFence
from kernelkit.engine.listing import list_runs, summarize_runs
from kernelkit.engine.values import held_refs
from kernelkit.errors import StoreFullError, UnknownRunError, UnknownTaskError
from kernelkit.models.run import RunStatus
from kernelkit.models.value import Value
from kernelkit.models.wait import Wait
from kernelkit.wire import messages as m
from tests.engine.fixtures import Bench
from tests.engine.samples import BROKEN, SECOND, T0

LARGE = '"' + "x" * 2_000 + '"'


def large() -> Value:
    return Value(text=LARGE, size=len(LARGE))


def succeeded(output: Value | None = None) -> m.Succeeded:
    return m.Succeeded(output or Value(text="42", size=2), T0, T0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.store.close()


# ---- nothing before the commit ---------------------------------------------------------------------------------------


def test_replies_dispatches_and_notices_leave_after_the_commit_and_in_order(bench: Bench) -> None:
    said: list[str] = []
    bench.trigger("run_1", lambda: said.append("triggered"))

    bench.turn()
    assert (said, bench.workers.started, bench.notes.changes) == ([], [], [])

    bench.writer.commit()
    assert said == ["triggered"]
    assert [start.run_id for start in bench.workers.started] == ["run_1"]


def test_what_one_turn_takes_is_one_commit(bench: Bench) -> None:
    before = len(bench.writer.batches)
    for number in range(5):
        bench.trigger(f"run_{number}")

    bench.settle()

    assert len(bench.writer.batches) == before + 1


def test_a_refused_command_leaves_nothing_behind(bench: Bench) -> None:
    before = bench.core.state.dump()

    with pytest.raises(UnknownTaskError):
        bench.trigger("run_1", lambda: pytest.fail("it was refused"), task_id="nothing", payload=large())
    bench.settle()

    assert bench.core.state.dump() == before
    assert bench.store.values(["run_1:payload"]) == {}


def test_an_answer_without_events_still_waits_for_those_before_it(bench: Bench) -> None:
    said: list[str] = []
    bench.trigger("run_1")
    bench.turn()
    bench.core.after_commit(lambda: said.append("read"))
    bench.turn()

    assert said == []
    bench.writer.commit()
    assert said == ["read"]


def test_the_timer_is_set_for_the_next_retry(bench: Bench) -> None:
    bench.trigger("run_1")
    bench.report("run_1", m.Failed(BROKEN, T0, T0))

    assert bench.timers[-1] == T0 + SECOND


# ---- large values ----------------------------------------------------------------------------------------------------


def test_values_over_a_kibibyte_are_set_aside_and_come_back_whole(bench: Bench) -> None:
    bench.trigger("run_1", payload=large())
    bench.settle()

    assert bench.core.state.runs["run_1"].payload == Value(ref="run_1:payload", size=len(LARGE))
    assert bench.workers.started[0].payload.text == LARGE
    assert bench.store.values(["run_1:payload"]) == {"run_1:payload": LARGE}

    bench.report("run_1", succeeded(large()))
    bench.settle()
    assert bench.notes.ends[0].output_json == LARGE
    assert bench.core.read_run("run_1")().payload_json == LARGE


def test_a_large_value_that_is_sent_again_is_stored_once(bench: Bench) -> None:
    for _ in range(3):
        bench.trigger("run_1", payload=large())
        bench.settle()

    assert sum(len(batch.values) for batch in bench.writer.batches) == 1


def test_a_recovered_engine_reads_large_payloads_from_the_store(bench: Bench) -> None:
    bench.core.capacity = c.Capacity(attempts=0)
    bench.trigger("run_1", payload=large())
    bench.settle()

    again = bench.again()
    again.core.take(c.Tick())
    again.settle()

    assert again.workers.started[0].payload.text == LARGE


def test_a_recovered_engine_has_the_large_results_of_steps(bench: Bench) -> None:
    # They were set aside, and then not written: the next engine could not start the run's second attempt.
    bench.trigger("run_1")
    bench.settle()
    bench.report("run_1", m.KeepStep("step:a", large()))
    bench.settle()

    again = bench.again()
    again.report("run_1", m.Failed(BROKEN, T0, T0))
    again.clock.moment += 60 * SECOND
    again.core.take(c.Tick())
    again.settle()

    assert again.workers.started[0].steps == {"step:a": LARGE}


def test_a_recovered_engine_has_the_large_values_of_tokens(bench: Bench) -> None:
    # A run that waited for one was given null.
    bench.core.take(c.ChangeToken(m.MakeToken("waitpoint_00000000000000000a", name="approval")))
    bench.core.take(c.ChangeToken(m.CompleteToken("waitpoint_00000000000000000a", large())))
    bench.trigger("run_1")
    bench.settle()

    again = bench.again()
    again.report("run_1", m.OpenWait("wait:a", Wait("token", token="waitpoint_00000000000000000a")))
    again.settle()

    (told,) = again.workers.told
    assert told.results[0].value is not None and told.results[0].value.text == LARGE
    token = again.core.state.tokens["waitpoint_00000000000000000a"].value
    assert token is not None and held_refs(again.core.state) == {token.ref}


# ---- canceling -------------------------------------------------------------------------------------------------------


def test_a_cancel_tells_who_waits_at_once_and_the_worker_to_stop(bench: Bench) -> None:
    bench.trigger("run_1")
    bench.settle()

    bench.core.take(c.CancelRun("run_1", "enough"))
    bench.settle()

    (end,) = bench.notes.ends
    assert (end.status, end.canceled_reason) == (RunStatus.CANCELED, "enough")
    assert end.error is not None and end.error.message == "enough"
    ((worker_id, stop),) = bench.workers.stopped
    assert (worker_id, stop.run_id, stop.reason, stop.signal_s) == ("w1", "run_1", "enough", 0.0)


# ---- recovery --------------------------------------------------------------------------------------------------------


def test_a_new_engine_knows_what_was_committed_and_nothing_else(bench: Bench) -> None:
    bench.trigger("run_1")
    bench.settle()
    before = bench.core.state.dump()
    bench.trigger("run_2")

    again = bench.again()

    assert again.core.state.dump() == before


@pytest.mark.parametrize("snapshot_after", ["nothing", "trigger", "end"])
def test_a_run_that_ended_before_the_crash_is_found_wherever_the_last_snapshot_was(
    bench: Bench, snapshot_after: str
) -> None:
    bench.trigger("run_1")
    bench.settle()
    if snapshot_after == "trigger":
        bench.core.snapshot()
    bench.report("run_1", succeeded())
    bench.settle()
    if snapshot_after == "end":
        bench.core.snapshot()
    bench.settle()

    again = bench.again()

    assert again.core.read_run("run_1")().output == 42
    assert "run_1" not in again.core.state.runs


def test_a_report_of_a_former_engines_attempt_is_taken_once(bench: Bench) -> None:
    bench.trigger("run_1")
    bench.settle()
    report = c.TakeReport("run_1", bench.core.state.runs["run_1"].fence, succeeded())
    again = bench.again()

    again.core.take(report)
    with pytest.raises(StaleFence):
        again.core.take(report)


def test_an_unknown_run_is_said_to_be_unknown(bench: Bench) -> None:
    with pytest.raises(UnknownRunError, match="No run 'run_9' is kept in this home"):
        bench.core.read_run("run_9")()


def test_while_the_store_cannot_commit_nothing_new_is_taken_in_words(bench: Bench) -> None:
    bench.writer.problem = "the disk is full"

    with pytest.raises(StoreFullError, match=r"the disk is full\. Nothing of this call was stored\. Free some space"):
        bench.core.refuse_if_full()


# ---- the ledger and lists --------------------------------------------------------------------------------------------


def test_a_finished_run_is_found_before_during_and_after_its_way_to_history(bench: Bench) -> None:
    bench.trigger("run_1")
    bench.report("run_1", succeeded())
    assert bench.core.read_run("run_1")().status is RunStatus.COMPLETED

    bench.settle()
    bench.core.flush_history()
    bench.turn()
    assert (bench.core.ledger.waiting, len(bench.core.ledger.rows())) == (0, 1)
    assert bench.core.read_run("run_1")().status is RunStatus.COMPLETED

    bench.settle()
    assert bench.core.ledger.rows() == []
    assert bench.core.read_run("run_1")().status is RunStatus.COMPLETED


def test_pages_hold_live_runs_runs_on_their_way_and_history_alike_newest_first(bench: Bench) -> None:
    # Runs that had ended but were not yet in history were missing from lists for the time of a commit.
    for number in range(9):
        bench.trigger(f"run_{number}")
    for number in (1, 4, 7):
        bench.report(f"run_{number}", succeeded())
    bench.settle()
    bench.core.flush_history()
    bench.settle()
    for number in (2, 5):
        bench.report(f"run_{number}", succeeded())

    first = list_runs(bench.core, m.ListRuns(limit=4))()
    second = list_runs(bench.core, m.ListRuns(limit=4, after=first.runs[-1].id))()
    third = list_runs(bench.core, m.ListRuns(limit=4, after=second.runs[-1].id))()

    assert [run.id for run in first.runs] == ["run_8", "run_7", "run_6", "run_5"]
    assert [run.id for run in second.runs] == ["run_4", "run_3", "run_2", "run_1"]
    assert [run.id for run in third.runs] == ["run_0"]
    assert [page.has_more for page in (first, second, third)] == [True, True, False]
    assert [page.has_previous for page in (first, second, third)] == [False, True, True]
    assert {page.total for page in (first, second, third)} == {9}

    back = list_runs(bench.core, m.ListRuns(limit=4, before=third.runs[0].id))()
    newest = list_runs(bench.core, m.ListRuns(limit=4, before=back.runs[0].id))()
    assert (back.runs, newest.runs) == (second.runs, first.runs)
    assert [(page.has_previous, page.has_more) for page in (back, newest)] == [(True, True), (False, True)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (m.ListRuns(status=("COMPLETED",)), ["run_1"]),
        (m.ListRuns(status=("DEQUEUED",)), ["run_2", "run_0"]),
        (m.ListRuns(tag=("red",)), ["run_2", "run_1"]),
        (m.ListRuns(task=("mail",)), []),
        (m.ListRuns(queue=("task/resize",)), ["run_2", "run_1", "run_0"]),
    ],
)
def test_filters_hold_wherever_a_run_is(bench: Bench, asked: m.ListRuns, expected: list[str]) -> None:
    bench.trigger("run_0")
    bench.trigger("run_1", tags=("red",))
    bench.trigger("run_2", tags=("red", "blue"))
    bench.report("run_1", succeeded())

    for _ in range(2):
        page = list_runs(bench.core, asked)()
        assert ([run.id for run in page.runs], page.total) == (expected, len(expected))
        bench.core.flush_history()
        bench.settle()


def test_a_run_that_ends_while_a_list_is_read_is_in_it_once(bench: Bench) -> None:
    # It was shown twice: as it had been, and as history had it by the time that was read.
    for number in range(3):
        bench.trigger(f"run_{number}")
    bench.report("run_0", succeeded())

    page = list_runs(bench.core, m.ListRuns())
    summary = summarize_runs(bench.core, m.SummarizeRuns())
    bench.report("run_1", succeeded())
    bench.core.flush_history()
    bench.settle()

    shown = page()
    assert ([run.id for run in shown.runs], shown.total) == (["run_2", "run_1", "run_0"], 3)
    assert summary().counts == {"COMPLETED": 1, "DEQUEUED": 2}


def test_a_summary_counts_runs_wherever_they_are_and_names_those_that_ended_last(bench: Bench) -> None:
    for number in range(5):
        bench.trigger(f"run_{number}", tags=("red",) if number % 2 else ())
    bench.report("run_1", succeeded())
    bench.report("run_2", succeeded())

    for _ in range(2):
        summary = summarize_runs(bench.core, m.SummarizeRuns(status=("FAILED",)))()
        assert summary.counts == {"COMPLETED": 2, "DEQUEUED": 3}
        assert [status for status, _ in summary.last] == ["COMPLETED"] * 2
        red = summarize_runs(bench.core, m.SummarizeRuns(tag=("red",)))()
        assert (red.counts, len(red.last)) == ({"COMPLETED": 1, "DEQUEUED": 1}, 1)
        bench.core.flush_history()
        bench.settle()


def test_what_comes_while_the_engine_stops_is_not_written_any_more(bench: Bench) -> None:
    # Callbacks of the last commits put more into the closed writer, and each left a traceback in the log.
    bench.trigger("run_1")
    bench.turn()
    before = len(bench.writer.batches)

    bench.core.close()
    bench.settle()
    bench.trigger("run_2")
    bench.settle()

    assert len(bench.writer.batches) == before + 1, "only what the writer had already"
    assert [attempt.run_id for attempt in bench.workers.started] == ["run_1"]
