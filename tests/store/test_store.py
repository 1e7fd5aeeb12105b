from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from kernelkit.clock import from_datetime
from kernelkit.config import EngineSettings
from kernelkit.errors import StoreError
from kernelkit.ids import make_id
from kernelkit.models.error import Error
from kernelkit.models.filter import RunFilter
from kernelkit.models.run import RunStatus
from kernelkit.rules.matching import matches
from kernelkit.store.opening import RESTING_BYTES
from kernelkit.store.rows import Batch, HistoryRow, LineRow, LogRow, Seen, ValueRow
from kernelkit.store.store import Store
from kernelkit.wire.messages import GetLogs, ListRuns
from tests.store.samples import (
    DAY,
    FAILURE,
    START,
    ended,
    event,
    events,
    finished,
    home_in,
    line,
    open_store,
    run_id,
)

NOW = int(START.timestamp()) * 1_000_000


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()


def history(*numbers: int) -> Batch:
    return Batch(history=[ended(finished(number), seq=number) for number in numbers])


def test_a_new_store_recovers_to_nothing(store: Store) -> None:
    recovered = store.recover()

    assert (recovered.snapshot, recovered.seq, recovered.history_seq) == (None, 0, 0)
    assert list(recovered.events) == []
    assert store.last_seq == 0


def test_what_was_appended_is_there_after_reopening_the_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(events(1, 2))
    store.append(events(3))
    assert len(store.commits) == 2 and min(store.commits) > 0
    store.close()

    again = open_store(tmp_path)

    assert again.last_seq == 3
    assert list(again.recover().events) == [event(1), event(2), event(3)]
    again.close()


def test_recovery_reads_only_the_events_after_the_newest_snapshot(store: Store) -> None:
    store.append(events(1, 2, 3, 4))
    store.write_snapshot(1, b"one")
    store.write_snapshot(2, b"two")
    store.write_snapshot(3, b"three\x00")

    recovered = store.recover()

    assert (recovered.snapshot, recovered.seq) == (b"three\x00", 3)
    assert [row.seq for row in recovered.events] == [4]


def test_a_snapshot_of_events_that_are_not_on_disk_is_refused(store: Store) -> None:
    store.append(events(1))

    with pytest.raises(ValueError, match="before the event is on disk"):
        store.write_snapshot(2, b"early")


def test_a_batch_with_one_bad_row_leaves_nothing_and_the_next_one_is_clean(store: Store) -> None:
    bad = Batch(
        events=[event(1)],
        values=[ValueRow("r1", "1"), ValueRow("r2", object())],  # type: ignore[arg-type]  # the point of the test
    )

    with pytest.raises((StoreError, TypeError, RuntimeError)):
        store.append(bad)
    store.append(Batch(events=[event(2)], values=[ValueRow("r3", "3")]))

    assert [row.seq for row in store.recover().events] == [2]
    assert store.values(["r1", "r2", "r3"]) == {"r3": "3"}
    assert store.last_seq == 2


def test_a_finished_run_comes_back_as_it_was(store: Store) -> None:
    run = finished(
        7,
        status=RunStatus.FAILED,
        error=FAILURE,
        tags=("a", "it's"),
        metadata_json='{"x":1}',
        output_json=None,
        parent_id=run_id(1),
        root_id=run_id(1),
        depth=2,
        batch_id="batch_1",
        peak_memory=5_000_000_000,
        worker="w1",
        children=3,
    )

    store.append(Batch(history=[ended(run)]))

    assert store.run(run.id) == run
    assert store.run("run_unknown") is None


def test_large_values_are_joined_to_a_single_run_and_left_out_of_lists(store: Store) -> None:
    run = finished(1, payload_json=None, payload_size=2000, output_json=None, output_size=3000)
    store.append(
        Batch(
            values=[ValueRow("p", '"payload"'), ValueRow("o", '"output"')],
            history=[ended(run, payload_ref="p", output_ref="o")],
        )
    )

    single = store.run(run.id)
    listed = store.runs(ListRuns())[0][0]

    assert single is not None
    assert (single.payload, single.output) == ("payload", "output")
    assert (listed.payload_json, listed.payload_size, listed.output_json) == (None, 2000, None)


def test_a_row_that_replaces_leaves_one_row(store: Store) -> None:
    store.append(history(1, 2))
    late = msgspec.structs.replace(finished(1), metadata_json='{"late":true}')

    store.append(Batch(history=[HistoryRow(late, None, None, 1, replaces=True)]))

    assert store.run(run_id(1)) == late
    assert store.runs(ListRuns())[1] == 2
    assert store.recover().history_seq == 2


def test_pages_follow_each_other_from_the_newest_to_the_oldest(store: Store) -> None:
    store.append(history(*range(1, 8)))

    first, total = store.runs(ListRuns(limit=3))
    second, _ = store.runs(ListRuns(limit=3, after=first[-1].id))
    third, total_then = store.runs(ListRuns(limit=3, after=second[-1].id))

    assert [run.id for run in first + second + third] == [run_id(n) for n in (7, 6, 5, 4, 3, 2, 1)]
    assert total == total_then == 7


def test_filters_of_a_list_hold_together(store: Store) -> None:
    store.append(
        Batch(
            history=[
                ended(finished(1, tags=("a",))),
                ended(finished(2, tags=("b", "c"), status=RunStatus.FAILED)),
                ended(finished(3, tags=("c",), task_id="other", queue="slow", batch_id="batch_1")),
                ended(finished(4, tags=(), parent_id=run_id(1), root_id=run_id(1))),
            ]
        )
    )

    def found(asked: ListRuns, seen: set[str] | None = None) -> list[int]:
        runs, total = store.runs(asked, Seen(ended=seen or ()))
        assert total == len(runs)
        return [int(run.id.removeprefix("run_")) for run in runs]

    assert found(ListRuns(tag=("a", "c"))) == [3, 2, 1]
    assert found(ListRuns(tag=("c",), status=("FAILED", "CRASHED"))) == [2]
    assert found(ListRuns(task=("other",))) == [3]
    assert found(ListRuns(queue=("slow",))) == [3]
    assert found(ListRuns(batch=("batch_1",))) == [3]
    assert found(ListRuns(parent=(run_id(1),))) == [4]
    assert found(ListRuns(root=(run_id(1), run_id(3)))) == [4, 3, 1]
    assert found(ListRuns(), {run_id(4), run_id(1)}) == [3, 2]
    assert found(ListRuns(tag=("nobody's",))) == []


def test_what_is_committed_while_a_list_is_read_is_not_in_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(history(1))
    look = store._those_in_history

    def look_and_commit(run_ids: Collection[str]) -> list[str]:
        found = look(run_ids)
        store.append(history(2))
        return found

    monkeypatch.setattr(store, "_those_in_history", look_and_commit)
    runs, total = store.runs(ListRuns(), Seen(ended=[run_id(2)]))

    assert ([run.id for run in runs], total) == ([run_id(1)], 1)
    monkeypatch.undo()
    assert store.runs(ListRuns())[1] == 2


def test_history_is_counted_by_status(store: Store) -> None:
    store.append(history(1, 2))
    store.append(Batch(history=[ended(finished(3, status=RunStatus.CRASHED))]))

    assert store.counts() == {"COMPLETED": 2, "CRASHED": 1}


def test_the_last_lines_of_a_run_come_oldest_first_with_the_number_of_dropped_ones(store: Store) -> None:
    store.append(Batch(lines=[line(1, 1, "first"), line(1, 2, "second"), line(1, 10, "last"), line(2, 1, "else")]))

    logs = store.lines(run_id(1), 2)

    assert [(entry.text, entry.level, entry.attempt) for entry in logs.lines] == [
        ("second", "stdout", 1),
        ("last", "stdout", 1),
    ]
    assert logs.dropped == 7
    assert store.line_counts([run_id(1), run_id(2), run_id(3)]) == {run_id(1): 10, run_id(2): 1}
    assert store.lines(run_id(3), 10).lines == ()


def test_lines_are_read_by_page_by_level_and_by_text(store: Store) -> None:
    texts = [("info", "began"), ("stdout", "row 1"), ("warn", "Row 2 is odd"), ("stdout", "row 3"), ("error", "stop")]
    store.append(Batch(lines=[LineRow(run_id(1), 1, n, level, text, n) for n, (level, text) in enumerate(texts)]))

    def page(**more: Any) -> tuple[list[str], int, int, bool]:
        reply = store.lines_page(GetLogs(run_id(1), **more))
        return [one.text for one in reply.logs.lines], reply.first, reply.last, reply.has_more

    assert page(limit=2) == (["row 3", "stop"], 3, 4, True)
    assert page(limit=2, before=3) == (["row 1", "Row 2 is odd"], 1, 2, True)
    assert page(limit=2, before=1) == (["began"], 0, 0, False)
    assert page(limit=2, after=2) == (["row 3", "stop"], 3, 4, False)
    assert page(limit=1, after=0) == (["row 1"], 1, 1, True)
    assert page(after=4) == ([], 0, -1, False)
    assert page(search="ROW") == (["row 1", "Row 2 is odd", "row 3"], 1, 3, False)
    assert page(level=("warn", "error"), search="o") == (["Row 2 is odd", "stop"], 2, 4, False)


def test_runs_are_counted_by_status_and_those_that_ended_last_are_named_with_their_seconds(store: Store) -> None:
    store.append(history(1, 2, 3))
    never = finished(4, status=RunStatus.EXPIRED, started_at=None, task_id="mail")
    store.append(Batch(history=[ended(finished(5, status=RunStatus.CRASHED), seq=50), ended(never, seq=51)]))

    assert store.counts_of(RunFilter()) == {"COMPLETED": 3, "CRASHED": 1, "EXPIRED": 1}
    assert store.counts_of(RunFilter(task=("resize",)), Seen(ended=[run_id(2)])) == {"COMPLETED": 2, "CRASHED": 1}
    assert store.last_ended(RunFilter(), 3) == [("EXPIRED", None), ("CRASHED", 1.0), ("COMPLETED", 1.0)]


def test_retention_removes_old_runs_with_everything_of_theirs_and_nothing_else(store: Store) -> None:
    store.append(
        Batch(
            events=[event(1, run_id(1)), event(2, run_id(2)), event(3, run_id(3)), event(4)],
            values=[ValueRow("old", "1"), ValueRow("new", "2")],
            lines=[line(1, 1), line(2, 1), line(3, 1)],
            history=[
                ended(finished(1, payload_json=None), payload_ref="old", seq=1),
                ended(finished(2, finished_at=START.replace(month=2), payload_json=None), payload_ref="new", seq=2),
            ],
        )
    )
    store.write_snapshot(4, b"state")

    removed = store.retain(NOW + 31 * DAY, EngineSettings())

    assert removed == {"runs": 1, "events": 1, "values": 1, "lines": 1, "parts": 0}
    assert [run.id for run in store.runs(ListRuns())[0]] == [run_id(2)]
    assert store.values(["old", "new"]) == {"new": "2"}
    assert store.lines(run_id(3), 10).lines, "a run that is not in history keeps its lines"


def test_retention_removes_values_of_steps_with_their_run_and_old_ones_of_tokens_but_those_that_are_held(
    store: Store,
) -> None:
    # Nobody removed them: they were neither payload nor output.
    old, older, young = (make_id("value", now_ms=(NOW - age * DAY) // 1_000, entropy=age) for age in (31, 40, 29))
    step, other = f"{run_id(1)}:step:charge:1", f"{run_id(2)}:step:charge:1"
    store.append(Batch(values=[ValueRow(ref, "1") for ref in (step, other, old, older, young)]))
    store.append(history(1))
    store.append(events(4))
    store.write_snapshot(4, b"state")

    removed = store.retain(NOW, EngineSettings(keep_runs=0), held=[older])

    assert (removed["runs"], removed["values"]) == (1, 2)
    assert set(store.values([step, other, old, older, young])) == {other, older, young}


def test_retention_keeps_the_newest_so_many_runs(store: Store) -> None:
    store.append(history(*range(1, 11)))
    store.append(events(20))
    store.write_snapshot(20, b"state")

    removed = store.retain(NOW, EngineSettings(keep_runs=3))

    assert removed["runs"] == 7
    assert [run.id for run in store.runs(ListRuns())[0]] == [run_id(10), run_id(9), run_id(8)]


def test_retention_waits_for_a_snapshot_of_the_runs_it_removes(store: Store) -> None:
    store.append(Batch(events=[event(1, run_id(1)), event(2, run_id(2)), event(3, run_id(1))]))
    store.append(history(1, 2))

    without = store.retain(NOW, EngineSettings(keep_runs=0))
    store.write_snapshot(2, b"state")
    with_one = store.retain(NOW, EngineSettings(keep_runs=0))

    assert without["runs"] == 0
    assert with_one["runs"] == 1, "run 1 has a later event, which a recovery would read"
    assert store.run(run_id(1)) is not None


def test_retention_checkpoints_and_commits_go_on_beside_each_other(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(history(*range(1, 3_001)))
    store.append(events(5_000))
    store.write_snapshot(5_000, b"state")
    done = threading.Event()

    def commit() -> None:
        for seq in range(5_001, 10_000):
            store.append(events(seq))
            store.checkpoint()
            if done.is_set():
                return

    thread = threading.Thread(target=commit)
    thread.start()
    removed = [store.retain(NOW, EngineSettings(keep_runs=keep))["runs"] for keep in (2_000, 1_000, 10)]
    done.set()
    thread.join(30)

    assert removed == [1_000, 1_000, 990]
    assert sum(store.counts().values()) == 10
    numbers = [row.seq for row in store.recover().events]
    assert numbers == list(range(5_001, store.last_seq + 1))
    store.close()


def test_logs_go_by_age_of_their_run_and_by_size_from_the_oldest_run(store: Store) -> None:
    store.append(history(1, 2, 3))
    store.append(Batch(lines=[line(n, 1, "x" * 1000) for n in (1, 2, 3, 4)]))

    removed = store.retain(NOW + DAY, EngineSettings(keep_logs_bytes=2500))
    kept = [n for n in (1, 2, 3, 4) if store.lines(run_id(n), 5).lines]
    old = store.retain(NOW + 8 * DAY, EngineSettings())
    at_last = [n for n in (1, 2, 3, 4) if store.lines(run_id(n), 5).lines]

    assert (removed["lines"], kept) == (2, [3, 4])
    assert (old["lines"], at_last) == (1, [4]), "run 4 is not finished"


def test_of_a_long_log_the_first_megabyte_and_the_last_nine_stay(store: Store) -> None:
    store.append(Batch(lines=[line(1, n, f"{n:05}" + "x" * 99_995) for n in range(1, 121)]))  # 12 MB

    removed = store.retain(NOW, EngineSettings())
    logs = store.lines(run_id(1), 1000)
    numbers = [int(entry.text[:5]) for entry in logs.lines]

    assert removed["lines"] == logs.dropped == 20
    assert numbers == [*range(1, 11), *range(31, 121)]


def test_the_runs_view_speaks_of_moments_and_values(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = finished(1, payload_json=None)
    store.append(Batch(values=[ValueRow("p", '"big"')], history=[ended(run, payload_ref="p")]))
    store.close()

    with duckdb.connect(str(home_in(tmp_path).database), read_only=True) as connection:
        found = connection.execute("SELECT task_id, payload, output, created_at, duration, tags FROM runs").fetchall()

    assert found[0][:4] == ("resize", '"big"', "42", run.created_at.replace(tzinfo=None))
    assert (found[0][4], found[0][5]) == (run.duration, ["photos"])


def test_people_s_sql_reaches_no_file_outside(store: Store, tmp_path: Path) -> None:
    connection = store._open_connection()

    for statement in (
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SET enable_external_access = true",
        "SET threads = 8",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)


def test_a_closed_store_says_so() -> None:
    store = open_store()
    store.close()
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.append(events(1))
    with pytest.raises(StoreError, match="is closed"):
        store.counts()


def test_recovery_beside_a_hundred_thousand_finished_runs_reads_only_what_the_snapshot_lacks(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for start in range(0, 100_000, 20_000):
        numbers = range(start + 1, start + 20_001)
        store.append(
            Batch(
                events=[LogRow(n, n, "run_finished", run_id(n), '{"output":"42"}') for n in numbers],
                history=[ended(finished(n), seq=n) for n in numbers],
            )
        )
    store.write_snapshot(99_990, b"state")
    store.close()

    again = open_store(tmp_path)
    recovered = again.recover()
    tail = [row.seq for row in recovered.events]
    page, total = again.runs(ListRuns(limit=50))

    assert tail == list(range(99_991, 100_001))
    assert (recovered.history_seq, total, page[0].id) == (100_000, 100_000, run_id(100_000))
    again.close()


def test_a_store_at_rest_gives_its_memory_back_and_reads_on(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(Batch(values=[ValueRow(f"v{n}", os.urandom(20_000).hex()) for n in range(1_000)]))
    store.checkpoint()
    assert len(store.values([f"v{n}" for n in range(1_000)])) == 1_000
    before = held(store)

    store.rest()

    assert before > 16_000_000
    assert held(store) <= RESTING_BYTES
    assert len(store.values([f"v{n}" for n in range(1_000)])) == 1_000
    store.close()


def test_a_store_does_not_rest_while_somebody_reads(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(Batch(values=[ValueRow(f"v{n}", os.urandom(20_000).hex()) for n in range(1_000)]))
    store.checkpoint()
    store.values([f"v{n}" for n in range(1_000)])
    reading, over = threading.Event(), threading.Event()

    def read() -> None:
        with store._reading:
            reading.set()
            over.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    assert reading.wait(10)
    store.rest()
    over.set()
    reader.join()

    assert held(store) > 16_000_000
    store.close()


def held(store: Store) -> int:
    assert store._connection is not None
    (found,) = store._connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
    return int(found[0])


def test_a_filter_means_the_same_runs_in_memory_and_on_disk(tmp_path: Path) -> None:
    runs = [
        finished(
            number,
            status=RunStatus.FAILED if number % 3 == 0 else RunStatus.COMPLETED,
            task_id=("resize", "mail")[number % 2],
            tags=(("a",), ("a", "b"), ("c",))[number % 3],
            queue=("slow", "fast")[number // 2 % 2],
            batch_id=("batch_1", None)[number % 2],
            schedule_id=("sched_1", None, "sched_2")[number % 3],
            machine=("micro", None)[number // 3 % 2],
            version=("20270101.1", "20270101.2")[number // 4 % 2],
            parent_id=run_id(1) if number > 8 else None,
            root_id=run_id(2) if number > 8 else None,
            is_test=number % 5 == 0,
            payload_json='{"invoice":"INV-2290"}' if number % 4 == 1 else '{"n":1}',
            error=Error("KeyError", f"no row {number}, Äpfel") if number % 3 == 0 else None,
        )
        for number in range(1, 13)
    ]
    values: dict[str, Any] = {
        "status": ("FAILED",),
        "task": ("mail", "other"),
        "tag": ("b", "c"),
        "all_tags": ("a", "b"),
        "queue": ("slow",),
        "batch": ("batch_1",),
        "schedule": ("sched_1", "sched_2"),
        "machine": ("micro",),
        "version": ("20270101.2",),
        "parent": (run_id(1),),
        "root": (run_id(2),),
        "is_test": True,
        "created_from": from_datetime(runs[5].created_at),
        "created_to": from_datetime(runs[5].created_at),
    }
    asked = [RunFilter(**{name: value}) for name, value in values.items()]
    asked.append(RunFilter(is_test=False, status=("COMPLETED",), tag=("b",), all_tags=("a",)))
    asked += [
        RunFilter(search=text) for text in (run_id(4)[8:].upper(), "resi", "inv-2290", "keyerr", "ROW 12", "äPFEL")
    ]
    asked.append(RunFilter(search="mail", tag=("a",)))
    store = open_store(tmp_path)
    store.append(Batch(history=[ended(run) for run in runs]))

    for each in asked:
        in_memory = [run.id for run in runs if matches(run, from_datetime(run.created_at), each)]
        assert 0 < len(in_memory) < len(runs), each
        assert store.run_ids(each, limit=50)[::-1] == in_memory, each
        listed, total = store.runs(ListRuns(**msgspec.structs.asdict(each)))
        assert ([run.id for run in listed][::-1], total) == (in_memory, len(in_memory)), each


def test_pages_go_both_ways(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(history(*range(1, 8)))

    older, _ = store.runs(ListRuns(limit=3, after=run_id(5)))
    newer, total = store.runs(ListRuns(limit=2, before=run_id(3)))

    assert [run.id for run in older] == [run_id(4), run_id(3), run_id(2)]
    assert [run.id for run in newer] == [run_id(4), run_id(5)]  # the nearest ones, oldest first
    assert total == 7
    assert store.has_runs_behind(ListRuns(after=run_id(7)))
    assert not store.has_runs_behind(ListRuns(after=run_id(8)))
    assert not store.has_runs_behind(ListRuns(before=run_id(0)))
    assert store.run_ids(RunFilter(), limit=2, after=run_id(3)) == [run_id(2), run_id(1)]
